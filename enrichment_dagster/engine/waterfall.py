"""Enriching one event: what the CRM knows, then the plan's lookups until every wanted field is filled."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from enrichment_dagster.clock import Clock
from enrichment_dagster.domain.event import Lane
from enrichment_dagster.domain.outcome import MissingReason
from enrichment_dagster.engine.absorb import absorb_answer
from enrichment_dagster.engine.changes import settle
from enrichment_dagster.engine.circumstances import NO_CIRCUMSTANCES, Circumstances
from enrichment_dagster.engine.draft import Draft, add_step, start_draft
from enrichment_dagster.engine.ordering import asked_order
from enrichment_dagster.engine.plan import UNLISTED, Plan
from enrichment_dagster.engine.purchase import Asker, Buyer, Purchase
from enrichment_dagster.engine.subjects import NOBODY, NOTHING, Known, Subject
from enrichment_dagster.engine.waiting import first_done
from enrichment_dagster.ports import REFUSALS, Lookup, ProviderStanding, Query, Step, WorkItem

_FIRST_HEDGE_SECONDS = 0.8
"""When the backup is sent as long as a lookup's own latency is not known yet."""

_MOMENT_SECONDS = 0.1
"""How long calls under way for useful fields are waited for, once all wanted ones are there.

Without it a lead's score would depend on which of two calls ends a millisecond before the other.
"""

_UNASKED = {"not_ready": MissingReason.POLICY, "not_reached": MissingReason.TIMEOUT}
"""What it makes of a field that a lookup was not asked for it."""

Standings = Mapping[str, ProviderStanding]
Orders = Mapping[str, Sequence[str]]


def orders_now(plan: Plan, standings: Standings) -> Orders:
    """Return for each wanted field the lookups in the order in which they are asked at present."""
    demoted = frozenset(name for name, standing in standings.items() if standing.demoted)
    p50 = {
        f"{provider}.{purpose}": ms
        for provider, standing in standings.items()
        for purpose, ms in standing.p50_ms.items()
    }
    return {
        name: asked_order(plan.orders.get(name, ()), plan.lookups, plan.prefer, p50, demoted) for name in plan.wanted
    }


async def enrich_event(
    item: WorkItem,
    known: Mapping[str, Any],
    plan: Plan,
    buyer: Buyer,
    clock: Clock,
    *,
    known_from: str,
    company: Known = NOTHING,
    subject: Subject = NOBODY,
    standings: Standings | None = None,
    orders: Orders | None = None,
    deadline_seconds: float | None = None,
    circumstances: Circumstances = NO_CIRCUMSTANCES,
) -> Draft:
    """Fill the event's wanted fields from the plan's lookups, within the plan's deadline or the one given.

    ``known`` are the fields that the record (``known_from``) has already, under our names; they are kept, and so is
    what the ``company``'s own record has. ``subject`` are the records themselves. ``orders`` may be given where many
    events share them.
    """
    draft = start_draft(
        item,
        known,
        plan,
        clock.now(),
        known_from=known_from,
        company=company,
        subject=subject,
        circumstances=circumstances,
    )
    if draft.skip_reason:
        return draft
    standings = standings or {}
    deadline = clock.monotonic() + (plan.deadline_seconds if deadline_seconds is None else deadline_seconds)
    filling = _Filling(draft, plan, buyer, clock, deadline, standings, orders or orders_now(plan, standings))
    await filling.run()
    settle(draft, plan)
    filling.note_the_rest()
    return draft


@dataclass(slots=True)
class _Running:
    lookup: Lookup
    subject: str
    started: float
    task: asyncio.Task[Purchase]
    hedge: bool = False


@dataclass(slots=True)
class _Filling:
    """The loop over a plan's lookups for one event."""

    draft: Draft
    plan: Plan
    buyer: Buyer
    clock: Clock
    deadline: float
    standings: Standings
    orders: Orders
    asked: set[tuple[str, str]] = field(default_factory=set)  # lookup and subject
    running: list[_Running] = field(default_factory=list)
    complete_at: float | None = None  # since when no call that runs could change what counts

    async def run(self) -> None:
        if self.plan.mode == "sequential":
            await self._one_after_the_other()
            return
        try:
            while self.clock.monotonic() < self.deadline:
                self._start_what_is_due()
                self._note_completion()
                if not self.running or self._may_end():
                    return
                await first_done([r.task for r in self.running], self.clock, self._next_moment())
                self._take_what_is_done()
        finally:
            self._abandon()

    async def _one_after_the_other(self) -> None:
        while self.clock.monotonic() < self.deadline:
            found = next(self._candidates(), None)
            if found is None:
                return
            lookup, subject = found
            self.asked.add((lookup.name, subject))
            self._take(lookup, subject, await self._ask(lookup, subject), hedge=False)

    # --- what to ask -----------------------------------------------------------------------------------------------

    def _candidates(self) -> Iterator[tuple[Lookup, str]]:
        """Yield what is worth asking now: for the first missing field its first lookup, and so on."""
        query: Query | None = None
        seen = set()
        only = self.draft.item.scope.lookups
        for name in self._open_fields():
            for lookup_name in self.orders.get(name, ()):
                if lookup_name in seen or (only and lookup_name not in only):
                    continue
                seen.add(lookup_name)
                query = query or self.draft.query()
                lookup = self.plan.lookups[lookup_name]
                subject = None if self._has_nothing_to_verify(lookup) else lookup.subject(query)
                if subject is None:
                    self.draft.steps.setdefault(lookup_name, Step(lookup_name, "not_ready"))
                elif (lookup_name, subject) not in self.asked:
                    yield lookup, subject

    def _has_nothing_to_verify(self, lookup: Lookup) -> bool:
        """Say whether a lookup only tells whether an address works, and the only one known is proven not to."""
        return lookup.gives == {"email_status"} and "email" not in self.draft.knowledge.values

    def _open_fields(self) -> list[str]:
        """Return the wanted fields without a value, or with one from a lookup that the plan does not list for them."""
        values = self.draft.knowledge.values
        return [n for n in self.draft.knowledge.wanted if n not in values or values[n].precedence >= UNLISTED]

    def _start_what_is_due(self) -> None:
        if self.plan.mode == "parallel":
            for lookup, subject in list(self._candidates()):
                self._start(lookup, subject, hedge=False)
            return
        slow = bool(self.running) and all(self._hedge_at(r) <= self.clock.monotonic() for r in self.running)
        if not self.running or slow:
            found = next(self._candidates(), None)
            if found is not None:
                self._start(*found, hedge=slow)

    def _start(self, lookup: Lookup, subject: str, *, hedge: bool) -> None:
        self.asked.add((lookup.name, subject))
        task = asyncio.create_task(self._ask(lookup, subject, "hedge" if hedge else ""))
        self.running.append(_Running(lookup, subject, self.clock.monotonic(), task, hedge))

    async def _ask(self, lookup: Lookup, subject: str, role: str = "") -> Purchase:
        item = self.draft.item
        # What the routing lane leaves behind at its deadline, the standard lane finds answered a moment later.
        outlives = self.plan.lane == Lane.ROUTING and self.plan.mode != "sequential"
        asker = Asker(item.event.event_id, item.work_id, self.deadline, self.plan.budget_micros, role, outlives)
        return await self.buyer.ask(lookup, self.draft.query(), subject, asker)

    # --- how long to wait ------------------------------------------------------------------------------------------

    def _hedge_at(self, running: _Running) -> float:
        """Return when a call counts as slow: past the 95th percentile of what its lookup usually takes."""
        standing = self.standings.get(running.lookup.provider)
        p95_ms = standing.p95_ms.get(running.lookup.purpose) if standing else None
        return running.started + (_FIRST_HEDGE_SECONDS if p95_ms is None else p95_ms / 1_000)

    def _next_moment(self) -> float:
        if self.complete_at is not None:
            return min(self.deadline, self.complete_at + _MOMENT_SECONDS)
        if self.plan.mode != "hedged":
            return self.deadline
        later = [at for r in self.running if (at := self._hedge_at(r)) > self.clock.monotonic()]
        return min([self.deadline, *later])

    def _is_enough(self) -> bool:
        """Say whether no call that still runs could change what counts."""
        knowledge = self.draft.knowledge
        return not knowledge.missing() and not any(
            self.plan.precedence(name, r.lookup.name) < knowledge.values[name].precedence
            for r in self.running
            for name in self.draft.knowledge.wanted
            if name in r.lookup.gives
        )

    def _note_completion(self) -> None:
        if not self._is_enough():
            self.complete_at = None
        elif self.complete_at is None:
            self.complete_at = self.clock.monotonic()

    def _may_end(self) -> bool:
        """Say whether all is there, and no call under way may give a missing useful field within its moment."""
        if self.complete_at is None:
            return False
        lacking = self.plan.useful.difference(self.draft.knowledge.values)
        is_worth_it = any(lacking & r.lookup.gives for r in self.running)
        return not is_worth_it or self.clock.monotonic() >= self.complete_at + _MOMENT_SECONDS

    # --- what came of it ---------------------------------------------------------------------------------------------

    def _take_what_is_done(self) -> None:
        done = [r for r in self.running if r.task.done()]
        self.running = [r for r in self.running if not r.task.done()]
        for r in done:
            self._take(r.lookup, r.subject, r.task.result(), hedge=r.hedge)

    def _take(self, lookup: Lookup, subject: str, purchase: Purchase, *, hedge: bool) -> None:
        draft = self.draft
        draft.cost_micros += purchase.cost_micros
        if purchase.answer is not None:
            absorb_answer(draft, lookup, subject, purchase, self.plan)
        elif purchase.awaits:
            draft.awaits.append(purchase.awaits)
            draft.knowledge.obstruct(lookup.gives, MissingReason.PENDING)
        else:
            draft.knowledge.obstruct(lookup.gives, _missing_reason(purchase))
        add_step(draft, _step(lookup, purchase, hedge=hedge))

    def _abandon(self) -> None:
        """Leave calls that still run to themselves: they are settled and remembered, only nobody waits for them."""
        for r in self.running:
            r.task.cancel()
            self.draft.knowledge.obstruct(r.lookup.gives, MissingReason.TIMEOUT)
            add_step(self.draft, Step(r.lookup.name, "abandoned", hedge=r.hedge))
        self.running = []

    def note_the_rest(self) -> None:
        """Say of each lookup that was not asked why it was not."""
        draft, missing = self.draft, set(self.draft.knowledge.missing())
        listed = dict.fromkeys(n for field_name in self.draft.knowledge.wanted for n in self.orders.get(field_name, ()))
        for name in [n for n in listed if n in (draft.item.scope.lookups or listed)]:
            could_help = bool(missing.intersection(self.plan.lookups[name].gives))
            if name not in draft.steps:
                draft.steps[name] = Step(name, "not_reached" if could_help else "not_needed")
            unasked = _UNASKED.get(draft.steps[name].result)
            if unasked is not None:
                draft.knowledge.obstruct(self.plan.lookups[name].gives, unasked)


def _missing_reason(purchase: Purchase) -> MissingReason:
    if purchase.refused:
        return REFUSALS.get(purchase.failure, MissingReason.PROVIDER_DOWN)
    return MissingReason.TIMEOUT if purchase.failure == "timeout" else MissingReason.PROVIDER_DOWN


def _step(lookup: Lookup, purchase: Purchase, *, hedge: bool) -> Step:
    if purchase.answer is not None:
        result = "hit" if purchase.answer.is_hit else "miss"
    elif purchase.awaits:
        result = "pending"
    else:
        result = "refused" if purchase.refused else "error"
    return Step(
        lookup=lookup.name,
        result=result,
        reason=purchase.failure,
        cached=purchase.cached,
        stale=purchase.stale,
        hedge=hedge,
        cost_micros=purchase.cost_micros,
        latency_ms=purchase.latency_ms,
        fetched_at=purchase.fetched_at if purchase.answer is not None else None,
    )
