"""Runs whose process is gone although Dagster does not know, and what they had in hand.

The code server reports a run of its own that dies. A run that outlived its code server (which was killed and started
anew) has nobody to report its end: it would stay "started", and hold a slot of its lane, until its longest run time.
"""

from datetime import timedelta

import dagster as dg

from enrichment_dagster.store.runs import RunStore

PATIENCE = timedelta(seconds=30)
"""A run at work gives a sign of life three times as often."""


def clear_lost_runs(instance: dg.DagsterInstance, runs: RunStore) -> None:
    """Report silent runs as failed, and free the deliveries of runs that have ended."""
    for run_id in runs.silent(PATIENCE):
        run = instance.get_run_by_id(run_id)
        if run is not None and not run.is_finished:
            message = f"The run's process has given no sign of life for {PATIENCE.seconds} s: it is gone."
            instance.report_run_failed(run, message=message)
        runs.forget(run_id)
    for owner in runs.delivering():
        run = instance.get_run_by_id(owner)
        if run is not None and run.is_finished:
            runs.free_deliveries(owner)
