"""Whatever calls and clocks do, a provider's protection keeps its promises."""

from __future__ import annotations

import json
import math
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from support.protection import NOW, Desk, report

from enrichment_dagster.engine.protection import (
    Admitted,
    BreakerPolicy,
    CallReport,
    Denied,
    ProviderPolicy,
    ProviderState,
    Quota,
    SwitchPolicy,
    Verdict,
    admit,
    observe,
    standing,
)

policies = st.builds(
    ProviderPolicy,
    per_second=st.none() | st.sampled_from([0.1, 1.0, 3.0, 50.0]),
    burst=st.integers(1, 5),
    concurrency=st.none() | st.integers(1, 3),
    lifetime_calls=st.none() | st.integers(0, 20),
    breaker=st.builds(BreakerPolicy, min_calls=st.integers(1, 5), consecutive_failures=st.integers(1, 5)),
    switch=st.builds(SwitchPolicy, min_calls=st.integers(1, 5), probes_to_return=st.integers(1, 3)),
)
quotas = st.builds(
    Quota,
    limit=st.none() | st.integers(-1, 1_000),
    remaining=st.none() | st.integers(-1, 10),
    window_seconds=st.none() | st.floats(-1, 90_000),
    resets_in_seconds=st.none() | st.floats(-10, 2e9),
)
reports = st.builds(
    CallReport,
    purpose=st.sampled_from(["person", "company"]),
    verdict=st.sampled_from(Verdict),
    latency_ms=st.integers(0, 100_000),
    throttled=st.booleans(),
    retry_after_seconds=st.none() | st.floats(-10, 1e6),
    quota=st.none() | quotas,
)
asks = st.builds(lambda in_flight, patience: (in_flight, patience), st.integers(0, 3), st.floats(0, 1_000))
moves = st.floats(-100_000, 1_000) | st.sampled_from([0.0, 0.001, 5.0, 15.0, 60.0])
steps = st.lists(st.tuples(moves, asks | reports), max_size=40)


def play(policy: ProviderPolicy, story, state: ProviderState | None = None):
    """Yield (now, state, decision or None) after every step."""
    state, now = state or ProviderState(), NOW
    for move, step in story:
        now += move
        decision = None
        if isinstance(step, CallReport):
            state = observe(state, policy, step, now=now)
        else:
            in_flight, patience = step
            state, decision = admit(state, policy, now=now, in_flight=in_flight, send_before=now + patience)
        yield now, state, decision


def most_in_any_window(sent: list[float], per_second: float) -> float:
    """Return the largest excess of calls over ``per_second`` * length, over all windows that begin and end with one."""
    sent = sorted(sent)
    excess, worst = 0.0, 0.0
    for index, moment in enumerate(sent):
        gap = moment - sent[index - 1] if index else 0.0
        excess = max(0.0, excess - gap * per_second) + 1
        worst = max(worst, excess)
    return worst


calls = st.lists(
    st.tuples(st.sampled_from([0.0, 0.01, 0.3, 1.0, 7.0]) | st.floats(0, 30), st.floats(0, 20)), max_size=80
)
small_steps_back = st.lists(st.sampled_from([0.0, 0.0, 0.0, -0.5, -20.0]), min_size=80, max_size=80)
rates, bursts = st.sampled_from([0.2, 1.0, 3.0, 40.0]), st.integers(1, 6)


@given(rates, bursts, calls, small_steps_back)
def test_no_window_ever_has_more_calls_than_burst_and_rate_allow(per_second, burst, made, back):
    """Also with clocks that differ: what one machine says may lie before what another said, up to a minute."""
    desk = Desk(ProviderPolicy(per_second=per_second, burst=burst))
    sent, latest = [], 0.0
    for (gap, patience), step in zip(made, back, strict=False):
        latest += gap
        desk.time = latest + step
        decision = desk.ask(patience=patience)
        if isinstance(decision, Admitted):
            assert NOW + desk.time <= decision.send_at <= NOW + desk.time + patience
            sent.append(decision.send_at)
    assert most_in_any_window(sent, per_second) <= burst + 1e-3


@given(rates, bursts, calls, st.lists(st.sampled_from([0.0, -61.0, -5_000.0, -1e6]), min_size=80, max_size=80))
def test_a_clock_that_is_put_back_costs_one_burst_and_never_blocks(per_second, burst, made, back):
    """In true time. What was booked before the step may still be sent beside the new burst."""
    desk = Desk(ProviderPolicy(per_second=per_second, burst=burst))
    sent, true, steps_back = [], 0.0, 0
    for (gap, patience), step in zip(made, back, strict=False):
        true += gap
        desk.time += gap + step
        steps_back += step < 0
        decision = desk.ask(patience=patience)
        if step < -60 - gap - 60:
            assert decision == Admitted(NOW + desk.time)
        if isinstance(decision, Admitted):
            sent.append(true + decision.send_at - NOW - desk.time)
    in_queues = steps_back * (burst + 20 * per_second)
    assert most_in_any_window(sent, per_second) <= burst + in_queues + 1e-3


@given(policies, steps)
def test_every_state_survives_json(policy, story):
    for _, state, _ in play(policy, story):
        text = json.dumps(state.to_json(), allow_nan=False)
        assert ProviderState.from_json(json.loads(text)) == state


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=20,
)
parts = st.dictionaries(st.sampled_from(["v", "at", "calls", "rate", "breaker", "switch", "ms"]), json_values)


@given(json_values | parts.map(lambda raw: {"v": 1, **raw}), policies, steps)
def test_no_document_raises_neither_when_read_nor_later(raw, policy, story):
    state = ProviderState.from_json(raw)
    for now, later, _ in play(policy, story, state):
        standing(later, policy, now)
        json.dumps(later.to_json(), allow_nan=False)


@given(policies, steps)
def test_a_denial_changes_nothing_and_says_when_to_come_back(policy, story):
    before = ProviderState()
    for now, state, decision in play(policy, story):
        if isinstance(decision, Denied):
            assert state == before
            assert (decision.retry_at is None) == (decision.reason == "lifetime_cap")
            assert decision.retry_at is None or decision.retry_at > now
        elif decision is not None:
            assert decision.send_at >= now
            assert state.lifetime_calls == before.lifetime_calls + 1
        before = state


@given(policies, steps)
def test_no_more_calls_are_admitted_than_a_life_and_the_concurrency_allow(policy, story):
    admitted = 0
    for (_, step), (_, _, decision) in zip(story, play(policy, story), strict=True):
        if isinstance(decision, Admitted):
            admitted += 1
            assert policy.concurrency is None or step[0] < policy.concurrency
    assert policy.lifetime_calls is None or admitted <= policy.lifetime_calls


OPENED = Desk()
OPENED.fail(8)
waits = st.sampled_from([0.0, 0.5, 14.0, 15.0, 29.0, 30.0]) | st.floats(0, 400)
late = st.sampled_from(Verdict).map(lambda verdict: ("late", verdict))
deeds = st.sampled_from([("ask", None), ("probe", Verdict.OK), ("probe", Verdict.FAILURE)]) | late


@given(st.lists(st.tuples(waits, deeds), max_size=40))
def test_there_is_never_more_than_one_probe_at_once(story):
    """A probe is in flight until its result is known or its lease has run out."""
    desk, began = Desk(state=OPENED.state), None
    for wait, (deed, verdict) in story:
        desk.time += wait
        if began is not None and desk.time >= began + 30:
            began = None
        if deed == "ask" and desk.standing.breaker != "closed":
            admitted = isinstance(desk.ask(), Admitted)
            assert not (admitted and began is not None)
            began = desk.time if admitted else began
        elif deed == "probe" and began is not None:
            desk.hear(report(verdict, latency_ms=round((desk.time - began) * 1_000)))
            began = None
        elif deed == "late" and desk.standing.breaker != "closed":
            desk.hear(report(verdict, latency_ms=round(desk.time * 1_000) + 50_000))  # sent before it opened
        if desk.standing.breaker == "closed":
            desk, began = Desk(state=OPENED.state), None


answers = st.builds(report, st.just(Verdict.OK), latency_ms=st.integers(0, 60_000))
no_failures = answers | st.builds(report, st.just(Verdict.NEUTRAL), throttled=st.booleans())


@given(policies, st.lists(st.tuples(moves, asks | no_failures), max_size=60))
def test_who_never_fails_is_never_refused_by_the_breaker_nor_demoted(policy, story):
    """Answers are hits and misses alike: misses alone do neither."""
    for now, state, decision in play(policy, story):
        assert not (isinstance(decision, Denied) and decision.reason == "breaker_open")
        found = standing(state, policy, now)
        assert (found.breaker, found.demoted, found.failures) == ("closed", False, 0)


@given(st.lists(st.tuples(st.floats(0, 20), st.booleans()), max_size=80))
def test_a_breaker_that_is_open_always_comes_back_within_its_longest_time(story):
    desk = Desk()
    for wait, failed in story:
        desk.time += wait
        if isinstance(desk.ask(), Admitted):
            desk.hear(report(Verdict.FAILURE if failed else Verdict.OK))
    desk.time += 300
    assert isinstance(desk.ask(), Admitted)
    desk.ok()
    assert desk.standing.breaker == "closed"


@given(policies, steps, st.data())
def test_processes_that_take_turns_on_the_stored_state_behave_as_one(policy, story, data):
    """Each reads the document, does one step and writes it; none keeps anything of its own but its policy."""
    alone = list(play(policy, story))
    stored: str | None = None
    now = NOW
    workers = [ProviderPolicy(**{name: getattr(policy, name) for name in policy.__slots__}) for _ in range(3)]
    for (move, step), (_, state, decision) in zip(story, alone, strict=True):
        now += move
        mine = ProviderState.from_json(json.loads(stored) if stored else None)
        worker = data.draw(st.sampled_from(workers))
        found = None
        if isinstance(step, CallReport):
            mine = observe(mine, worker, step, now=now)
        else:
            mine, found = admit(mine, worker, now=now, in_flight=step[0], send_before=now + step[1])
        assert (mine, found) == (state, decision)
        stored = json.dumps(mine.to_json())


@given(st.lists(st.integers(1, 90_000), min_size=20, max_size=600))
def test_percentiles_are_ordered_and_inside_the_scale(latencies):
    desk = Desk()
    desk.hear(*[report(latency_ms=latency) for latency in latencies])
    p50, p95 = desk.standing.latency_ms["person"]
    assert 0 < p50 <= p95 <= 60_001
    assert math.isfinite(p95)


@given(policies, steps)
def test_windows_stay_small_and_in_order(policy, story):
    for _, state, _ in play(policy, [(abs(move), step) for move, step in story]):
        for window in (state.breaker.window, state.switch.window):
            assert len(window.buckets) <= 13
            assert all(one[0] < other[0] for one, other in pairwise(window.buckets))
