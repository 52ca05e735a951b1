"""Reading the CRM records of events that can't wait: what is not there soon is not there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence

import structlog

from enrichment_dagster.clock import Clock
from enrichment_dagster.domain.event import Event, RecordRef
from enrichment_dagster.engine.waiting import first_done
from enrichment_dagster.ports import Crm, CrmFailure, CrmRecord, RecordMapper

Records = Mapping[RecordRef, CrmRecord | CrmFailure]

_log = structlog.get_logger(__name__)


async def read_soon(
    events: Iterable[Event], crms: Mapping[str, Crm], mapper: RecordMapper, clock: Clock, seconds: float
) -> Records:
    """Return the records of these events, read together; those of a CRM that fails or takes too long are absent."""
    kinds: dict[tuple[str, str], dict[RecordRef, None]] = {}  # a kind of record has properties of its own
    for event in events:
        ref = event.subject
        if ref.system in crms and mapper.knows(ref):
            kinds.setdefault((ref.system, ref.object_type), {})[ref] = None
    until = clock.monotonic() + seconds
    reads = (_read(crms[system], list(refs), mapper, clock, until) for (system, _), refs in kinds.items())
    return {ref: record for found in await asyncio.gather(*reads) for ref, record in found.items()}


async def _read(crm: Crm, refs: Sequence[RecordRef], mapper: RecordMapper, clock: Clock, until: float) -> Records:
    reading = asyncio.ensure_future(crm.read(refs, mapper.properties(refs[0])))
    try:
        if await first_done([reading], clock, until):
            return reading.result()
        why = "timeout"
    except Exception as error:  # noqa: BLE001 - whatever one CRM's adapter does must not cost the others' events
        why = type(error).__name__
    finally:
        reading.cancel()
    _log.info("records could not be read in time", system=crm.system, error=why, records=len(refs))
    return {}
