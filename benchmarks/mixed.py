"""All six event types at once, from all their senders: how long each takes, and what that costs."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select

from benchmarks.burst import wait_for_runs
from benchmarks.command import Options, script
from benchmarks.crm import PEOPLE
from benchmarks.enrich import COMPANIES
from benchmarks.growth import sizes
from benchmarks.happenings import REPEAT_EVERY, SCENES, Cast, Happening, happenings
from benchmarks.hops import runs_since
from benchmarks.journey import warm_up
from benchmarks.load import Exchange
from benchmarks.results import Result
from benchmarks.stack import LATENCY_MS, Installation, installation
from benchmarks.stats import percentile
from benchmarks.telling import events_of, prepare, tell, wait_until_empty
from benchmarks.usage import cpu_between, cpu_seconds
from enrichment_dagster.domain.outcome import Outcome
from enrichment_dagster.ports import WorkKind
from enrichment_dagster.sandbox.world import World
from enrichment_dagster.store.tables import outbox, work

RATE = 20.0
_FIRST_OF_ALL = 3 * len(SCENES)  # events of the first round, which is not measured
_SKIPPED = str(Outcome.SKIPPED)


def parameters(options: Options) -> dict[str, Any]:
    """Return the sizes."""
    return {
        "rate_per_second": RATE,
        "seconds": 20 if options.quick else 300,
        "arrivals": "Poisson, open loop",
        "event_types": {name: [sender for sender, _ in scenes] for name, scenes in SCENES.items()},
        "same_subject_again_every": REPEAT_EVERY,
        "vendor_latency_ms": LATENCY_MS,
        "latency": "from the moment at which the webhook was due until its CRM confirmed the write; for what is "
        "skipped, or leads to no write, until that was recorded. A type's debounce is in it.",
        "cpu": "utime+stime+cutime+cstime of `enrichment up` and all below it; without emulators and generator",
        "growth": "bytes allocated in Dagster's home, with all processes stopped before and after",
    }


def measure(options: Options, result: Result) -> None:
    """Let each sender tell of a few things first; then stop, look at the sizes, and start anew for the measurement."""
    count = round(RATE * result.parameters["seconds"])
    with installation(options.base_port, keep=options.keep, companies=COMPANIES) as place:
        cast = Cast(place.crms, World(people=PEOPLE, companies=COMPANIES))
        with place.running():
            warm_up(place)
            tell(place, happenings(cast, _FIRST_OF_ALL), RATE)
            wait_for_runs(place)
        before = sizes(place.home)
        with place.running():
            passed = let_pass(place, happenings(cast, count), result)
        after = sizes(place.home)
        result.details["stores, kB"] = {name: [before[name] / 1_000, after[name] / 1_000] for name in before}
        grown = (after["Dagster home"] - before["Dagster home"]) / count / 1_000
        targets = {name: config.latency_target_seconds for name, config in place.settings.config.event_types.items()}
    judge(result, passed, targets, grown)


@dataclass(frozen=True, slots=True)
class Passed:
    """What became of one event."""

    event_type: str
    seconds: float | None  # None: it has not come to an end
    outcome: str
    reason: str = ""
    written: bool = False  # a CRM has confirmed a write


def let_pass(place: Installation, told: Sequence[Happening], result: Result) -> list[Passed]:
    """Tell of everything at the rate, wait for the last end, and note what that took."""
    telling = prepare(place, told, RATE, _FIRST_OF_ALL)
    telling.wait()
    began, before = time.time(), cpu_seconds(place.pid)
    sent = telling.send(place)
    seconds, during = time.time() - began, cpu_between(before, cpu_seconds(place.pid))
    left = wait_until_empty(place)
    empty_after = time.time() - sent[-1].due_at
    wait_for_runs(place)
    altogether = cpu_between(before, cpu_seconds(place.pid))
    result.series["acknowledged ms"] = [exchange.latency_seconds * 1_000 for exchange in sent]
    result.series["generator late ms"] = [exchange.late_seconds * 1_000 for exchange in sent]
    result.details.update(
        seconds=round(seconds, 1),
        cpu_seconds_while_they_came=during,
        cpu_seconds_until_the_last_run_ended=altogether,
        queues_empty_after_seconds=round(empty_after, 1),
        left=left,
        runs=runs_since(place, began),
        rejected_by_crms=_rejected(place),
    )
    return what_became(place, told, sent)


def _rejected(place: Installation) -> int:
    with place.stores() as stores, stores.ops.read() as connection:
        rejected = select(func.count()).where(outbox.c.state == "rejected")
        return int(connection.execute(rejected).scalar_one())


def what_became(place: Installation, told: Sequence[Happening], sent: Sequence[Exchange]) -> list[Passed]:
    """Return the end of each event."""
    columns = (work.c.event_id, work.c.outcome, work.c.reason, work.c.finished_at_ms, work.c.delivered_at_ms)
    with place.stores() as stores, stores.ops.read() as connection:
        rows = connection.execute(select(*columns).where(work.c.kind == str(WorkKind.EVENT)))
        ends = {event_id: end for event_id, *end in rows}
    return [
        _passed(happening.event_type, exchange.due_at, ends.get(event_id, (None, "", None, None)))
        for happening, exchange, event_id in zip(told, sent, events_of(sent), strict=True)
    ]


def _passed(event_type: str, due_at: float, end: Sequence[Any]) -> Passed:
    outcome, reason, finished_ms, delivered_ms = end
    end_ms = delivered_ms or finished_ms
    seconds = None if end_ms is None else end_ms / 1_000 - due_at
    return Passed(event_type, seconds, outcome or "none", reason, delivered_ms is not None)


def judge(result: Result, passed: Sequence[Passed], targets: Mapping[str, float], growth_kb: float) -> None:
    """Turn what was seen into figures."""
    for event_type in SCENES:
        _judge_type(result, event_type, [one for one in passed if one.event_type == event_type], targets[event_type])
    details, count = result.details, len(passed)
    result.add("events without an end", sum(one.seconds is None for one in passed), "events", at_most=0)
    result.add("left in queues, all kinds", sum(details["left"].values()), "entries", at_most=0)
    result.add("queues empty after the last webhook", details["queues_empty_after_seconds"], "s")
    result.add("deliveries that a CRM rejected", details["rejected_by_crms"], "deliveries", at_most=0)
    cores = sum(details["cpu_seconds_while_they_came"].values()) / details["seconds"]
    result.add("processor while they came", cores, "cores", below=1.5)
    used = sum(details["cpu_seconds_until_the_last_run_ended"].values())
    result.add("processor per 1,000 events, until the last run ended", used / count * 1_000, "CPU-s")
    result.add("runs", details["runs"], "runs")
    result.add("growth of Dagster's storage per event", growth_kb, "kB", below=5)
    result.add("webhook acknowledged, p99", percentile(result.series["acknowledged ms"], 0.99), "ms")


def _judge_type(result: Result, event_type: str, passed: Sequence[Passed], target: float) -> None:
    outcomes = Counter(f"{one.outcome} {one.reason}".strip() for one in passed)
    result.details[f"outcomes of {event_type}"] = dict(outcomes.most_common())
    ended = [(one, one.seconds) for one in passed if one.seconds is not None]
    result.series[f"{event_type} s"] = [seconds for _, seconds in ended]
    result.series[f"{event_type}, written s"] = [seconds for one, seconds in ended if one.written]
    result.series[f"{event_type}, skipped s"] = [seconds for one, seconds in ended if one.outcome == _SKIPPED]
    for share, limit in ((0.5, None), (0.95, target), (0.99, target)):
        seconds = percentile(result.series[f"{event_type} s"], share)
        result.add(f"{event_type}, until its end, p{share * 100:.0f}", seconds, "s", below=limit)
    for name, number in (
        ("that a CRM was written to", sum(one.written for one in passed)),
        ("skipped", sum(one.outcome == _SKIPPED for one in passed)),
    ):
        result.add(f"{event_type}, events {name}", number / len(passed) * 100, "%")


main = script("mixed", "H. All six event types at once", measure, parameters)

if __name__ == "__main__":
    main()
