"""Batches over a vendor's limits: cut, sent one after the other, and taken apart where one record spoils the rest."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from enrichment_dagster.domain.event import RecordRef
from enrichment_dagster.errors import CrmError
from enrichment_dagster.ports import CrmFailure, CrmRecord, RecordUpdate

Results = dict[RecordRef, CrmFailure | None]
Send = Callable[[Sequence[RecordUpdate]], Awaitable[Results]]
Read = Callable[[Sequence[RecordRef]], Awaitable[Mapping[RecordRef, CrmRecord | CrmFailure]]]

_T = TypeVar("_T")
_R = TypeVar("_R")
_MAX_PARTS = 40  # calls that one refused batch may lead to; one bad record of 200 needs 17


class BatchRefusedError(Exception):
    """The CRM refused a whole batch for something in it.

    ``failure`` is what a batch of one is told; ``properties`` are those that no record can be written with.
    """

    def __init__(self, failure: CrmFailure, properties: frozenset[str] = frozenset()) -> None:
        self.failure = failure
        self.properties = properties
        super().__init__(failure.reason)


def chunks(items: Sequence[_T], size: int) -> Iterator[Sequence[_T]]:
    """Cut a sequence into parts of at most ``size``."""
    return (items[start : start + size] for start in range(0, len(items), size))


@dataclass(frozen=True, slots=True)
class Limits:
    """What a CRM takes: kinds of records, ids, and records per call. ``identity`` is equal for names of one record."""

    object_types: Container[str]
    is_id: Callable[[str], bool]
    batch: int
    identity: Callable[[str], str] = str


async def read_all(refs: Sequence[RecordRef], limits: Limits, call: Read) -> dict[RecordRef, CrmRecord | CrmFailure]:
    """Read every record that can be asked for, in batches of one kind.

    Raises:
        CrmError: the first batch failed as a whole.
    """
    good, bad = _sorted_out(refs, limits)
    batches = [part for group in _by_type(good, _itself) for part in chunks(group, limits.batch)]
    return {**bad, **await _in_turn(batches, lambda batch: _isolating(batch, call, _itself), _itself)}


async def write_all(updates: Sequence[RecordUpdate], limits: Limits, send: Send) -> Results:
    """Write every update that can be sent, in batches of one kind and without a record twice.

    Raises:
        CrmError: the first batch failed as a whole.
    """
    good, bad = _sorted_out([update.ref for update in updates], limits)
    once, same = _merged([update for update in updates if update.ref not in bad], limits.identity)
    batches = [part for group in _by_type(once, _ref_of) for part in chunks(group, limits.batch)]
    sent = await _in_turn(
        batches,
        lambda batch: _isolating(batch, send, _ref_of, _has_one_of),
        _ref_of,
    )
    return {**bad, **{ref: sent[same[ref]] for ref in good}}


def _sorted_out(refs: Sequence[RecordRef], limits: Limits) -> tuple[list[RecordRef], dict[RecordRef, CrmFailure]]:
    """Return the records that can be asked for, once each, and why the others can't."""
    bad: dict[RecordRef, CrmFailure] = {}
    for ref in refs:
        if ref.object_type not in limits.object_types:
            bad[ref] = CrmFailure("unknown_object_type", transient=False)
        elif not limits.is_id(ref.record_id):
            bad[ref] = CrmFailure("invalid_id", transient=False)
    return [ref for ref in dict.fromkeys(refs) if ref not in bad], bad


def _by_type(items: Sequence[_T], ref_of: Callable[[_T], RecordRef]) -> list[list[_T]]:
    groups: dict[str, list[_T]] = {}
    for item in items:
        groups.setdefault(ref_of(item).object_type, []).append(item)
    return list(groups.values())


def _merged(
    updates: Sequence[RecordUpdate], identity: Callable[[str], str]
) -> tuple[list[RecordUpdate], dict[RecordRef, RecordRef]]:
    """Return one update per record, later properties winning, and which reference stands for which others.

    CRMs refuse a batch that names a record twice.
    """
    properties: dict[tuple[str, str], dict[str, Any]] = {}
    first: dict[tuple[str, str], RecordRef] = {}
    same: dict[RecordRef, RecordRef] = {}
    for update in updates:
        key = (update.ref.object_type, identity(update.ref.record_id))
        properties.setdefault(key, {}).update(update.properties)
        same[update.ref] = first.setdefault(key, update.ref)
    return [RecordUpdate(first[key], found) for key, found in properties.items()], same


async def _in_turn(
    batches: Sequence[Sequence[_T]],
    call: Callable[[Sequence[_T]], Awaitable[Mapping[RecordRef, _R]]],
    ref_of: Callable[[_T], RecordRef],
) -> dict[RecordRef, _R | CrmFailure]:
    """Send batches one after the other.

    When the CRM stops answering midway, what it did answer is kept, and the rest fails with its reason.

    Raises:
        CrmError: the first batch already failed.
    """
    results: dict[RecordRef, _R | CrmFailure] = {}
    for number, batch in enumerate(batches):
        try:
            results.update(await call(batch))
        except CrmError as error:
            if not number:
                raise
            failure = CrmFailure(error.reason, error.transient, error.detail)
            results.update({ref_of(item): failure for rest in batches[number:] for item in rest})
            break
    return results


async def _isolating(
    items: Sequence[_T],
    call: Callable[[Sequence[_T]], Awaitable[Mapping[RecordRef, _R]]],
    ref_of: Callable[[_T], RecordRef],
    is_guilty: Callable[[_T, frozenset[str]], bool] = lambda _item, _properties: False,
) -> dict[RecordRef, _R | CrmFailure]:
    """Make a call; if it is refused as a whole, make it with its halves, until the records at fault stand alone.

    ``is_guilty`` says whether the properties that the CRM names put an item at fault.

    Raises:
        CrmError: the CRM as a whole did not answer.
    """
    results: dict[RecordRef, _R | CrmFailure] = {}
    waiting, sent = [list(items)], 0
    while waiting:
        part = waiting.pop()
        if sent >= _MAX_PARTS:
            results.update({ref_of(item): CrmFailure("batch_refused", transient=True) for item in part})
            continue
        sent += 1
        try:
            results.update(await call(part))
        except BatchRefusedError as error:
            properties = error.properties
            guilty = [item for item in part if len(part) == 1 or is_guilty(item, properties)]
            results.update({ref_of(item): error.failure for item in guilty})
            waiting += _rest_of(part, guilty)
    return results


def _rest_of(part: list[_T], guilty: list[_T]) -> list[list[_T]]:
    """Return the parts to call for again: what is not at fault, or the halves where nothing is known."""
    if guilty:
        rest = [item for item in part if item not in guilty]
        return [rest] if rest else []
    middle = len(part) // 2
    return [part[middle:], part[:middle]]


def _itself(ref: RecordRef) -> RecordRef:
    return ref


def _ref_of(update: RecordUpdate) -> RecordRef:
    return update.ref


def _has_one_of(update: RecordUpdate, properties: frozenset[str]) -> bool:
    return not properties.isdisjoint(update.properties)
