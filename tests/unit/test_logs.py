"""One chain for structlog and the standard library, masked to the last line of a traceback."""

import json
import logging
import sys
import threading

import pytest
import structlog

from enrichment_dagster.logs import configure_logging

SECRET = "s3cr3t-of-the-environment"


@pytest.fixture
def lines(capsys):
    """Return a function that gives the log lines written so far; puts the logging of the test run back afterwards."""
    root = logging.getLogger()
    before, level, hooks = root.handlers[:], root.level, (sys.excepthook, threading.excepthook)

    def read():
        return capsys.readouterr().err.splitlines()

    yield read
    logging.captureWarnings(False)
    structlog.reset_defaults()
    root.handlers[:] = before
    root.setLevel(level)
    sys.excepthook, threading.excepthook = hooks


def fail():
    raise ValueError(f"dana@example.com has {SECRET}")


@pytest.mark.parametrize("as_json", [True, False])
def test_a_traceback_is_masked(lines, as_json):
    configure_logging("gateway", as_json, [SECRET])
    try:
        fail()
    except ValueError:
        structlog.get_logger("x").exception("no luck", email="dana@example.com")
        logging.getLogger("y").exception("no luck with %s", SECRET)
    text = "\n".join(lines())
    assert "dana" not in text
    assert SECRET not in text
    assert text.count("ValueError: *** has ***") == 2
    assert text.count("in fail") == 2


def test_lines_carry_time_level_process_and_logger(lines):
    configure_logging("gateway", True)
    structlog.get_logger("module").warning("refused", reason="stale", n=2)
    (line,) = map(json.loads, lines())
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "refused",
        "reason": "stale",
        "n": 2,
        "level": "warning",
        "logger": "module",
        "process": "gateway",
    }


@pytest.mark.parametrize("name", ["uvicorn.error", "aiohttp.client", "httpx", "alembic.runtime", "any.other"])
def test_the_standard_library_goes_through_the_same_chain(lines, name):
    configure_logging("gateway", True)
    logging.getLogger(name).warning("to %s", "dana@example.com")
    (line,) = map(json.loads, lines())
    assert (line["event"], line["logger"], line["process"]) == ("to ***", name, "gateway")


@pytest.mark.parametrize("name", ["httpx", "alembic.runtime.migration", "uvicorn.access"])
def test_chatter_is_silent(lines, name):
    """Httpx logs every URL at INFO, with whatever its query holds."""
    configure_logging("gateway", True)
    logging.getLogger(name).info("GET https://api.example.com/?api_key=x")
    assert lines() == []


def test_context_is_on_every_line(lines):
    configure_logging("run", True)
    with structlog.contextvars.bound_contextvars(batch_id="b1"):
        structlog.get_logger().info("x")
        logging.getLogger("z").warning("y")
    assert [json.loads(line)["batch_id"] for line in lines()] == ["b1", "b1"]


def test_uncaught_errors_are_masked(lines):
    configure_logging("gateway", False, [SECRET])
    try:
        fail()
    except ValueError:
        sys.excepthook(*sys.exc_info())
    thread = threading.Thread(target=fail, name="worker")
    thread.start()
    thread.join()
    text = "\n".join(lines())
    assert text.count("ValueError: *** has ***") == 2


def test_configuring_twice_does_not_double_lines(lines):
    configure_logging("gateway", True)
    configure_logging("gateway", True)
    structlog.get_logger().info("once")
    assert len(lines()) == 1
