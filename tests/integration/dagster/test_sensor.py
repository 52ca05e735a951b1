"""The sensors as Dagster calls them: through the definitions, with the real resource."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test
from support.dagster_lane import Status
from support.dagster_product import Product

from enrichment_dagster import resources
from enrichment_dagster.definitions import defs
from enrichment_dagster.errors import ConfigurationError


def evaluate(product: Product, sensor: str, cursor: str | None = None) -> dg.SensorExecutionData:
    given = {"enrichment": resources.EnrichmentResource()}
    context = dg.build_sensor_context(
        instance=product.instance, definitions=defs, cursor=cursor, resources=given, sensor_name=sensor
    )
    return defs.get_repository_def().get_sensor_def(sensor).evaluate_tick(context)


def test_dagster_takes_the_sensors_answer(product: Product) -> None:
    """Partition key, run config and tags pass Dagster's own checks, and the tick returns as soon as work is there."""
    product.leads(1)
    begun = time.monotonic()
    data = evaluate(product, "new_lead")
    assert time.monotonic() - begun < 3
    (request,) = data.run_requests
    assert request.job_name in (None, "lead_enrichment_job")
    assert request.tags["dagster/partition"] == request.partition_key


def test_logging_is_configured_and_stores_are_opened_once(product: Product) -> None:
    """A code server answers many ticks in many threads: one store for all of them."""
    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(lambda _: resources._opened()[1], range(8)))
    assert len({id(stores) for stores in opened}) == 1
    assert product.logging_configured == ["dagster"]


def test_an_event_type_that_the_configuration_lacks_is_named(product: Product) -> None:
    with pytest.raises(ConfigurationError, match="event_types: add account_created"):
        resources.EnrichmentResource().event_type("account_created")


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
