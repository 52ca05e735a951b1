"""Telling the gateway what happens, each thing at its time, and waiting until nothing is left to do."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson
from sqlalchemy import func, select

from benchmarks.happenings import Happening
from benchmarks.journey import poisson_gaps
from benchmarks.load import Exchange, send
from benchmarks.stack import Installation
from benchmarks.stats import schedule
from enrichment_dagster.composition import Stores
from enrichment_dagster.ports import WorkKind
from enrichment_dagster.store.tables import work

_SIGNING_SECONDS = 0.001  # a webhook, at the most
_EMPTY_SECONDS = 300.0
_LOOK_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Telling:
    """Webhooks that are signed for moments to come."""

    requests: Sequence[bytes]
    due: Sequence[float]  # seconds after the beginning
    begins_at: float  # epoch seconds

    def wait(self) -> None:
        """Wait for the beginning."""
        time.sleep(max(0.0, self.begins_at - time.time()))

    def send(self, place: Installation) -> list[Exchange]:
        """Send each webhook when it is due."""
        print(f"{len(self.requests)} events ...", flush=True)
        return send(place.ports.gateway, self.requests, self.due)


def prepare(place: Installation, told: Sequence[Happening], rate: float, first_number: int = 0) -> Telling:
    """Sign a webhook for each happening, at random gaps.

    ``first_number`` keeps what is told now from being taken for a repeat of what was told before.
    """
    settings = place.settings
    due = schedule(rate, len(told), poisson_gaps(len(told)))
    begins_at = time.time() + 0.5 + _SIGNING_SECONDS * len(told)
    requests = [
        happening.request(settings, datetime.fromtimestamp(begins_at + at, UTC), first_number + number)
        for number, (happening, at) in enumerate(zip(told, due, strict=True))
    ]
    return Telling(requests, due, begins_at)


def tell(place: Installation, told: Sequence[Happening], rate: float) -> None:
    """Tell of what has not to be measured, and wait until nothing is left to do.

    Raises:
        RuntimeError: the gateway refused a webhook, or something is left.
    """
    telling = prepare(place, told, rate)
    telling.wait()
    events_of(telling.send(place))
    if any((left := wait_until_empty(place)).values()):
        raise RuntimeError(f"not everything has come to an end: {left}; see {place.home / 'logs'} (--keep keeps it)")


def events_of(sent: Sequence[Exchange]) -> list[str]:
    """Return the id of the event that each webhook told of.

    Raises:
        RuntimeError: the gateway refused a webhook, or could not read it.
    """
    found = []
    for exchange in sent:
        answer = orjson.loads(exchange.body) if exchange.accepted else {}
        if not answer.get("event_ids") or answer.get("rejected"):
            raise RuntimeError(f"the gateway answered {exchange.status}: {exchange.body.decode(errors='replace')}")
        found.append(str(answer["event_ids"][0]))
    return found


def wait_until_empty(place: Installation, seconds: float = _EMPTY_SECONDS) -> dict[str, int]:
    """Wait until nothing is to be done any more; returns what is left when that takes too long."""
    give_up = time.monotonic() + seconds
    with place.stores() as stores:
        while any((left := _left(stores)).values()) and time.monotonic() < give_up:
            time.sleep(_LOOK_SECONDS)
    return left


def _left(stores: Stores) -> dict[str, int]:
    health, now_ms = stores.health(), round(time.time() * 1_000)
    others = select(func.count()).where(
        work.c.kind != str(WorkKind.EVENT), work.c.state != "done", work.c.due_at_ms <= now_ms
    )
    with stores.ops.read() as connection:
        due = int(connection.execute(others).scalar_one())
    return {
        "events without an end": health.balance().in_flight,
        "other work that is due": due,
        "deliveries owed": health.owed()["entries"],
        "answers that providers owe": health.pending_answers()["waiting"],
    }
