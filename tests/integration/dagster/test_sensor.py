"""The sensors as Dagster calls them: through the definitions, with the real resource."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.test_utils import create_run_for_test
from support.dagster_lane import Status
from support.dagster_product import Product

from assets.lanes import BATCH_TAG, LANE_TAG, LANES, Lane
from enrichment_dagster import resources
from enrichment_dagster.definitions import defs
from enrichment_dagster.supervise.environment import Ports, process_environment
from sensors.lane import Pace

ROOT = Path(__file__).parents[3]


def evaluate(product: Product, sensor: str, cursor: str | None = None) -> dg.SensorExecutionData:
    given = {"enrichment": resources.EnrichmentResource()}
    context = dg.build_sensor_context(
        instance=product.instance, definitions=defs, cursor=cursor, resources=given, sensor_name=sensor
    )
    return defs.get_repository_def().get_sensor_def(sensor).evaluate_tick(context)


def test_dagster_takes_the_sensors_answer(product: Product, monkeypatch: pytest.MonkeyPatch) -> None:
    """Partition key, run config and tags pass Dagster's own checks, and the tick returns as soon as work is there."""
    monkeypatch.setattr(Pace, "of", lambda every: Pace(watch=60))
    product.leads(1)
    begun = time.monotonic()
    data = evaluate(product, "new_lead")
    assert time.monotonic() - begun < 30
    (request,) = data.run_requests
    assert request.job_name in (None, "lead_enrichment_job")
    assert request.tags["dagster/partition"] == request.partition_key


def test_logging_is_configured_and_stores_are_opened_once(product: Product) -> None:
    """A code server answers many ticks in many threads: one store for all of them."""
    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(lambda _: resources._opened()[1], range(8)))
    assert len({id(stores) for stores in opened}) == 1
    assert product.logging_configured == ["dagster"]


def test_a_lane_that_the_configuration_lacks_says_so_and_does_nothing(
    product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has no opportunities leaves the type out: no error at every tick, and its checks pass."""
    types = {name: found for name, found in product.settings.config.event_types.items() if name == "lead_created"}
    config = product.settings.config.model_copy(update={"event_types": types})
    monkeypatch.setattr(resources.EnrichmentResource, "config", lambda _: config)
    skipped = evaluate(product, "advanced_opportunity")
    assert skipped.skip_message == "enrichment.yaml does not name opportunity_stage_changed: there is nothing to do"
    assert defs.resolve_job_def("checks_job").execute_in_process(instance=product.instance).success


@pytest.mark.parametrize("lane", LANES, ids=lambda lane: lane.event_type)
def test_every_lane_hands_over_its_own_events(product: Product, lane: Lane) -> None:
    waited = timedelta(minutes=2)  # longer than any window in which further events may come
    product.receive("700", event_type=lane.event_type, at=datetime.now(UTC) - waited)
    (request,) = evaluate(product, lane.sensor).run_requests
    assert request.tags[LANE_TAG] == lane.event_type
    assert request.run_config["ops"][lane.asset]["config"]["batch_id"] == request.tags[BATCH_TAG]


def test_a_code_server_has_a_thread_for_each_waiting_sensor_and_four_more() -> None:
    """Ticks, run starts and the UI's calls share its threads; the daemon needs one for each sensor."""
    sensors = len(defs.get_repository_def().sensor_defs)
    environment = process_environment(Path("home"), Ports(), {})
    for name in ("DAGSTER_GRPC_MAX_WORKERS", "DAGSTER_CODE_SERVER_MAX_WORKERS"):
        assert int(environment[name]) >= 4 + 2 * sensors
    shipped = yaml.safe_load((ROOT / "dagster.yaml").read_text())
    assert shipped["sensors"]["num_workers"] >= sensors


# --- what no batch run did -------------------------------------------------------------------------------------------


def test_a_write_back_run_is_asked_for_once_deliveries_are_forgotten(
    product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing owed: no run. Owed and unattended: one run. At work: no second one."""
    assert evaluate(product, "pending_writeback").run_requests == []
    monkeypatch.setattr("enrichment_dagster.store.dispatch.DispatchStore.forgotten_deliveries", lambda _: 3)
    (request,) = evaluate(product, "pending_writeback").run_requests
    assert request.tags["enrichment/owed"] == "3"
    create_run_for_test(product.instance, job_name="writeback_job", status=Status.STARTED)
    skipped = evaluate(product, "pending_writeback")
    assert skipped.run_requests == []
    assert skipped.skip_message == "a write-back run is at work"


def test_a_projection_run_is_asked_for_once_rows_have_waited_for_a_minute(product: Product) -> None:
    """The run that made the rows copies them; what waits for a minute lost its run."""
    cursor = evaluate(product, "unprojected_rows").cursor
    product.leads(1)
    product.run_batch(product.assign())  # without the projection step: as if the run had been killed before it
    behind = evaluate(product, "unprojected_rows", cursor).cursor
    assert behind is not None
    assert evaluate(product, "unprojected_rows", behind).skip_message == "rows wait for the run that made them"
    rev, _, at = behind.partition("@")
    minute_ago = f"{rev}@{int(at) - 61}"
    assert len(evaluate(product, "unprojected_rows", minute_ago).run_requests) == 1
    create_run_for_test(product.instance, job_name="projection_job", status=Status.STARTED)
    assert evaluate(product, "unprojected_rows", minute_ago).skip_message == "a projection run is at work"
    resources.EnrichmentResource().project("a-run")
    assert evaluate(product, "unprojected_rows", minute_ago).run_requests == []
