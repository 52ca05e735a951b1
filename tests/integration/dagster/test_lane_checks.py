"""Checks and freshness of a lane as Dagster holds them."""

from __future__ import annotations

from collections import Counter, deque
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from sqlalchemy import insert
from support.dagster_lane import LANE, LaneRig
from support.dagster_product import Product

from assets.lanes import LANES
from enrichment_dagster.definitions import defs
from enrichment_dagster.engine.routing import RoutingCounts
from enrichment_dagster.gateway.housekeeping import CheckReporter
from enrichment_dagster.monitoring.checks import COVERAGE, LATENCY, NO_LOOPS, ROUTING, VIOLATIONS
from enrichment_dagster.reporting import DagsterReporter
from enrichment_dagster.store.database import to_ms
from enrichment_dagster.store.health import HealthStore
from enrichment_dagster.store.loops import LoopStore
from enrichment_dagster.store.tables import own_writes
from enrichment_dagster.verdicts import CHECKS, WRITEBACK, Evaluator, evaluate, evaluate_writeback, routing_key

ASSET = dg.AssetKey(LANE.asset)


def latest(instance: dg.DagsterInstance, check: str, asset: str = LANE.asset) -> dg.AssetCheckEvaluation:
    key = dg.AssetCheckKey(dg.AssetKey(asset), check)
    record = instance.event_log_storage.get_latest_asset_check_execution_by_key([key])[key]
    assert record.event is not None
    found = record.event.dagster_event
    assert found is not None
    evaluation = found.event_specific_data
    assert isinstance(evaluation, dg.AssetCheckEvaluation)
    return evaluation


def test_the_checks_job_evaluates_every_check_of_every_lane(product: Product) -> None:
    """No traffic passes, with ``samples: 0``; an event that nobody takes fails the lane, and its hop is named."""
    job = defs.resolve_job_def("checks_job")
    assert job.execute_in_process(instance=product.instance).success
    for check in CHECKS:
        found = latest(product.instance, check)
        assert (found.passed, found.metadata["samples"].value) == (True, 0)
    assert latest(product.instance, NO_LOOPS, WRITEBACK).passed

    stuck = product.new_contact(1)
    event_at = datetime.now(UTC) - timedelta(minutes=5)
    product.receive(stuck, at=event_at)
    assert job.execute_in_process(instance=product.instance).success  # a failed check is news, not a failed run
    found = latest(product.instance, LATENCY)
    assert not found.passed
    assert found.severity is dg.AssetCheckSeverity.ERROR
    assert found.metadata["slow_hop"].value == "queue_wait"
    assert "the slow hop is queue_wait" in str(found.description)
    assert found.metadata["open"].value == 1
    assert float(found.metadata["oldest_open_seconds"].value) >= 300


def test_an_event_counts_before_anybody_has_pumped_it(rig: LaneRig) -> None:
    """A dead pump must not make the lane look idle."""
    rig.arrive(1)
    rig.clock.advance(61)
    config = rig.settings.config.event_types["lead_created"]
    (verdict,) = evaluate(rig.health, "lead_created", config, [LATENCY], rig.clock.now())
    assert not verdict.passed


def test_verdicts_come_in_the_order_asked_for(rig: LaneRig) -> None:
    config = rig.settings.config.event_types["lead_created"]
    order = [VIOLATIONS, LATENCY, COVERAGE]
    assert [v.check for v in evaluate(rig.health, "lead_created", config, order, rig.clock.now())] == order


def test_what_must_be_noticed_at_once_is_looked_at_each_time_and_the_rest_now_and_then(
    rig: LaneRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Six lanes, three times a minute: a day's values are not counted each time."""
    evaluator = Evaluator(rig.health, rig.settings.config.event_types, rig.clock)
    counted: list[str] = []
    real = HealthStore.stored_and_quarantined

    def counting(health: HealthStore, event_type: str, window: timedelta) -> tuple[int, dict[str, int]]:
        counted.append(event_type)
        return real(health, event_type, window)

    monkeypatch.setattr(HealthStore, "stored_and_quarantined", counting)
    for _ in range(7):
        assert [v.check for v in evaluator.evaluate_all()["lead_created"]] == list(CHECKS)
        rig.clock.advance(20)
    assert len(counted) == 2
    rig.clock.put_back(3_600)
    rig.clock.advance(120)
    evaluator.evaluate_all()
    assert len(counted) == 3, "a clock that is put back does not stop the looks"
    rig.arrive(1)
    rig.clock.advance(61)
    assert not evaluator.evaluate_all()["lead_created"][0].passed


# --- reported by the gateway -----------------------------------------------------------------------------------------


@pytest.fixture
def reporter(instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> DagsterReporter:
    monkeypatch.setattr(dg.DagsterInstance, "get", staticmethod(lambda: instance))
    return DagsterReporter()


def test_a_verdict_is_seen_in_dagster_without_a_run(
    rig: LaneRig, reporter: DagsterReporter, instance: dg.DagsterInstance
) -> None:
    config = rig.settings.config.event_types["lead_created"]

    def evaluate_all():
        return {"lead_created": evaluate(rig.health, "lead_created", config, list(CHECKS), rig.clock.now())}

    gateway = CheckReporter(evaluate_all, reporter.report, rig.clock)
    assert gateway.step() == 3
    assert latest(instance, LATENCY).passed
    rig.arrive(1)
    rig.clock.advance(61)
    assert gateway.step() == 1
    assert not latest(instance, LATENCY).passed
    assert instance.get_runs_count() == 0


def test_an_event_type_without_a_lane_has_no_check_to_report_to(
    reporter: DagsterReporter, rig: LaneRig, instance: dg.DagsterInstance
) -> None:
    """``enrichment.yaml`` may name more than Dagster knows; the other lanes' reports must go on."""
    config = rig.settings.config.event_types["lead_created"]
    for verdict in evaluate(rig.health, "lead_created", config, list(CHECKS), rig.clock.now()):
        reporter.report("visit_created", verdict)
    assert instance.get_asset_keys() == []


# --- what the gateway routes -----------------------------------------------------------------------------------------


def test_what_was_routed_is_one_materialization_with_numbers_and_no_run(
    reporter: DagsterReporter, instance: dg.DagsterInstance
) -> None:
    counts = RoutingCounts(Counter(enriched=2, cached=1), deque([400.0, 500.0, 8.0]), 90_000, overloaded=4)
    assert reporter.report_routing(counts) == [routing_key("lead_created")]
    stored = instance.get_latest_materialization_event(dg.AssetKey("lead_routing"))
    assert stored is not None
    assert stored.asset_materialization is not None
    numbers = {name: found.value for name, found in stored.asset_materialization.metadata.items()}
    assert numbers["leads"] == 3
    assert numbers["overloaded"] == 4
    assert numbers["cost_usd"] == 0.09
    assert (numbers["p50_ms"], numbers["p95_ms"], numbers["p99_ms"]) == (400, 500, 500)
    assert instance.get_runs_count() == 0


def test_the_verdict_on_routing_belongs_to_its_own_asset(
    rig: LaneRig, reporter: DagsterReporter, instance: dg.DagsterInstance
) -> None:
    types, key = rig.settings.config.event_types, routing_key("lead_created")
    found = Evaluator(rig.health, types, rig.clock).evaluate_all()
    assert list(found) == ["lead_created"], "this configuration has no routing plan"
    (verdict,) = evaluate(rig.health, "lead_created", types["lead_created"], [ROUTING], rig.clock.now())
    reporter.report(key, verdict)
    check = dg.AssetCheckKey(dg.AssetKey("lead_routing"), ROUTING)
    stored = instance.event_log_storage.get_latest_asset_check_execution_by_key([check])
    assert stored[check].event is not None


# --- what is written to CRMs -----------------------------------------------------------------------------------------


def test_a_record_that_is_written_again_and_again_is_a_warning_on_the_write_back(
    rig: LaneRig, reporter: DagsterReporter, instance: dg.DagsterInstance
) -> None:
    """Only counts go to Dagster: which record it is stands in the operational store."""
    loops = LoopStore(rig.ops, rig.clock)
    now_ms = to_ms(rig.clock.now())
    row = {"event_id": "evt_1", "depth": 0, "system": "hubspot", "object_type": "contact", "record_id": "332561422240"}
    rest = {"fingerprints": {}, "claims": 1, "noted_at_ms": now_ms, "claimed_at_ms": now_ms}
    with rig.ops.write() as connection:
        connection.execute(insert(own_writes), [{**row, **rest, "outbox_id": f"out-{n}"} for n in range(12)])
    (verdict,) = evaluate_writeback(loops)
    reporter.report(WRITEBACK, verdict)
    found = latest(instance, NO_LOOPS, WRITEBACK)
    assert not found.passed
    assert found.severity is dg.AssetCheckSeverity.WARN
    assert found.metadata["busiest"].value == 12
    assert "332561422240" not in f"{found.description}{found.metadata}"
    rig.clock.advance(3_601)
    assert evaluate_writeback(loops)[0].passed


# --- freshness -------------------------------------------------------------------------------------------------------


def test_the_lane_has_a_freshness_policy_and_the_derived_assets_have_none() -> None:
    """Deliveries and tables stand still when there is nothing to do: only the lane itself gives signs of life."""
    graph = defs.resolve_asset_graph()
    policy = graph.get(ASSET).freshness_policy
    assert isinstance(policy, dg.FreshnessPolicy)
    assert policy.fail_window.to_timedelta() == LANE.freshness  # type: ignore[attr-defined]
    lanes = {dg.AssetKey(lane.asset) for lane in LANES}
    assert all(graph.get(key).freshness_policy for key in lanes)
    others = graph.get_all_asset_keys() - lanes
    assert [graph.get(key).freshness_policy for key in others] == [None] * len(others)


def test_an_idle_lane_gives_one_sign_of_life_in_half_a_window(rig: LaneRig) -> None:
    """Asset events have no retention in Dagster: they are counted."""
    (beat,) = rig.ticker.heartbeat()
    assert beat.partition == rig.clock.now().date().isoformat()
    rig.clock.advance(149)
    assert rig.ticker.heartbeat() == []
    rig.clock.advance(1.1)
    assert len(rig.ticker.heartbeat()) == 1


def test_a_lane_whose_events_wait_gives_no_sign_of_life(rig: LaneRig) -> None:
    """Ticks come, but nothing gets done: the freshness policy must notice."""
    rig.arrive(1)
    rig.dispatch.pump()
    rig.clock.advance(29.9)
    assert rig.ticker.heartbeat()
    rig.clock.advance(151)
    assert rig.ticker.heartbeat() == []


def test_a_lane_with_an_open_batch_gives_no_sign_of_life(rig: LaneRig) -> None:
    rig.arrive(1)
    rig.request()
    assert rig.ticker.heartbeat() == []


def test_dagster_stores_the_sign_of_life_of_a_real_tick(rig: LaneRig) -> None:
    """The daemon reports what the tick returns; today's partition exists."""
    answer = rig.ticker.watch()
    assert str(answer.skip_reason.skip_message) == "nothing is due"  # type: ignore[union-attr]
    (beat,) = answer.asset_events
    assert isinstance(beat, dg.AssetMaterialization)
    rig.instance.report_runless_asset_event(beat)
    stored = rig.instance.get_latest_materialization_event(ASSET)
    assert stored is not None
    assert stored.asset_materialization is not None
    assert stored.asset_materialization.metadata["heartbeat"].value is True
    partitions = defs.resolve_asset_graph().get(ASSET).partitions_def
    assert partitions is not None
    assert partitions.has_partition_key(str(beat.partition))
