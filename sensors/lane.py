"""One sensor per event type, from one factory: watches the inbox by long poll and hands batches to Dagster."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import dagster as dg

from assets.lanes import ATTEMPT_TAG, BATCH_TAG, LANE_TAG, LANES, Lane
from enrichment_dagster.clock import Clock, SystemClock
from enrichment_dagster.domain.dispatch import Decision, DueGroup, LaneState, Policy, decide
from enrichment_dagster.ports import BatchHandOver, DispatchPort
from enrichment_dagster.resources import EnrichmentResource
from sensors.lost import clear_lost_runs
from sensors.runs import fail_runs, live_runs, runs_since, with_runs

_EVENT_TYPES = [lane.event_type for lane in LANES]


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a tick watches and how often it looks, in seconds.

    The daemon comes round every 5 s and ticks share the code server's threads: a tick blocks for 4 s at most.
    """

    watch: float = 4.0
    idle_poll: float = 0.1
    busy_poll: float = 0.3
    gather: float = 0.12  # an import arrives as a burst: while events come in at this pace, the first batch waits
    max_gather: float = 1.5


@dataclass(frozen=True, slots=True)
class Ticker:
    """One tick of a lane, with everything that it needs handed in."""

    lane: Lane
    policy: Policy
    target: timedelta
    store: DispatchPort
    instance: dg.DagsterInstance
    clock: Clock
    pace: Pace = Pace()
    sleep: Callable[[float], None] = time.sleep

    def watch(self) -> dg.SensorResult:
        """Look again and again until there is something to run or the tick's time is over."""
        until = self.clock.monotonic() + self.pace.watch
        self.store.beat(f"tick:{self.lane.event_type}")
        while True:
            requests, decision = self.step(until)
            if requests:
                return dg.SensorResult(run_requests=requests)
            if self.clock.monotonic() >= until:
                why = decision.why_waiting or "another tick was quicker"
                return dg.SensorResult(skip_reason=dg.SkipReason(why), asset_events=self.heartbeat())
            self.wait(until)

    def step(self, until: float) -> tuple[list[dg.RunRequest], Decision]:
        """Look, decide and do it once; returns what is to be handed to Dagster."""
        self.store.pump()
        state = self.look()
        decision = decide(state, self.policy, self.clock.now())
        if not decision.acts:
            return [], decision
        self._repair(state, decision)
        batches = self.store.hand_over((*decision.retry, *decision.emit), next_attempt=decision.retry)
        if decision.assign is not None:
            self._gather(decision.assign, until)
            batch = self.store.assign(self.lane.event_type, decision.assign, self.policy.max_batch)
            batches = [*batches, batch] if batch else batches
        return [run_request(self.lane, batch, self.clock.now()) for batch in batches], decision

    def look(self) -> LaneState:
        """Return the lane's state."""
        event_type = self.lane.event_type
        return LaneState(
            due=self.store.due_groups(event_type, self.policy.max_batch),
            batches=with_runs(self.instance, self.store.open_batches(event_type)),
            live_runs=live_runs(self.instance, _EVENT_TYPES),
            runs_last_minute=runs_since(self.instance, _EVENT_TYPES, self.clock.now() - timedelta(minutes=1)),
        )

    def wait(self, until: float) -> None:
        """Sleep until there may be something to do."""
        pause = self.pace.busy_poll if self._something_is_due() else self.pace.idle_poll
        while (left := until - self.clock.monotonic()) > 0:
            self.sleep(min(pause, left))
            # The gateway pumps as well: a new event may be due work already when this tick looks.
            if self.store.backlog() or self._something_is_due():
                return

    def heartbeat(self) -> list[dg.AssetMaterialization]:
        """Return a sign of life of an idle lane, at most one per half freshness window.

        It is honest: a lane with an open batch, or with an event that has been due for half its target, gives none, so
        that its freshness policy notices when ticks come but nothing gets done.
        """
        lane, now = self.lane, self.clock.now()
        last = self.store.last_beat(f"fresh:{lane.event_type}")
        if last is not None and now - last < lane.freshness / 2:
            return []
        if self.store.oldest_due_age(lane.event_type) > self.target / 2 or self.store.open_batches(lane.event_type):
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
            self.store.pump()
            now_due = self._count_due(group)
            if now_due <= seen:
                return
            seen = now_due

    def _count_due(self, like: DueGroup) -> int:
        groups = self.store.due_groups(self.lane.event_type, self.policy.max_batch)
        return sum(group.count for group in groups if (group.day, group.max_size) == (like.day, like.max_size))

    def _something_is_due(self) -> bool:
        return self.store.oldest_due_age(self.lane.event_type) > timedelta()


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
        minimum_interval_seconds=1,  # the daemon makes five of it
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"{lane.meaning}: hands their events to {lane.asset}, one run per batch.",
    )
    def _sensor(context: dg.SensorEvaluationContext, enrichment: EnrichmentResource) -> dg.SensorResult:
        clear_lost_runs(context.instance, enrichment.runs())
        return lane_ticker(lane, context.instance, enrichment).watch()

    return _sensor


def lane_ticker(lane: Lane, instance: dg.DagsterInstance, enrichment: EnrichmentResource) -> Ticker:
    """Return a tick of a lane as it is configured."""
    runs, event_type = enrichment.config().runs, enrichment.event_type(lane.event_type)
    policy = Policy.of(
        target_seconds=event_type.latency_target_seconds,
        min_linger_seconds=runs.min_linger_seconds,
        at_once=runs.max_runs_at_once,
        per_minute=runs.max_runs_per_minute,
        batch=runs.max_batch,
    )
    target = timedelta(seconds=event_type.latency_target_seconds)
    return Ticker(lane, policy, target, enrichment.dispatch(), instance, SystemClock())
