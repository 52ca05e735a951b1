"""What sensors ask of the operational store: due work, batches, signs of life."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from enrichment_dagster.domain.dispatch import BatchState, Claim, DueGroup


@dataclass(frozen=True, slots=True)
class BatchHandOver:
    """A batch that was just made or is handed over again: what its run request says."""

    batch_id: str
    event_type: str
    day: str
    attempt: int
    size: int
    oldest_at: datetime
    event_id: str  # of its only event; empty when it has several

    @property
    def run_key(self) -> str:
        """Return what Dagster recognises a repeated request by."""
        return f"{self.batch_id}:{self.attempt}"


TICK = "tick:"
"""Begins the name of the sign of life that each tick gives; its event type follows."""
REFUSED = "refused:"
"""Begins the name under which the gateway notes whom it refuses at the door; the sender follows."""


@dataclass(frozen=True, slots=True)
class Glance:
    """What a tick that waits looks at: is there anything to do?"""

    backlog: int  # received events that are not work yet
    due: Mapping[str, datetime]  # since when the oldest due event of each lane is due; lanes without one are absent


class DispatchPort(Protocol):
    """What a tick needs of the operational store."""

    def glance(self, event_types: Sequence[str]) -> Glance:
        """Say whether there is anything to do in any of these lanes; costs next to nothing."""
        ...

    def claims(self, patience: Mapping[str, timedelta]) -> Sequence[Claim]:
        """Return what these lanes wait for; ``patience`` says, by event type, for how long a tick may fail to come."""
        ...

    def unstarted_batches(self, event_types: Sequence[str], since: datetime) -> Sequence[BatchState]:
        """Return the batches that were handed to Dagster since then and whose runs have not started."""
        ...

    def pump(self) -> int:
        """Turn received events into work; returns how many."""
        ...

    def due_groups(self, event_type: str, max_batch: int) -> Sequence[DueGroup]:
        """Return a lane's due events by day and batch size limit."""
        ...

    def open_batches(self, event_type: str) -> Sequence[BatchState]:
        """Return a lane's open batches, their runs not looked up."""
        ...

    def oldest_due_age(self, event_type: str) -> timedelta:
        """Return how long the oldest due event has waited; zero for none."""
        ...

    def assign(self, event_type: str, group: DueGroup, max_batch: int) -> BatchHandOver | None:
        """Make a batch of a group's oldest events; None when another tick was quicker."""
        ...

    def finish(self, batch_ids: Sequence[str]) -> None:
        """Close batches whose events are all done."""
        ...

    def release(self, batch_ids: Sequence[str]) -> None:
        """Free batches whose worker died."""
        ...

    def hand_over(self, batch_ids: Sequence[str], *, next_attempt: Sequence[str] = ()) -> list[BatchHandOver]:
        """Mark batches as handed to Dagster now."""
        ...

    def beat(self, name: str, **detail: Any) -> None:
        """Note that something is alive."""
        ...

    def last_beat(self, name: str) -> datetime | None:
        """Return when something was last alive."""
        ...
