"""A lane as its sensor sees it: a real Dagster instance, real stores, a clock moved by hand, runs in any state."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.test_utils import create_run_for_test
from support.builders import an_event
from support.clock import ManualClock
from support.rig import Rig

from assets.lanes import LANES, Lane
from enrichment_dagster.domain.dispatch import BatchState, Policy
from enrichment_dagster.domain.event import Event
from enrichment_dagster.ports import Lease
from enrichment_dagster.settings import Settings
from sensors.board import Board
from sensors.lane import Ticker

LANE, OTHER = LANES[0], LANES[1]
POLICY = Policy(max_runs_at_once=2, max_runs_per_minute=20, linger=timedelta(seconds=6), max_batch=500)
NEVER = float("inf")
Status = dg.DagsterRunStatus
_REPOSITORY = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("enrichment"), "__repository__")


class LaneRig(Rig):
    """One lane, over stores that exist. Dagster stamps its rows by the machine's clock: ours starts at that moment."""

    def __init__(self, settings: Settings, instance: dg.DagsterInstance) -> None:
        super().__init__(settings.home, ManualClock(datetime.now(UTC)))
        self.settings = settings
        self.instance = instance
        self.policy = POLICY

    def arrive(self, *numbers: int, at: datetime | None = None, **changes: Any) -> list[Event]:
        events = [an_event(number, at=at or self.clock.now(), **changes) for number in numbers]
        asyncio.run(self.journal.append(events))
        return events

    @property
    def ticker(self) -> Ticker:
        return self.ticker_of(LANE)

    def ticker_of(self, lane: Lane) -> Ticker:
        """A tick that sees everything anew."""
        policies = {LANE.event_type: self.policy, OTHER.event_type: replace(self.policy, target=timedelta(minutes=2))}
        board = Board(self.dispatch, list(policies), self.clock)
        return Ticker(lane, policies, self.dispatch, self.instance, self.clock, board, sleep=self.clock.advance)

    def requests(self) -> list[dg.RunRequest]:
        """What one look hands to Dagster."""
        return self.ticker.step(NEVER)[0]

    def request(self) -> dg.RunRequest:
        (request,) = self.requests()
        return request

    def why_waiting(self) -> str:
        requests, decision = self.ticker.step(NEVER)
        assert not requests
        return decision.why_waiting

    def batches(self) -> list[BatchState]:
        return list(self.dispatch.open_batches(LANE.event_type))

    def submit(self, request: dg.RunRequest, status: Status = Status.QUEUED, *, job: str = LANE.job) -> dg.DagsterRun:
        """Create the run of a request, as the daemon does."""
        tags = {**request.tags, "dagster/run_key": request.run_key, "dagster/sensor_name": LANE.sensor}
        return create_run_for_test(
            self.instance,
            job_name=job,
            tags=tags,
            run_config=request.run_config,
            status=status,
            remote_job_origin=RemoteJobOrigin(_REPOSITORY, job),
        )

    def run(self, request: dg.RunRequest) -> tuple[dg.DagsterRun, Lease]:
        """Create the run of a request and let it take its batch."""
        run = self.submit(request, Status.STARTED)
        lease = self.work.lease(batch_of(request), run.run_id)
        assert lease is not None
        return run, lease

    def finish(self, lease: Lease) -> None:
        asyncio.run(self.conclude(lease))

    def status(self, run: dg.DagsterRun) -> Status:
        found = self.instance.get_run_by_id(run.run_id)
        assert found is not None
        return found.status

    def with_policy(self, **changes: Any) -> None:
        self.policy = replace(self.policy, **changes)


def batch_of(request: dg.RunRequest) -> str:
    return request.run_config["ops"][LANE.asset]["config"]["batch_id"]
