"""One sensor per event type, from one factory: watches the inbox by long poll and hands batches to Dagster."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from threading import Lock
from typing import Self

import dagster as dg

from assets.lanes import ATTEMPT_TAG, BATCH_TAG, LANE_TAG, LANES, Lane, with_lane
from enrichment_dagster.clock import Clock, SystemClock
from enrichment_dagster.composition import Stores
from enrichment_dagster.domain.config import EnrichmentConfig
from enrichment_dagster.domain.dispatch import (
    Decision,
    DueGroup,
    LaneState,
    Policy,
    Rival,
    RunState,
    decide,
)
from enrichment_dagster.ports import TICK, BatchHandOver, DispatchPort
from enrichment_dagster.resources import EnrichmentResource
from sensors.board import Board, RunCounts
from sensors.lost import clear_lost_runs
from sensors.runs import fail_runs, live_runs, runs_of_last_minute, with_runs

_EVERY = {lane.event_type: lane.every for lane in LANES}
_LATE_TICK = timedelta(seconds=15)  # a sensor whose tick is later than this is stopped, or its daemon is
_SUBMITTED = timedelta(minutes=1)  # Dagster shows a run within seconds after its tick has asked for it
_LOST_RUNS_SECONDS = 5.0
_SPARE = timedelta(seconds=150)  # before a freshness window ends; each sign of life is kept for a month
_SHARED = 0.8  # of the pause between two looks of one tick: for so long another one's look will do
_opening = Lock()


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a tick watches and how often it looks, in seconds.

    Waiting costs a thread, a tick costs processor time: lanes with relaxed targets tick seldom and watch longer. What
    stops must wait for the ticks that watch, so none does for more than nine seconds.
    """

    watch: float = 4.0
    idle_poll: float = 0.1
    busy_poll: float = 0.3
    gather: float = 0.12  # an import arrives as a burst: while events come in at this pace, the first batch waits
    max_gather: float = 1.5

    @classmethod
    def of(cls, every: timedelta) -> Self:
        """Return the pace of a lane that ticks this often."""
        often = every <= timedelta(seconds=5)
        return cls(watch=min(every.total_seconds() - 1, 9.0), busy_poll=0.3 if often else 1.0)


@dataclass(frozen=True, slots=True)
class Ticker:
    """One tick of a lane, with everything that it needs handed in."""

    lane: Lane
    policies: Mapping[str, Policy]  # of all lanes, by event type
    store: DispatchPort
    instance: dg.DagsterInstance
    clock: Clock
    board: Board
    pace: Pace = Pace()
    sleep: Callable[[float], None] = time.sleep

    @property
    def policy(self) -> Policy:
        """Return the lane's own policy."""
        return self.policies[self.lane.event_type]

    def watch(self) -> dg.SensorResult:
        """Look again and again until there is something to run or the tick's time is over."""
        until = self.clock.monotonic() + self.pace.watch
        self.store.beat(TICK + self.lane.event_type)
        while True:
            requests, decision = self.step(until)
            if requests:
                return dg.SensorResult(run_requests=requests)
            if self.clock.monotonic() >= until:
                why = self._why_waiting(decision)
                return dg.SensorResult(skip_reason=dg.SkipReason(why), asset_events=self.heartbeat())
            self.wait(until)

    def step(self, until: float) -> tuple[list[dg.RunRequest], Decision]:
        """Look, decide and do it once; returns what is to be handed to Dagster."""
        self.board.pump()
        decision = decide(self.look(self.pace.busy_poll), self.policy, self.clock.now())
        if not decision.acts:
            return [], decision
        if decision.assign is not None:
            self._gather(decision.assign, until)
        with self.board.deciding:  # other lanes may have taken the runs that were free
            state = self.look(0)
            decision = decide(state, self.policy, self.clock.now())
            self._repair(state, decision)
            batches = self.store.hand_over((*decision.retry, *decision.emit), next_attempt=decision.retry)
            if decision.assign is not None:
                batch = self.store.assign(self.lane.event_type, decision.assign, self.policy.max_batch)
                batches = [*batches, batch] if batch else batches
        return [run_request(self.lane, batch, self.clock.now()) for batch in batches], decision

    def look(self, max_age: float) -> LaneState:
        """Return the lane's state; what the other lanes do is asked only if there is something to hand over.

        ``max_age`` is how old the counts of runs may be, in seconds.
        """
        event_type = self.lane.event_type
        due = self.store.due_groups(event_type, self.policy.max_batch)
        batches = with_runs(self.instance, self.store.open_batches(event_type))
        if not due:
            return LaneState(due, batches, 0, 0)
        counts = self.board.runs(self._count_runs, max_age)
        return LaneState(due, batches, counts.live, counts.last_minute, self._rivals())

    def _count_runs(self) -> RunCounts:
        """Count the runs that Dagster has and, of batches that were handed over just now, those that it will have."""
        now = self.clock.now()
        handed_over = self.store.unstarted_batches(list(self.policies), now - _SUBMITTED)
        unknown = sum(batch.run is RunState.UNKNOWN for batch in with_runs(self.instance, handed_over))
        lanes = list(_EVERY)
        started = runs_of_last_minute(self.instance, lanes, now)
        return RunCounts(live_runs(self.instance, lanes) + unknown, started + unknown)

    def _others(self) -> list[str]:
        return [name for name in self.policies if name != self.lane.event_type]

    def _rivals(self) -> list[Rival]:
        patience = {name: _EVERY[name] + _LATE_TICK for name in self._others()}
        return [Rival(claim, self.policies[claim.event_type]) for claim in self.store.claims(patience)]

    def wait(self, until: float) -> None:
        """Sleep until there may be something to do."""
        pause = self.pace.busy_poll if self._something_is_due() else self.pace.idle_poll
        while (left := until - self.clock.monotonic()) > 0:
            self.sleep(min(pause, left))
            if self._something_is_due():
                return

    def _something_is_due(self) -> bool:
        max_age = self.pace.idle_poll * _SHARED
        if self.board.inbox(max_age).backlog:
            self.board.pump()
        return self.lane.event_type in self.board.inbox(max_age).due

    def _why_waiting(self, decision: Decision) -> str:
        """Return why nothing is handed over, and the lane's lag."""
        why = decision.why_waiting or "another tick was quicker"
        due = self.store.due_groups(self.lane.event_type, self.policy.max_batch)
        if not due:
            return why
        waited = (self.clock.now() - min(group.oldest_due_at for group in due)).total_seconds()
        events, target = sum(group.count for group in due), self.policy.target.total_seconds()
        return f"{why}; events that wait: {events}, the oldest for {waited:.0f} s of {target:g} s"

    def heartbeat(self) -> list[dg.AssetMaterialization]:
        """Return a sign of life of an idle lane, some minutes before its freshness window ends.

        It is honest: a lane with an open batch, or with an event that has been due for half its target, gives none, so
        that its freshness policy notices when ticks come but nothing gets done.
        """
        lane, now = self.lane, self.clock.now()
        last = self.store.last_beat(f"fresh:{lane.event_type}")
        if last is not None and now - last < lane.freshness - _SPARE:
            return []
        late = self.store.oldest_due_age(lane.event_type) > self.policy.target / 2
        if late or self.store.open_batches(lane.event_type):
            return []
        self.store.beat(f"fresh:{lane.event_type}")
        return [
            dg.AssetMaterialization(
                asset_key=lane.asset,
                partition=now.date().isoformat(),
                metadata={"heartbeat": True},  # no numbers: they would spoil the plots of the batches' own
                description="Sign of life: the lane is idle, no event is due. Batches are reported by their runs.",
            )
        ]

    def _repair(self, state: LaneState, decision: Decision) -> None:
        by_id = {batch.batch_id: batch for batch in state.batches}
        fail_runs(self.instance, [by_id[name] for name in decision.fail_runs], self.clock.now())
        if decision.finish:
            self.store.finish(decision.finish)
        if decision.release:
            self.store.release(decision.release)

    def _gather(self, group: DueGroup, until: float) -> None:
        """While a burst comes in, let it: one run for all of it costs less and is sooner done.

        Also the very first event waits one moment: alone it would take a run, and the rest of its burst would linger.
        """
        give_up = min(until, self.clock.monotonic() + self.pace.max_gather)
        seen = group.count
        while seen < group.max_size and self.clock.monotonic() < give_up:
            self.sleep(self.pace.gather)
            self.board.pump()
            now_due = self._count_due(group)
            if now_due <= seen:
                return
            seen = now_due

    def _count_due(self, like: DueGroup) -> int:
        groups = self.store.due_groups(self.lane.event_type, self.policy.max_batch)
        return sum(group.count for group in groups if (group.day, group.max_size) == (like.day, like.max_size))


def run_request(lane: Lane, batch: BatchHandOver, now: datetime) -> dg.RunRequest:
    """Return the run request of a batch: ids and counts, no personal data."""
    oldest = max(0.0, (now - batch.oldest_at).total_seconds())
    tags = {
        LANE_TAG: lane.event_type,
        BATCH_TAG: batch.batch_id,
        ATTEMPT_TAG: str(batch.attempt),
        "enrichment/events": str(batch.size),
        "enrichment/oldest_seconds": f"{oldest:.1f}",
    }
    if batch.event_id:
        tags["enrichment/event_id"] = batch.event_id
    return dg.RunRequest(
        run_key=batch.run_key,
        partition_key=batch.day,
        run_config={"ops": {lane.asset: {"config": {"batch_id": batch.batch_id}}}},
        tags=tags,
    )


def lane_sensor(lane: Lane) -> dg.SensorDefinition:
    """Return the sensor of a lane."""

    @dg.sensor(
        name=lane.sensor,
        job_name=lane.job,
        # The daemon comes round every five seconds: a little less, or a round that is a moment early is passed over.
        minimum_interval_seconds=max(1, round(lane.every.total_seconds()) - 4),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"{lane.meaning}: hands their events to {lane.asset}, one run per batch.",
    )
    def _sensor(context: dg.SensorEvaluationContext, enrichment: EnrichmentResource) -> dg.SensorResult | dg.SkipReason:
        if lane.event_type not in enrichment.config().event_types:
            return dg.SkipReason(f"enrichment.yaml does not name {lane.event_type}: there is nothing to do")
        board = shared_board(enrichment.stores())
        if board.is_first_in(_LOST_RUNS_SECONDS):
            clear_lost_runs(context.instance, enrichment.runs())
        return lane_ticker(lane, context.instance, enrichment, board).watch()

    return _sensor


def lane_ticker(lane: Lane, instance: dg.DagsterInstance, enrichment: EnrichmentResource, board: Board) -> Ticker:
    """Return a tick of a lane as it is configured."""
    policies = lane_policies(enrichment.config())
    return Ticker(lane, policies, enrichment.dispatch(), instance, SystemClock(), board, Pace.of(lane.every))


def shared_board(stores: Stores) -> Board:
    """Return the board of this process: one, however many ticks ask at the same time."""
    with _opening:
        return _board(stores)


@lru_cache(maxsize=1)
def _board(stores: Stores) -> Board:
    return Board(stores.dispatch(), list(_EVERY), SystemClock())


def lane_policies(config: EnrichmentConfig) -> dict[str, Policy]:
    """Return the policy of each lane that is configured."""
    runs = config.runs
    return {
        name: Policy.of(
            target_seconds=event_type.latency_target_seconds,
            min_linger_seconds=runs.min_linger_seconds,
            at_once=runs.max_runs_at_once,
            per_minute=runs.max_runs_per_minute,
            batch=runs.max_batch,
        )
        for name, event_type in with_lane(config.event_types).items()
    }
