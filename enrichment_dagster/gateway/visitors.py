"""Who visits: a visit that names only an id is of the person whom an earlier event named with that id."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from enrichment_dagster.domain.event import Event
from enrichment_dagster.domain.triggers import WEBSITE_VISIT, Triggers
from enrichment_dagster.intake.subjects import person_by_email
from enrichment_dagster.ports import Visitor, VisitorStore

_IDS = ("visitor", "anonymous")
_MOST_REMEMBERED = 20_000  # of the last writes: who clicks through a site is not written at each page


class KnownVisitors:
    """Remembers addresses by visitors' ids, and puts them into visits that have none."""

    def __init__(self, store: VisitorStore, triggers: Triggers) -> None:
        self._store = store
        self._triggers = triggers
        self._written: OrderedDict[Visitor, None] = OrderedDict()

    async def recognise(self, events: list[Event]) -> list[Event]:
        """Return the events of one sender, in their order, with the addresses that are known; learn from the others.

        Who is named anywhere in a delivery is known in all of it.
        """
        named = [visitor for event in events for visitor in _named(event)]
        if named:
            await self._remember(named)
        unnamed = [event for event in events if _is_unnamed(event)]
        if not unnamed:
            return events
        ids = list(dict.fromkeys(one for event in unnamed for one in _ids(event)))
        emails = await self._store.emails(unnamed[0].source, ids)
        return [self._with_email(event, emails) if _is_unnamed(event) else event for event in events]

    async def _remember(self, visitors: Iterable[Visitor]) -> None:
        news = [visitor for visitor in dict.fromkeys(visitors) if visitor not in self._written]
        if not news:
            return
        await self._store.remember(news)
        self._written.update(dict.fromkeys(news))
        while len(self._written) > _MOST_REMEMBERED:
            self._written.popitem(last=False)

    def _with_email(self, event: Event, emails: Mapping[str, str]) -> Event:
        email = next((emails[one] for one in _ids(event) if one in emails), "")
        person = person_by_email(email)
        if person is None:
            return event
        attributes = {**event.attributes, "email": email}
        _, skip_reason = self._triggers.judge(WEBSITE_VISIT, attributes)
        return replace(event, subject=person, attributes=attributes, skip_reason=skip_reason)


def _ids(event: Event) -> Sequence[str]:
    return [event.attributes[name] for name in _IDS if event.attributes.get(name)]


def _named(event: Event) -> list[Visitor]:
    email = event.attributes.get("email")
    return [Visitor(event.source, one, email) for one in _ids(event)] if email else []


def _is_unnamed(event: Event) -> bool:
    attributes = event.attributes
    wanting = not attributes.get("email") and not attributes.get("known_record")
    return event.event_type == WEBSITE_VISIT and wanting and bool(_ids(event))
