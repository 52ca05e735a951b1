"""Checks stay in sight while runs come without a pause: each run repeats what was last found.

Dagster shows a check's result until its asset is materialized again, unless the same run reported both
(``AssetCheckExecutionRecord.targets_latest_materialization``). The gateway, which evaluates the checks, can't report
after every run: its reports have no run, so nothing deletes them. What a run reports is deleted with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecord

from assets.lanes import LANES
from enrichment_dagster.verdicts import CHECKS, WRITEBACK, WRITEBACK_CHECKS

EVALUATED_AT = "evaluated_at"

MAX_AGE = timedelta(minutes=15)
"""Older verdicts are not repeated: the gateway reports each at least every ten minutes, or it is down."""


def repeat_verdicts(context: dg.AssetExecutionContext, now: datetime) -> None:
    """Report the last verdict of the checks of this run's assets once more, with when it was found.

    Nothing is evaluated here: the last verdict is seconds or minutes old and speaks of the last hour or day.
    """
    keys = _keys(WRITEBACK, WRITEBACK_CHECKS)
    keys += [key for lane in LANES if lane.job == context.job_name for key in _keys(lane.asset, CHECKS)]
    found = context.instance.event_log_storage.get_latest_asset_check_execution_by_key(keys)
    for key in keys:
        again = _again(found.get(key), now)
        if again is not None:
            context.log_event(again)


def _keys(asset: str, checks: Iterable[str]) -> list[dg.AssetCheckKey]:
    return [dg.AssetCheckKey(dg.AssetKey(asset), check) for check in checks]


def _again(record: AssetCheckExecutionRecord | None, now: datetime) -> dg.AssetCheckEvaluation | None:
    """Return the evaluation to report, or None if there is none, or none that still counts."""
    last = record.evaluation if record else None
    if record is None or not isinstance(last, dg.AssetCheckEvaluation):  # a check that is planned has none yet
        return None
    noted = last.metadata.get(EVALUATED_AT)
    at = noted.value if isinstance(noted, dg.TimestampMetadataValue) else record.create_timestamp
    if now - datetime.fromtimestamp(at, UTC) > MAX_AGE:
        return None
    return dg.AssetCheckEvaluation(
        asset_key=last.asset_key,
        check_name=last.check_name,
        passed=last.passed,
        severity=last.severity,
        description=last.description,
        metadata={**last.metadata, EVALUATED_AT: dg.MetadataValue.timestamp(at)},
    )
