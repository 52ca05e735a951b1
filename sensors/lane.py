"""One sensor per event type, from one factory: watches the inbox by long poll and hands batches to Dagster."""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

import dagster as dg

from assets.lanes import ATTEMPT_TAG, BATCH_TAG, LANE_TAG, LANES, Lane
from enrichment_dagster.clock import Clock, SystemClock
from enrichment_dagster.domain.dispatch import Decision, LaneState, Policy, decide
from enrichment_dagster.ports import BatchHandOver, DispatchPort
from enrichment_dagster.resources import EnrichmentResource
from sensors.runs import fail_runs, live_runs, with_runs

BLOCK_SECONDS = 4.0
"""A tick waits no longer for events: the daemon comes round every 5 s, and ticks share the code server's threads."""

_IDLE_POLL_SECONDS = 0.1
_BUSY_POLL_SECONDS = 0.3
_GATHER_SECONDS = 0.12
"""An import arrives as a burst: while more events come in at this pace, the first batch waits for them."""

_MAX_GATHER_SECONDS = 1.5


@dataclass(frozen=True, slots=True)
class Ticker:
    """One tick of a lane, with everything that it needs handed in."""

    lane: Lane
    policy: Policy
    target: timedelta
    store: DispatchPort
    instance: dg.DagsterInstance
    clock: Clock

    def look(self) -> LaneState:
        """Return the lane's state."""
        event_type, now = self.lane.event_type, self.clock.now()
        return LaneState(
            due=self.store.due_groups(event_type, self.policy.max_batch),
            batches=with_runs(self.instance, self.store.open_batches(event_type)),
            live_runs=live_runs(self.instance, [lane.event_type for lane in LANES]),
            runs_last_minute=self.store.runs_since(now - timedelta(minutes=1)),
        )

    def step(self) -> tuple[list[dg.RunRequest], Decision]:
        """Look, decide and do it once; returns what is to be handed to Dagster."""
        self.store.pump()
        state = self.look()
        decision = decide(state, self.policy, self.clock.now())
        if not decision.acts:
            return [], decision
        self._repair(state, decision)
        batches = self.store.hand_over((*decision.retry, *decision.emit), next_attempt=decision.retry)
        if decision.assign is not None:
            self._gather(decision.assign.count)
            batch = self.store.assign(self.lane.event_type, decision.assign, self.policy.max_batch)
            batches = [*batches, batch] if batch else batches
        return [run_request(self.lane, batch, self.clock.now()) for batch in batches], decision

    def _repair(self, state: LaneState, decision: Decision) -> None:
        by_id = {batch.batch_id: batch for batch in state.batches}
        fail_runs(self.instance, [by_id[name] for name in decision.fail_runs], self.clock.now())
        if decision.finish:
            self.store.finish(decision.finish)
        if decision.release:
            self.store.release(decision.release)

    def _gather(self, seen: int) -> None:
        """While a burst comes in, let it: one run for all of it costs less and is sooner done."""
        give_up = time.monotonic() + _MAX_GATHER_SECONDS
        while seen > 1 and seen < self.policy.max_batch and time.monotonic() < give_up:
            time.sleep(_GATHER_SECONDS)
            self.store.pump()
            now_due = sum(group.count for group in self.store.due_groups(self.lane.event_type, self.policy.max_batch))
            if now_due <= seen:
                return
            seen = now_due

    def wait(self, decision: Decision, until: float) -> None:
        """Sleep until there may be something to do."""
        quiet = decision.why_waiting == "nothing is due"
        while time.monotonic() < until:
            time.sleep(_IDLE_POLL_SECONDS if quiet else _BUSY_POLL_SECONDS)
            if not quiet or self.store.backlog():
                return


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
        minimum_interval_seconds=1,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"{lane.meaning}: hands their events to {lane.asset}, one run per batch.",
    )
    def _sensor(context: dg.SensorEvaluationContext, enrichment: EnrichmentResource) -> dg.SensorResult:
        return tick(lane, context.instance, enrichment)

    return _sensor


def tick(lane: Lane, instance: dg.DagsterInstance, enrichment: EnrichmentResource) -> dg.SensorResult:
    """Watch the inbox for up to four seconds and return what there is to run."""
    config = enrichment.config()
    event_type = config.event_types[lane.event_type]
    policy = Policy.of(
        target_seconds=event_type.latency_target_seconds,
        min_linger_seconds=config.runs.min_linger_seconds,
        at_once=config.runs.max_runs_at_once,
        per_minute=config.runs.max_runs_per_minute,
        batch=config.runs.max_batch,
    )
    target = timedelta(seconds=event_type.latency_target_seconds)
    ticker = Ticker(lane, policy, target, enrichment.dispatch(), instance, SystemClock())
    until = time.monotonic() + BLOCK_SECONDS
    ticker.store.beat(f"tick:{lane.event_type}")
    while True:
        requests, decision = ticker.step()
        if requests:
            return dg.SensorResult(run_requests=requests)
        if time.monotonic() >= until:
            return dg.SensorResult(
                skip_reason=dg.SkipReason(decision.why_waiting), asset_events=heartbeat(ticker, ticker.clock.now())
            )
        ticker.wait(decision, until)


def heartbeat(ticker: Ticker, now: datetime) -> list[dg.AssetMaterialization]:
    """Return a sign of life of an idle lane, at most one per half freshness window.

    It is honest: a lane with an event that has been due for half its target gives none, so that its freshness policy
    notices when ticks come but nothing gets done.
    """
    lane, store = ticker.lane, ticker.store
    last = store.last_beat(f"fresh:{lane.asset}")
    if last is not None and now - last < lane.freshness / 2:
        return []
    if store.oldest_due_age(lane.event_type) > ticker.target / 2 or store.open_batches(lane.event_type):
        return []
    store.beat(f"fresh:{lane.asset}")
    return [
        dg.AssetMaterialization(
            asset_key=lane.asset,
            partition=now.date().isoformat(),
            metadata={"heartbeat": True, "events": 0},
            description="Idle: nothing was due.",
        )
    ]
