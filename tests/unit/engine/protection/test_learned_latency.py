"""How long a provider's answers take, per purpose."""

from __future__ import annotations

import random

import pytest
from support.protection import Desk, report

from enrichment_dagster.engine.protection import Verdict
from enrichment_dagster.engine.protection.latency import BUCKETS


def test_under_20_samples_nothing_is_said():
    desk = Desk()
    desk.ok(19, latency_ms=100)
    assert desk.standing.latency_ms == {}
    desk.ok(latency_ms=100)
    assert set(desk.standing.latency_ms) == {"person"}


def test_only_answers_count():
    desk = Desk()
    desk.ok(20, latency_ms=100)
    before = desk.standing.latency_ms
    desk.hear(*[report(Verdict.FAILURE, latency_ms=30_000), report(Verdict.NEUTRAL, latency_ms=1)] * 50)
    assert desk.standing.latency_ms == before


def test_purposes_are_kept_apart():
    desk = Desk()
    desk.ok(30, latency_ms=100)
    desk.ok(30, latency_ms=3_000, purpose="company")
    found = desk.standing.latency_ms
    assert found["person"][1] < 130
    assert found["company"][0] > 2_000


def test_percentiles_are_right_to_a_bucket():
    """Buckets grow by a third."""
    rng = random.Random(1)
    samples = [round(rng.lognormvariate(6, 0.5)) for _ in range(400)]
    desk = Desk()
    desk.hear(*[report(latency_ms=sample) for sample in samples])
    p50, p95 = desk.standing.latency_ms["person"]
    samples.sort()
    assert p50 == pytest.approx(samples[200], rel=0.33)
    assert p95 == pytest.approx(samples[380], rel=0.33)


@pytest.mark.parametrize(
    ("latency_ms", "low", "high"), [(0, 0, 10), (-3, 0, 10), (10, 0, 10), (60_000, 40_000, 60_001)]
)
def test_the_ends_of_the_scale_belong_to_it(latency_ms, low, high):
    desk = Desk()
    desk.ok(40, latency_ms=latency_ms)
    p50, p95 = desk.standing.latency_ms["person"]
    assert low < p50 <= p95 <= high


def test_what_takes_longer_than_the_scale_counts_as_its_end():
    desk = Desk()
    desk.ok(40, latency_ms=10**9)
    assert desk.standing.latency_ms["person"][1] <= 60_001


def test_old_samples_fade_so_that_a_change_is_seen():
    desk = Desk()
    desk.ok(5_000, latency_ms=100)
    desk.ok(600, latency_ms=2_000)
    assert desk.standing.latency_ms["person"][0] > 1_000


def test_more_than_500_samples_are_halved():
    desk = Desk()
    desk.ok(500, latency_ms=100)
    assert sum(desk.state.latencies[0][1]) == 500
    desk.ok(latency_ms=100)
    assert sum(desk.state.latencies[0][1]) == 250
    assert len(desk.state.latencies[0][1]) == BUCKETS
