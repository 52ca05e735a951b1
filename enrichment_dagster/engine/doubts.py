"""What an event makes doubtful of what is known: after a job change the company and the job are asked for again."""

from __future__ import annotations

from enrichment_dagster.domain.event import Event
from enrichment_dagster.domain.fields import FIELDS, Level
from enrichment_dagster.domain.triggers import DATA_QUALITY

_JOB_CHANGE = "job_change"
_OF_THE_JOB = frozenset({"title", "seniority"})


def has_moved(event: Event) -> bool:
    """Say whether a sender reports that the person works elsewhere now."""
    return event.event_type == DATA_QUALITY and event.attributes.get("problem") == _JOB_CHANGE


def is_of_the_job(name: str) -> bool:
    """Say whether a field is about the job and not the person.

    The address of an old job is of no use to write to, but providers know the person by it.
    """
    return name in _OF_THE_JOB or FIELDS[name].level is Level.COMPANY
