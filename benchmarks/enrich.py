"""Callers of POST /enrich: whom they ask about, what they send, and what they make of the answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from benchmarks.crm import PEOPLE
from benchmarks.journey import poisson_gaps
from benchmarks.load import Exchange, send
from benchmarks.servers import Server
from benchmarks.stats import percentile, schedule, summary
from enrichment_dagster.sandbox.world import World
from enrichment_dagster.supervise.environment import Ports, sandbox_variables

COMPANIES = 16_000
"""Companies of the emulated world: so many that leads seldom share one, which would spare a call."""

CONNECTIONS = 512
DEADLINE_SECONDS = 2.5
"""The shipped ``intake.enrich.deadline_seconds``."""

_PATIENCE_SECONDS = 20.0
_KEY = sandbox_variables(Ports())["ENRICH_API_KEY"]


@dataclass(frozen=True, slots=True)
class Person:
    """Whom a request is about."""

    email: str
    company: str


def all_people(seed: int = 7) -> list[Person]:
    """Return the business people of the emulators' world; those first of whom no two share a company."""
    met: set[int] = set()
    first: list[Person] = []
    later: list[Person] = []
    for person in World(seed, PEOPLE, COMPANIES).all_people:
        if person.company is not None:
            (later if person.company.index in met else first).append(Person(person.email, person.company.name))
            met.add(person.company.index)
    return first + later


def request(person: Person, **more: str) -> bytes:
    """Return one call, ready for the wire."""
    body = orjson.dumps({"email": person.email, "company": person.company, **more})
    lines = (
        "POST /enrich HTTP/1.1",
        "host: gateway",
        f"authorization: Bearer {_KEY}",
        "content-type: application/json",
        f"content-length: {len(body)}",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


@dataclass(frozen=True, slots=True)
class Window:
    """What came of one stretch of load."""

    server: str
    rate: float
    sent: Sequence[Exchange]
    cpu_seconds: float

    @property
    def latencies_ms(self) -> list[float]:
        """Return how long each answer took from the moment at which its request was due."""
        return [exchange.latency_seconds * 1_000 for exchange in self.sent]

    @property
    def refused(self) -> int:
        """Return how many got no 2xx."""
        return sum(not exchange.accepted for exchange in self.sent)

    @property
    def cpu_per_thousand(self) -> float:
        """Return the server's processor seconds for 1,000 events."""
        return self.cpu_seconds / len(self.sent) * 1_000

    def p(self, share: float) -> float:
        """Return a percentile of the latencies, in ms."""
        return percentile(self.latencies_ms, share)

    def answers(self) -> list[dict[str, Any]]:
        """Return the bodies, in the order of the requests; empty where there was no 2xx."""
        return [orjson.loads(exchange.body) if exchange.accepted else {} for exchange in self.sent]

    def as_data(self) -> dict[str, Any]:
        """Return it for JSON."""
        statuses = [exchange.status for exchange in self.sent]
        return {
            "server": self.server,
            "rate_per_second": self.rate,
            "latency_ms": summary(self.latencies_ms),
            "generator_late_ms": summary([exchange.late_seconds * 1_000 for exchange in self.sent]),
            "http": {str(status): statuses.count(status) for status in sorted(set(statuses))},
            "outcomes": _counted([answer.get("status", "none") for answer in self.answers()]),
            "cpu_seconds_per_1000": round(self.cpu_per_thousand, 2),
        }


def drive(server: Server, requests: Sequence[bytes], rate: float, *, seed: int = 7) -> Window:
    """Send the requests at a rate with random gaps."""
    due = schedule(rate, len(requests), poisson_gaps(len(requests), seed))
    return _measured(server, requests, rate, due)


def at_once(server: Server, requests: Sequence[bytes]) -> Window:
    """Send all at the same moment."""
    return _measured(server, requests, 0.0, [0.0] * len(requests))


def _measured(server: Server, requests: Sequence[bytes], rate: float, due: Sequence[float]) -> Window:
    before = server.cpu_seconds()
    sent = send(server.port, requests, due, CONNECTIONS, patience_seconds=_PATIENCE_SECONDS)
    window = Window(server.name, rate, sent, server.cpu_seconds() - before)
    print(f"{server.name} at {rate:.0f}/s: {window.as_data()}", flush=True)
    return window


def warm_up(server: Server, people: Sequence[Person], rate: float = 25.0) -> None:
    """Let each process answer a few dozen: byte code, connections, prepared statements."""
    drive(server, [request(person) for person in people], rate)


def _counted(words: Sequence[str]) -> dict[str, int]:
    return {word: words.count(word) for word in sorted(set(words))}
