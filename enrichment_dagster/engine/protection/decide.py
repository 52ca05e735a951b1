"""May this call be made, and what did it teach? The two steps that every call to a provider takes."""

from __future__ import annotations

from dataclasses import dataclass

from enrichment_dagster.engine.protection.latency import with_sample
from enrichment_dagster.engine.protection.policy import ProviderPolicy
from enrichment_dagster.engine.protection.report import CallReport
from enrichment_dagster.engine.protection.state import ProviderState
from enrichment_dagster.engine.protection.verdict import Verdict

_CONCURRENCY_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Admitted:
    """The call may be sent at ``send_at``, not before: the rate limit spaces calls."""

    send_at: float


@dataclass(frozen=True, slots=True)
class Denied:
    """The call may not be made.

    ``reason`` is "lifetime_cap", "breaker_open", "concurrency" or "rate_limited". ``retry_at`` says when asking again
    makes sense; None = waiting does not help.
    """

    reason: str
    retry_at: float | None


def admit(
    state: ProviderState,
    policy: ProviderPolicy,
    *,
    now: float,
    in_flight: float,
    send_before: float,
    weight: float = 1.0,
) -> tuple[ProviderState, Admitted | Denied]:
    """Decide on one call. ``in_flight`` counts the provider's calls that are not settled, of all processes.

    ``send_before`` is the latest time at which sending it still makes sense. A denial returns the state as it came and
    takes no slot. ``weight`` is the call's share of a request: less than 1 where several queries go in one.
    """
    current = state.at(now)
    denied = _refusal(current, policy, now, in_flight)
    if denied is not None:
        return state, denied
    send_at, rate = current.rate.book(policy, now, weight)
    if send_at > send_before:
        return state, Denied("rate_limited", send_at)
    admitted = ProviderState(
        max(current.seen_at, now),
        current.lifetime_calls + 1,
        rate,
        current.breaker.sending(send_at),
        current.switch.sending(send_at),
        current.latencies,
    )
    return admitted, Admitted(send_at)


def observe(state: ProviderState, policy: ProviderPolicy, report: CallReport, *, now: float) -> ProviderState:
    """Return the state after a call has ended, however it ended."""
    current = state.at(now)
    breaker, switch, latencies = current.breaker, current.switch, current.latencies
    if report.verdict is not Verdict.NEUTRAL:
        failed, began_at = report.verdict is Verdict.FAILURE, report.began_at(now)
        breaker = breaker.observe(policy.breaker, failed=failed, began_at=began_at, now=now, latencies=latencies)
        switch = switch.observe(policy.switch, failed=failed, began_at=began_at, now=now)
    if report.verdict is Verdict.OK:
        latencies = with_sample(latencies, report.purpose, report.latency_ms)
    return ProviderState(
        max(current.seen_at, now),
        current.lifetime_calls,
        current.rate.observe(report, now),
        breaker,
        switch,
        latencies,
    )


def _refusal(state: ProviderState, policy: ProviderPolicy, now: float, in_flight: float) -> Denied | None:
    if policy.lifetime_calls is not None and state.lifetime_calls >= policy.lifetime_calls:
        return Denied("lifetime_cap", None)
    refused_until = state.breaker.refused_until(now)
    if refused_until is not None:
        return Denied("breaker_open", refused_until)
    if policy.concurrency is not None and in_flight >= policy.concurrency:
        return Denied("concurrency", now + _CONCURRENCY_POLL_SECONDS)
    return None
