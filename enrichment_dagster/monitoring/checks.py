"""The quick checks: latency, field coverage, schema violations, routing, loops. Pure, without personal data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from enrichment_dagster.domain.latency import Journey, percentile

LATENCY = "latency_target"
COVERAGE = "field_coverage"
VIOLATIONS = "schema_violations"
ROUTING = "routing_latency"
NO_LOOPS = "no_loops"

MOST_WRITES_AN_HOUR = 10
"""Both lanes, follow-ups and late answers make half as many writes to one record."""
MOST_REFUSED_AN_HOUR = 10

ROUTING_TARGET_SECONDS = 3.0
_ENOUGH_FOR_P99 = 100  # the 99th percentile of fewer samples is their maximum

DEAD_DAEMON = timedelta(seconds=30)
"""Sensors tick every five seconds; when none has for this long, nobody turns events into runs."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check found."""

    check: str
    passed: bool
    message: str
    numbers: Mapping[str, Any]
    severe: bool = True


def latency_verdict(journeys: Sequence[Journey], target_seconds: float, now: datetime) -> Verdict:
    """Check that events end within their target: 95 % of them, and no open one is older than it."""
    total = [journey.seconds(now) for journey in journeys]
    open_ages = [journey.seconds(now) for journey in journeys if journey.is_open]
    p95, oldest = percentile(total, 0.95), max(open_ages, default=0.0)
    numbers = {
        "samples": len(total),
        "open": len(open_ages),
        "oldest_open_seconds": round(oldest, 3),
        "target_seconds": target_seconds,
        **{f"p{p}_seconds": round(percentile(total, p / 100), 3) for p in (50, 95, 99)},
    }
    if p95 <= target_seconds and oldest <= target_seconds:
        message = f"p95 {p95:.1f} s of {target_seconds:g} s, {len(total)} events" if total else "no events"
        return Verdict(LATENCY, True, message, numbers)
    hop, seconds = _slow_hop([journey for journey in journeys if journey.seconds(now) > target_seconds], now)
    what = f"p95 is {p95:.1f} s" if p95 > target_seconds else f"an open event is {oldest:.0f} s old"
    message = f"{what}, the target is {target_seconds:g} s; the slow hop is {hop} (p95 {seconds:.1f} s)"
    return Verdict(LATENCY, False, message, {**numbers, "slow_hop": hop, "slow_hop_p95_seconds": round(seconds, 3)})


def _slow_hop(late: Sequence[Journey], now: datetime) -> tuple[str, float]:
    """Return where the late events lost their time; the others would drown a few that are stuck."""
    by_hop: dict[str, list[float]] = {}
    for journey in late:
        for name, seconds in journey.hops(now).items():
            by_hop.setdefault(name, []).append(seconds)
    slowest = max(by_hop, key=lambda name: percentile(by_hop[name], 0.95))
    return slowest, percentile(by_hop[slowest], 0.95)


def routing_verdict(journeys: Sequence[Journey], ran_out: int, now: datetime) -> Verdict:
    """Check that routed events are answered, and their records told, in time: 95 % of them, of many also 99 %.

    ``ran_out`` counts those whose reservation ended before the gateway was done with them (it died); they are among
    the journeys with the time that the standard lane took.
    """
    seconds = [journey.seconds(now) for journey in journeys]
    p50, p95, p99 = (percentile(seconds, share) for share in (0.50, 0.95, 0.99))
    numbers = {
        "samples": len(seconds),
        "open": sum(journey.is_open for journey in journeys),
        "ran_out": ran_out,
        "target_seconds": ROUTING_TARGET_SECONDS,
        **{f"{name}_seconds": round(value, 3) for name, value in (("p50", p50), ("p95", p95), ("p99", p99))},
    }
    worst = ("p99", p99) if len(seconds) >= _ENOUGH_FOR_P99 else ("p95", p95)
    passed = max(p95, worst[1]) <= ROUTING_TARGET_SECONDS
    message = (
        f"{worst[0]} {worst[1]:.2f} s of {ROUTING_TARGET_SECONDS:g} s, {len(seconds)} leads" if seconds else "no events"
    )
    message += f"; {ran_out} were left by a gateway that ended" if ran_out else ""
    return Verdict(ROUTING, passed, message, numbers)


def coverage_verdict(missing: Sequence[Sequence[str]], wanted: Sequence[str], floor: float) -> Verdict:
    """Check that enough of the wanted fields are filled; ``missing`` lists those that are not, per enriched event."""
    events = len(missing)
    gaps = Counter(name for names in missing for name in names if name in wanted)
    share = 1.0 - sum(gaps.values()) / (events * len(wanted)) if events and wanted else 1.0
    numbers: dict[str, Any] = {"samples": events, "coverage": round(share, 4), "floor": floor}
    numbers.update({f"filled_{name}": round(1 - gaps[name] / events, 4) for name in wanted if events})
    worst = ", ".join(f"{name} {1 - count / events:.0%}" for name, count in gaps.most_common(3))
    message = f"{share:.0%} of the wanted fields are filled" if events else "no events"
    message += f"; least: {worst}" if worst else ""
    return Verdict(COVERAGE, share >= floor, message, numbers, severe=False)


def violations_verdict(stored: int, quarantined: Mapping[str, int], ceiling: float) -> Verdict:
    """Check that few values break their field's rules. ``quarantined`` counts them by ``provider.field``."""
    bad = sum(quarantined.values())
    share = bad / (stored + bad) if stored + bad else 0.0
    numbers = {"samples": stored + bad, "quarantined": bad, "share": round(share, 4), "ceiling": ceiling}
    worst = ", ".join(f"{name} {count}" for name, count in Counter(quarantined).most_common(3))
    message = f"{bad} of {stored + bad} values are in quarantine" if stored + bad else "no values"
    message += f"; most: {worst}" if worst else ""
    return Verdict(VIOLATIONS, share <= ceiling, message, numbers, severe=False)


def loops_verdict(*, writes: int, busiest: int, records_over: int, refused: int) -> Verdict:
    """Check that what we write starts no enrichments of its own, over the last hour.

    ``busiest`` counts the writes to the record that had most, ``records_over`` the records with more than
    ``MOST_WRITES_AN_HOUR``, ``refused`` the events that a second enrichment in a row has set off.
    """
    numbers = {
        "samples": writes,
        "busiest": busiest,
        "records_over": records_over,
        "ceiling": MOST_WRITES_AN_HOUR,
        "refused": refused,
        "refused_ceiling": MOST_REFUSED_AN_HOUR,
    }
    wrong = []
    if records_over:
        many = "1 record was" if records_over == 1 else f"{records_over} records were"
        wrong.append(f"{many} written more than {MOST_WRITES_AN_HOUR} times in an hour, the busiest {busiest} times")
    if refused > MOST_REFUSED_AN_HOUR:
        wrong.append(f"{refused} events were set off by our own updates: a flow or workflow of the CRM fires on them")
    well = f"{writes} writes, at most {busiest} to one record" if writes else "no writes"
    return Verdict(NO_LOOPS, not wrong, "; ".join(wrong) or well, numbers, severe=False)
