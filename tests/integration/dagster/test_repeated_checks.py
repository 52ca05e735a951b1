"""Checks stay in sight while a lane's runs come without a pause, and what the runs said of them goes with the runs."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from dagster._core.loader import LoadingContextForTest
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecord
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable
from sqlalchemy import func, select
from support.dagster_product import ASSET, Product, metadata

from assets.jobs import JOBS
from assets.repeated import MAX_AGE
from assets.retention import Retention, delete_old_runs
from enrichment_dagster.monitoring.checks import NO_LOOPS, Verdict
from enrichment_dagster.reporting import DagsterReporter
from enrichment_dagster.verdicts import CHECKS, WRITEBACK

TOLD = {"samples": 7, "p95_seconds": 2.5}


@pytest.fixture
def reporter(product: Product, monkeypatch: pytest.MonkeyPatch) -> DagsterReporter:
    monkeypatch.setattr(dg.DagsterInstance, "get", staticmethod(lambda: product.instance))
    return DagsterReporter()


def report_all(reporter: DagsterReporter, *, passed: bool = True) -> None:
    """As the gateway does."""
    for check in CHECKS:
        reporter.report("lead_created", Verdict(check, passed, f"{check} was looked at", TOLD))
    reporter.report(WRITEBACK, Verdict(NO_LOOPS, True, "no writes", {"samples": 0}))


def run_one(product: Product, person: int) -> dg.ExecuteInProcessResult:
    """Run a batch as its sensor does: the whole job, in which no check is evaluated."""
    product.receive(product.new_contact(person))
    return product.run_batch(product.assign(), warehouse=True)


def newest(product: Product, asset: str, check: str) -> AssetCheckExecutionRecord:
    key = dg.AssetCheckKey(dg.AssetKey(asset), check)
    return product.instance.event_log_storage.get_latest_asset_check_execution_by_key([key])[key]


def is_shown(product: Product, asset: str, check: str) -> bool:
    """Say whether Dagster's page shows the check's newest result, and not "Not evaluated"."""
    record = newest(product, asset, check)
    return asyncio.run(record.targets_latest_materialization(LoadingContextForTest(product.instance)))


def rows_of_checks(product: Product) -> int:
    with product.instance.event_log_storage.index_connection() as connection:  # type: ignore[attr-defined]
        return int(connection.execute(select(func.count()).select_from(AssetCheckExecutionsTable)).scalar_one())


def test_every_check_is_shown_after_each_of_many_runs(product: Product, reporter: DagsterReporter) -> None:
    report_all(reporter)
    told = newest(product, ASSET, "latency_target").event
    assert told is not None
    found_at = told.timestamp
    for person in range(3):
        assert metadata(run_one(product, person))["events"] == 1
        assert all(is_shown(product, ASSET, check) for check in CHECKS)
        assert is_shown(product, WRITEBACK, NO_LOOPS)
    record = newest(product, ASSET, "latency_target")
    last = record.evaluation
    assert last is not None
    assert last.description == "latency_target was looked at"
    assert {name: last.metadata[name].value for name in TOLD} == TOLD
    assert record.event is not None
    assert record.event.timestamp == found_at, "when it was found, not when it was taken over"


def test_what_the_gateway_finds_is_what_the_next_run_repeats(product: Product, reporter: DagsterReporter) -> None:
    """A check that fails must not be covered by an older success."""
    report_all(reporter)
    run_one(product, 1)
    report_all(reporter, passed=False)
    run_one(product, 2)
    found = newest(product, ASSET, "field_coverage").evaluation
    assert found is not None
    assert not found.passed
    assert found.severity is dg.AssetCheckSeverity.ERROR


def test_a_verdict_that_nobody_has_renewed_is_not_repeated(product: Product, reporter: DagsterReporter) -> None:
    """A gateway that is down leaves "Not evaluated", however many runs follow; it is no success."""
    run_one(product, 1)  # nothing was ever found: there is nothing to repeat
    assert rows_of_checks(product) == 0
    report_all(reporter)
    old = (datetime.now(UTC) - MAX_AGE - timedelta(minutes=1)).replace(tzinfo=None)
    with product.instance.event_log_storage.index_connection() as connection:  # type: ignore[attr-defined]
        connection.execute(AssetCheckExecutionsTable.update().values(evaluation_event_timestamp=old))
    before = rows_of_checks(product)
    run_one(product, 2)
    assert rows_of_checks(product) == before
    assert not is_shown(product, ASSET, "latency_target")


def test_a_check_that_is_being_evaluated_is_left_alone(product: Product, reporter: DagsterReporter) -> None:
    report_all(reporter)
    with product.instance.event_log_storage.index_connection() as connection:  # type: ignore[attr-defined]
        connection.execute(AssetCheckExecutionsTable.update().values(execution_status="PLANNED"))
    before = rows_of_checks(product)
    run_one(product, 1)
    assert rows_of_checks(product) == before


def test_nothing_that_a_run_said_of_checks_outlives_it(product: Product, reporter: DagsterReporter) -> None:
    """Dagster itself would keep these rows for ever: some 4 kB a run."""
    report_all(reporter)
    before = rows_of_checks(product)
    run = run_one(product, 1)
    assert rows_of_checks(product) == before + len(CHECKS) + 1
    later = datetime.now(UTC) + timedelta(hours=49)
    assert delete_old_runs(product.instance, JOBS, Retention(), later) == 1
    assert rows_of_checks(product) == before
    assert not product.instance.has_run(run.run_id)
