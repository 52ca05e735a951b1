"""A provider that fails one call in five, and what the leads get all the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from inprocess import Pipeline, running_pipeline
from sqlalchemy import select

from enrichment_dagster.store.tables import work

LEADS = 200
FAILS_SOMETIMES = {"latency": 5, "error_rate": 0.2}
WORKS = {"latency": 5}


def many(config: dict[str, Any]) -> None:
    """As shipped, but for short waits between retries."""
    config["retry"] = {"attempts": 3, "first_delay_seconds": 0.05, "max_delay_seconds": 0.2}


def without_apollo(config: dict[str, Any]) -> None:
    many(config)
    config["providers"]["apollo"]["enabled"] = False


def left_without(pipeline: Pipeline) -> dict[int, set[str]]:
    """Enrich the first people that no rule skips; return, by person, the wanted fields that stayed empty."""
    people = [person for person in pipeline.sandbox.world.all_people if person.is_business][:LEADS]
    records = {pipeline.lead(person.index).record_id: person.index for person in people}
    report = pipeline.enrich()
    assert report.outcomes.total() == LEADS
    with pipeline.stores.ops.read() as connection:
        rows = connection.execute(select(work.c.subject_id, work.c.missing).where(work.c.kind == "event")).all()
    return {records[record]: set(missing) for record, missing in rows}


def test_leads_get_what_the_healthy_providers_have_from_a_waterfall_with_a_failing_one(tmp_path: Path) -> None:
    """At 20 % errors of the first provider, 99 % of the leads have every field that the others have, at once."""
    with running_pipeline(tmp_path / "healthy", without_apollo) as pipeline:
        pipeline.faults(**{"*": WORKS})
        not_with_the_others = left_without(pipeline)
    with running_pipeline(tmp_path / "failing", many) as pipeline:
        pipeline.faults(**{"*": WORKS, "apollo.*": FAILS_SOMETIMES})
        empty = left_without(pipeline)
        statuses = pipeline.sandbox.state.counters.as_data()["statuses"]
    failed = sum(found.get("503", 0) for name, found in statuses.items() if name.startswith("apollo."))
    assert failed > 0
    short = {person: fields - not_with_the_others[person] for person, fields in empty.items()}
    served = sum(not fields for fields in short.values())
    assert served >= 0.99 * LEADS, {person: fields for person, fields in short.items() if fields}
