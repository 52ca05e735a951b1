"""Logs of all processes: structlog and the standard library through one chain, with personal data and secrets masked.

Masking is the last step before a line is rendered, so it covers messages, values and tracebacks alike.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterable
from types import TracebackType
from typing import Any

import structlog
from structlog.typing import EventDict, Processor

from enrichment_dagster.masking import Masker

_HEARD = ("uvicorn", "uvicorn.error")  # whoever else ran a server in this process may have turned these down
_QUIET = ("httpx", "httpcore", "aiohttp.access", "alembic", "uvicorn.access", "asyncio")


def configure_logging(process: str, json: bool, secrets: Iterable[str] = ()) -> None:
    """Send every log line of this process, whoever writes it, to standard error."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _named(process),
                structlog.processors.format_exc_info,
                _masking(Masker(secrets)),
                _renderer(json),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for name in _HEARD:
        logging.getLogger(name).setLevel(logging.NOTSET)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.processors.StackInfoRenderer(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    logging.captureWarnings(True)
    _log_uncaught()


def _named(process: str) -> Processor:
    def add_process(_logger: Any, _method: str, event_dict: EventDict) -> EventDict:
        event_dict["process"] = process
        return event_dict

    return add_process


def _masking(masker: Masker) -> Processor:
    def mask(_logger: Any, _method: str, event_dict: EventDict) -> EventDict:
        return masker.mapping(event_dict)

    return mask


def _renderer(json: bool) -> Processor:
    if json:
        return structlog.processors.JSONRenderer(ensure_ascii=False)
    # The plain form: the pretty one would show the variables of every frame, unmasked.
    return structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)


def _log_uncaught() -> None:
    """Let tracebacks that nobody catches go through the chain as well: bare ones would not be masked."""
    log = logging.getLogger("uncaught")

    def main_thread(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            return
        log.critical("uncaught exception", exc_info=(kind, error, trace))

    def other_thread(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None:
            log.critical("uncaught exception in a thread", exc_info=args.exc_value)

    sys.excepthook = main_thread
    threading.excepthook = other_thread
