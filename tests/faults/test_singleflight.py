"""Many events about one person, worked on by several processes at the same moment, against real HTTP."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from asking_process import LANE, ask
from inprocess import Pipeline, running_pipeline
from sqlalchemy import select

from enrichment_dagster.clock import SystemClock
from enrichment_dagster.store.database import from_ms
from enrichment_dagster.store.tables import attempts, work

DANA = 0  # known to every provider without gaps
RUN_EVENTS, GATEWAY_EVENTS = 17, 16
SLOW = {"latency": 300}


@dataclass(frozen=True)
class AtMoment(SystemClock):
    """A clock that stands."""

    moment: datetime

    def now(self) -> datetime:
        return self.moment


def patient(config: dict[str, Any]) -> None:
    """A busy machine must not make a call time out: that would be a reason to call again."""
    for provider in config["providers"].values():
        provider["timeout_seconds"] = 20
    config["event_types"][LANE]["lanes"]["standard"]["deadline_seconds"] = 50


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    with running_pipeline(tmp_path, patient) as found:
        found.faults(**{"apollo.*": SLOW, "clearbit.*": SLOW, "zerobounce.*": SLOW})
        yield found


def start(pipeline: Pipeline, **job: Any) -> subprocess.Popen[str]:
    program = Path(__file__).with_name("asking_process.py")
    return subprocess.Popen(
        [sys.executable, str(program), json.dumps(job)],
        env={**os.environ, **pipeline.environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def provider_calls(pipeline: Pipeline) -> dict[str, int]:
    """How many calls reached providers, by call; alone or together with others is the same."""
    found: Counter[str] = Counter()
    for name, calls in pipeline.sandbox.state.counters.as_data()["calls"].items():
        if not name.startswith(("hubspot.", "salesforce.")):
            found[name.replace("_bulk", "").replace("_batch", "")] += calls
    return dict(found)


def paid(pipeline: Pipeline) -> list[Any]:
    with pipeline.stores.ops.read() as connection:
        return list(connection.execute(select(attempts).order_by(attempts.c.sent_at_ms)).mappings())


def test_fifty_events_of_three_processes_make_one_call_and_one_bill(pipeline: Pipeline) -> None:
    """Two runs and a process like the gateway, each with its own ledger and buyer: the store is all they share."""
    email = pipeline.sandbox.world.person(DANA).email
    for _ in range(2 * RUN_EVENTS):
        pipeline.lead(DANA)
    jobs = [{"batch_id": batch_id, "owner": f"run-{batch_id}"} for batch_id in pipeline.assign(RUN_EVENTS)]
    assert len(jobs) == 2
    workers = [start(pipeline, **job) for job in (*jobs, {"email": email, "events": GATEWAY_EVENTS})]
    try:
        assert [line(worker) for worker in workers] == ["ready"] * 3
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
        told = [json.loads(line(worker)) for worker in workers]
        assert [worker.wait(30) for worker in workers] == [0, 0, 0]
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()

    assert [report["events"] for report in told] == [RUN_EVENTS, RUN_EVENTS, GATEWAY_EVENTS]
    calls, rows = provider_calls(pipeline), paid(pipeline)
    assert calls["apollo.people_match"] == 1
    assert set(calls.values()) == {1}
    assert len(rows) == len(calls)
    assert {row["state"] for row in rows} == {"hit"}
    assert [row["subject_key"] for row in rows if row["purpose"] == "person"] == [f"email:{email}"]
    bill = sum(row["cost_micros"] for row in rows)
    assert bill > 0
    assert sum(report["cost_micros"] for report in told) == bill, "one of the fifty is charged, the others nothing"
    with pipeline.stores.ops.read() as connection:
        outcomes = connection.execute(select(work.c.outcome, work.c.missing)).all()
    assert {outcome for outcome, _ in outcomes} == {"enriched"}


def test_an_answer_is_used_again_for_a_day_and_not_a_second_longer(pipeline: Pipeline) -> None:
    email = pipeline.sandbox.world.person(DANA).email

    def ask_at(moment: datetime) -> tuple[int, int]:
        """Return what it cost and how often the person was asked for in all."""
        stores = replace(pipeline.stores, clock=AtMoment(moment))
        (draft,) = asyncio.run(ask(pipeline.settings, stores, email, 1))
        assert draft.knowledge.values["title"].provider == "apollo"
        return draft.steps["apollo.person"].cost_micros, provider_calls(pipeline)["apollo.people_match"]

    assert ask_at(datetime.now().astimezone()) == (20_000, 1)
    (first,) = [row for row in paid(pipeline) if row["purpose"] == "person"]
    fetched = from_ms(first["settled_at_ms"])
    assert ask_at(fetched + timedelta(hours=23, minutes=59)) == (0, 1)
    assert ask_at(fetched + timedelta(hours=24, seconds=1)) == (20_000, 2)
