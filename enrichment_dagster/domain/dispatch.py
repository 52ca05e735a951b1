"""How due events become batches, and batches become runs: a pure decision of (state, now, policy).

A batch's run is looked up by its run key, so handing the same batch to Dagster twice costs nothing. What a tick does
after a crash follows from what is stored; nothing depends on a tick having finished.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

LEASE = timedelta(seconds=30)
"""How long a batch belongs to a run that gives no sign of life; a living one renews it three times as often."""

STUCK_START = timedelta(seconds=25)
"""A run that is starting for longer has lost its process."""

SPLIT_SIZES = (500, 50, 1)
"""Largest batch for events that no, one, or more workers died with: an event that kills workers ends up alone."""

MAX_CRASHES = 5
"""An event that was alone in its batch and whose workers died so often in all is given up."""


class RunState(StrEnum):
    """What Dagster knows of a batch's run."""

    UNKNOWN = "unknown"  # no such run: never submitted, or deleted
    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class BatchState:
    """An open batch and its run."""

    batch_id: str
    attempt: int
    open_work: int  # events without a final state
    started: bool  # this attempt's run has taken the lease
    emitted_at: datetime
    lease_until: datetime
    run: RunState = RunState.UNKNOWN
    run_since: datetime | None = None  # last change of the run's state
    run_id: str = ""
    owner: str = ""  # the run that took the lease

    @property
    def in_other_hands(self) -> bool:
        """Say whether a run of an earlier attempt, given up as stuck in its start, took the lease after all."""
        return bool(self.owner and self.run_id) and self.owner != self.run_id


@dataclass(frozen=True, slots=True)
class DueGroup:
    """Due events that may share a batch: one day, one batch size limit."""

    day: str
    max_size: int
    count: int
    oldest_due_at: datetime


@dataclass(frozen=True, slots=True)
class Claim:
    """What another lane waits for: runs are shared, and it may need the next one more."""

    event_type: str
    count: int  # due events
    oldest_due_at: datetime
    queued: bool  # a batch of it is queued or starting: it takes no other run before that one works
    at_work: bool  # a run of it is at work
    watched: bool  # its sensor ticks


@dataclass(frozen=True, slots=True)
class Rival:
    """Another lane with due events, and the policy that it has."""

    claim: Claim
    policy: Policy


@dataclass(frozen=True, slots=True)
class LaneState:
    """All that a tick looks at."""

    due: Sequence[DueGroup]
    batches: Sequence[BatchState]
    live_runs: int  # batch runs of all lanes that are queued, starting or running
    runs_last_minute: int  # of all lanes
    rivals: Sequence[Rival] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """Run economy: few runs, each with much to do, and none too late."""

    max_runs_at_once: int  # of all lanes together
    max_runs_per_minute: int
    linger: timedelta  # while a run is at work, the next batch gathers this long
    max_batch: int
    target: timedelta = timedelta(minutes=1)  # within which an event is to be done

    @classmethod
    def of(
        cls, *, target_seconds: float, min_linger_seconds: float, at_once: int, per_minute: int, batch: int
    ) -> Policy:
        """Return the policy of a lane with this latency target."""
        return cls(
            max_runs_at_once=at_once,
            max_runs_per_minute=per_minute,
            linger=timedelta(seconds=max(target_seconds / 10, min_linger_seconds)),
            max_batch=batch,
            target=timedelta(seconds=target_seconds),
        )

    def urgency(self, oldest_due_at: datetime, now: datetime) -> tuple[float, float]:
        """Return what lanes are compared by: the share of its target that the oldest event has used up.

        Where that is the same (nothing has waited yet), the tighter target is the more urgent one.
        """
        return (max(now - oldest_due_at, timedelta()) / self.target, -self.target.total_seconds())

    def gathers(self, count: int, max_size: int, oldest_due_at: datetime, now: datetime) -> bool:
        """Say whether a lane with a run at work lets its next batch gather."""
        return count < min(self.max_batch, max_size) and now - oldest_due_at < self.linger


@dataclass(frozen=True, slots=True)
class Decision:
    """What the tick does, in this order."""

    finish: tuple[str, ...] = ()  # batches whose events are all done
    fail_runs: tuple[str, ...] = ()  # batches whose run is dead although Dagster does not know
    release: tuple[str, ...] = ()  # batches whose run died after it started: their events become due again
    retry: tuple[str, ...] = ()  # batches whose run ended before it started: next attempt, handed over again
    emit: tuple[str, ...] = ()  # batches to hand to Dagster (again)
    assign: DueGroup | None = None  # make a batch of this group and hand it over
    why_waiting: str = ""  # in words, when nothing is handed over

    @property
    def acts(self) -> bool:
        """Say whether there is anything to do."""
        return bool(self.finish or self.fail_runs or self.release or self.retry or self.emit or self.assign)


def decide(state: LaneState, policy: Policy, now: datetime) -> Decision:
    """Decide what a tick does with this state."""
    verdicts = {batch.batch_id: _verdict(batch, now) for batch in state.batches}

    def chosen(*names: str) -> tuple[str, ...]:
        return tuple(batch_id for batch_id, verdict in verdicts.items() if verdict in names)

    assign, why = _next_group(state, policy, verdicts, now)
    return Decision(
        finish=chosen("finish"),
        fail_runs=chosen("fail_release", "fail_retry"),
        release=chosen("release", "fail_release"),
        retry=chosen("retry", "fail_retry"),
        emit=chosen("emit"),
        assign=assign,
        why_waiting=why,
    )


def _verdict(batch: BatchState, now: datetime) -> str:
    if batch.open_work == 0:
        return "finish"
    leased = batch.started and batch.lease_until > now
    if batch.run is RunState.UNKNOWN:
        return _unknown_run(batch, leased)
    if batch.run is RunState.ENDED:
        return _ended_run(batch, leased, now)
    if batch.run is RunState.QUEUED or leased:
        return "wait"
    if batch.started:
        return "fail_release"  # it has stopped renewing its lease: the process is gone
    return "fail_retry" if now - (batch.run_since or batch.emitted_at) > STUCK_START else "wait"


def _unknown_run(batch: BatchState, leased: bool) -> str:
    if not batch.started:
        return "emit"
    return "wait" if leased else "release"


def _ended_run(batch: BatchState, leased: bool, now: datetime) -> str:
    if not batch.started:
        return _retry_with_patience(batch, now)
    return "wait" if leased and batch.in_other_hands else "release"


def _retry_with_patience(batch: BatchState, now: datetime) -> str:
    """Let attempts that never start come ever later: something is wrong that another run will not cure."""
    patience = timedelta(seconds=min(60, 2 ** (batch.attempt - 1)))
    return "retry" if now - batch.emitted_at >= patience else "wait"


def _next_group(
    state: LaneState, policy: Policy, verdicts: dict[str, str], now: datetime
) -> tuple[DueGroup | None, str]:
    if not state.due:
        return None, "nothing is due"
    group = min(state.due, key=lambda due: due.oldest_due_at)
    alive = {"wait", "emit", "retry", "fail_retry"}
    open_batches = [batch for batch in state.batches if verdicts[batch.batch_id] in alive]
    if any(not batch.started for batch in open_batches):
        return None, "a batch of this lane is queued or starting"
    if why := _no_run_is_free(state, policy):
        return None, why
    if open_batches and policy.gathers(group.count, group.max_size, group.oldest_due_at, now):
        return None, "a run is at work: the next batch gathers"
    if first := _goes_first(state, policy, group, now):
        return None, f"{first} goes first: its oldest event has waited for a larger share of its target"
    return group, ""


def _no_run_is_free(state: LaneState, policy: Policy) -> str:
    if state.live_runs >= policy.max_runs_at_once:
        return f"{state.live_runs} runs are at work"
    if state.runs_last_minute >= policy.max_runs_per_minute:
        return f"{state.runs_last_minute} runs were started in the last minute"
    return ""


def _goes_first(state: LaneState, policy: Policy, group: DueGroup, now: datetime) -> str:
    """Return a lane that needs the next free run more; empty where there is a run for this one as well.

    A lane that could not take a run at this moment is not waited for, or runs would stay unused.
    """
    left = min(policy.max_runs_at_once - state.live_runs, policy.max_runs_per_minute - state.runs_last_minute)
    mine = policy.urgency(group.oldest_due_at, now)
    before = [
        rival.claim.event_type
        for rival in state.rivals
        if _could_go(rival, now) and rival.policy.urgency(rival.claim.oldest_due_at, now) > mine
    ]
    return before[0] if len(before) >= left else ""


def _could_go(rival: Rival, now: datetime) -> bool:
    claim = rival.claim
    if claim.queued or not claim.watched:
        return False
    gathers = rival.policy.gathers(claim.count, rival.policy.max_batch, claim.oldest_due_at, now)
    return not (claim.at_work and gathers)


def split_size(crashes: int, max_batch: int) -> int:
    """Return the largest batch for events that this many workers died with."""
    return min(SPLIT_SIZES[min(crashes, len(SPLIT_SIZES) - 1)], max_batch) if crashes else max_batch
