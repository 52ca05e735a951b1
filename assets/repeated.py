"""Checks stay in sight while runs come without a pause: each run takes over what was last found.

Dagster shows a check's result until its asset is materialized again, unless the same run has a result of the check
(``AssetCheckExecutionRecord.targets_latest_materialization``). The gateway, which evaluates the checks, can't report
after every run: a report takes 10 kB, and nothing deletes it for a month.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.event_log import SqlEventLogStorage
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable
from sqlalchemy import func, insert, literal, select

from assets.lanes import LANES
from enrichment_dagster.verdicts import CHECKS, WRITEBACK, WRITEBACK_CHECKS

MAX_AGE = timedelta(minutes=15)
"""Older results are not taken over: the gateway reports each at least every ten minutes, or it is down."""

_ENDED = (AssetCheckExecutionRecordStatus.SUCCEEDED.value, AssetCheckExecutionRecordStatus.FAILED.value)
_TAKEN = ("asset_key", "check_name", "execution_status", "evaluation_event", "evaluation_event_timestamp")


def take_over_verdicts(instance: dg.DagsterInstance, run_id: str, job: str, now: datetime) -> None:
    """Give a run the last result of each check of its assets, with the time at which it was found.

    Nothing is evaluated: the results are seconds or minutes old and speak of the last hour or day. It is one statement
    and a row for each check, where three events would be stored thrice; ``Retention`` deletes them with the run.
    """
    storage = instance.event_log_storage
    if not isinstance(storage, SqlEventLogStorage):
        return
    keys = [_key(WRITEBACK), *(_key(lane.asset) for lane in LANES if lane.job == job)]
    checks, since = AssetCheckExecutionsTable, (now - MAX_AGE).astimezone(UTC).replace(tzinfo=None)
    mine = checks.c.asset_key.in_(keys) & checks.c.check_name.in_([*CHECKS, *WRITEBACK_CHECKS])
    newest = select(func.max(checks.c.id)).where(mine).group_by(checks.c.asset_key, checks.c.check_name)
    found = select(literal(run_id).label("run_id"), *(checks.c[name] for name in _TAKEN)).where(
        checks.c.id.in_(newest),
        checks.c.execution_status.in_(_ENDED),  # one that is being evaluated has its result soon
        checks.c.evaluation_event_timestamp >= since,
    )
    with storage.index_connection() as connection:
        connection.execute(insert(checks).from_select(["run_id", *_TAKEN], found))


def _key(asset: str) -> str:
    return dg.AssetKey(asset).to_string()
