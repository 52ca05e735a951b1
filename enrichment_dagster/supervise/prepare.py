"""Creates or upgrades all stores: ``python -m enrichment_dagster.supervise.prepare``, before any process opens them.

Nothing else of the installation runs at this moment, so runs that Dagster takes for being at work are gone: they are
reported as failed, or they would hold their lane's slots.
"""

from __future__ import annotations

from dagster import DagsterInstance, DagsterRunStatus, RunsFilter

from enrichment_dagster.composition import open_stores
from enrichment_dagster.settings import load_settings

_AT_WORK = [DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]


def main() -> None:
    """Open each store once, and clear what the last end left behind."""
    open_stores(load_settings()).close()
    with DagsterInstance.get() as instance:
        fail_left_runs(instance)


def fail_left_runs(instance: DagsterInstance) -> int:
    """Report runs as failed that were at work when everything ended; returns how many."""
    left = instance.get_runs(RunsFilter(statuses=_AT_WORK))
    for run in left:
        instance.report_run_failed(run, message="The installation was ended while this run was at work.")
    return len(left)


if __name__ == "__main__":
    main()
