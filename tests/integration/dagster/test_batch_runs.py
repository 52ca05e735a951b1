"""Runs of the lane's job, in process, with the real resources against the emulators."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import dagster as dg
from sqlalchemy import update
from support.dagster_product import ASSET, Product, metadata

from enrichment_dagster import resources
from enrichment_dagster.definitions import defs
from enrichment_dagster.sandbox import parse_plan
from enrichment_dagster.store.committer import GroupCommitter
from enrichment_dagster.store.tables import outbox
from enrichment_dagster.store.work import SqlWorkStore

TODAY = datetime.now(UTC).date().isoformat()


def steps(result: dg.ExecuteInProcessResult) -> list[str]:
    return [str(event.step_key) for event in result.all_events if event.is_step_success]


def test_a_batch_reaches_the_crm_and_the_warehouse(product: Product) -> None:
    """Five leads: enriched, written back, projected, and told in numbers. The CRM comes before the warehouse."""
    people = product.leads(4)
    private = product.new_contact(90, email="jane.roe@gmail.com")
    product.receive(private)
    result = product.run_batch(product.assign(), warehouse=True)

    assert steps(result) == ["lead_enrichment", "crm_writeback", "project_records"]
    (made,) = [event for event in result.get_asset_materialization_events() if event.asset_key == dg.AssetKey(ASSET)]
    assert made.partition == TODAY

    told = metadata(result)
    assert (told["events"], told["skipped"], told["deferred"]) == (5, 1, 0)
    assert told["enriched"] + told["partial"] + told["unchanged"] == 4
    assert told["reasons"] == {"personal_email": 1}
    assert told["fields_bought"] > 0
    assert told["cost_usd"] > 0
    assert told["queue_wait_p50_seconds"] <= told["queue_wait_p95_seconds"] < 60
    assert 0 < told["processing_p95_seconds"] < 25

    delivered = metadata(result, "crm_writeback")
    assert (delivered["written"], delivered["put_off"], delivered["rejected"]) == (5, 0, 0)
    for record_id in people:
        fields = product.contact(record_id)
        assert fields["enrichment_status"] in {"Complete", "Partial"}
        assert fields["enriched_at"]
    assert product.contact(private)["enrichment_status"] == "Skipped"

    assert metadata(result, "contacts")["rows_changed"] >= 4
    assert metadata(result, "companies")["rows_behind"] == 0
    assert product.rows("SELECT count(*) FROM events") == [(5,)]
    assert product.rows("SELECT count(*) >= 4 FROM contacts") == [(True,)]


def test_metadata_is_numbers_that_dagster_plots_and_nothing_of_people(product: Product) -> None:
    people = product.leads(2)
    known = [value for name in people for value in product.contact(name).values() if isinstance(value, str)]
    result = product.run_batch(product.assign())
    for event in result.get_asset_materialization_events():
        told = event.materialization.metadata
        text = str(told)
        assert not [value for value in known if len(value) > 3 and value in text]
        plain = (dg.IntMetadataValue, dg.FloatMetadataValue)
        assert {name for name, value in told.items() if not isinstance(value, plain)} <= {"reasons", "put_off_reasons"}


def test_a_personal_address_is_recorded_and_nothing_is_bought(product: Product) -> None:
    product.receive(product.new_contact(3, email="jane.roe@gmail.com"))
    told = metadata(product.run_batch(product.assign()))
    assert (told["events"], told["skipped"], told["cost_usd"]) == (1, 1, 0)
    assert product.provider_calls() == 0


def test_executing_a_finished_batch_again_changes_nothing(product: Product) -> None:
    """Somebody presses "Re-execute" in the UI, or Dagster delivers a run twice."""
    product.leads(3)
    batch = product.assign()
    product.run_batch(batch)
    writes, calls, outcomes = product.writes(), product.provider_calls(), product.outcomes()
    again = product.run_batch(batch)
    assert again.success
    assert metadata(again)["events"] == 0
    assert metadata(again, "crm_writeback")["written"] == 0
    assert (product.writes(), product.provider_calls(), product.outcomes()) == (writes, calls, outcomes)


def test_a_batch_that_another_run_holds_is_left_to_it(product: Product) -> None:
    product.leads(1)
    batch = product.assign()
    dispatch = product.stores.dispatch()
    committer = GroupCommitter(product.stores.ops, "test")
    assert SqlWorkStore(product.stores.ops, committer, product.stores.clock).lease(batch.batch_id, "another-run")
    committer.close()
    assert metadata(product.run_batch(batch))["events"] == 0
    assert len(dispatch.open_batches("lead_created")) == 1


def test_a_run_of_a_day_takes_every_open_event_of_that_day(product: Product) -> None:
    """ "Materialize" in the UI, or a backfill: no batch is named. Other days are left alone."""
    yesterday_at = datetime.now(UTC) - timedelta(days=1)
    product.leads(3, at=yesterday_at)
    product.leads(2)
    yesterday = yesterday_at.date().isoformat()
    result = product.run(yesterday)
    assert metadata(result)["events"] == 3
    assert metadata(result, "crm_writeback")["written"] == 3
    assert sum(product.outcomes().values()) == 3
    assert metadata(product.run(yesterday))["events"] == 0


def test_refresh_replays_the_finished_events_of_a_day(product: Product) -> None:
    """What was enriched is looked at again; the cache pays, and the CRM is written only where something differs."""
    product.leads(2)
    product.run_batch(product.assign())
    calls = product.provider_calls()
    assert metadata(product.run(TODAY))["events"] == 0
    told = metadata(product.run(TODAY, refresh=True))
    assert told["events"] == 2
    assert told["cost_usd"] == 0
    assert product.provider_calls() == calls


def test_a_backfill_run_of_the_asset_alone_works(product: Product) -> None:
    """The UI runs the asset without its job, and a range as one run per day."""
    product.leads(1)
    job = defs.resolve_implicit_global_asset_job_def()
    result = job.execute_in_process(
        partition_key=TODAY,
        instance=product.instance,
        asset_selection=[dg.AssetKey(ASSET)],
        tags={"dagster/backfill": "abc"},
    )
    assert metadata(result)["events"] == 1
    policy = defs.resolve_asset_graph().get(dg.AssetKey(ASSET)).backfill_policy
    assert policy is None or policy.max_partitions_per_run == 1


def test_a_day_of_which_no_event_is_known_is_an_empty_run(product: Product) -> None:
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
    assert metadata(product.run(yesterday))["events"] == 0


def test_what_was_put_off_is_delivered_by_the_write_back_job(product: Product) -> None:
    """A CRM that was down gets its values later, without the lead being enriched again."""
    (record_id,) = product.leads(1)
    state = product.sandbox.state
    batch = product.assign()
    state.plan = parse_plan({"seed": 7, "endpoints": {"*": {"latency": 0}, "hubspot.batch_update": {"error_rate": 1}}})
    told = metadata(product.run_batch(batch), "crm_writeback")
    assert (told["written"], told["put_off"]) == (0, 1)
    state.plan = parse_plan({"endpoints": {"*": {"latency": 0}}})
    with product.stores.ops.write() as connection:
        connection.execute(update(outbox).values(next_at_ms=0))
    result = defs.resolve_job_def("writeback_job").execute_in_process(instance=product.instance)
    assert metadata(result, "crm_writeback")["written"] == 1
    assert product.contact(record_id)["enrichment_status"] in {"Complete", "Partial"}


def test_upkeep_tidies_the_warehouse_and_forgets_old_runs(product: Product) -> None:
    resources.EnrichmentResource().project("a-run")
    result = defs.resolve_job_def("upkeep_job").execute_in_process(instance=product.instance)
    assert {event.step_key for event in result.all_events if event.is_step_success} == {
        "tidy_warehouse",
        "delete_old_runs",
        "forget_own_writes",
    }
    assert product.rows("SELECT count(*) FROM contacts") == [(0,)]
