"""Whatever providers answer and however long they take: the best word that came counts, and nothing is lost."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.builders import a_plan, an_item
from support.clock import ManualClock
from support.ports import DOWN, MISS, REFUSED, MemoryLedger, ScriptedLookup, hit

from enrichment_dagster.engine.purchase import Buyer
from enrichment_dagster.engine.retry import RetryPolicy
from enrichment_dagster.engine.waterfall import enrich_event
from enrichment_dagster.ports import CachePolicy, ProviderStanding

WANTED = ("title", "city", "company_name", "employees")
GOOD = {"title": "CTO", "city": "Oakland", "company_name": "Acme", "employees": 250}
BAD = {"title": True, "employees": "many"}  # what is not of the field's form
NAMES = ("apollo.person", "clearbit.combined", "people_data_labs.person", "hunter.person")
STANDINGS = {name.partition(".")[0]: ProviderStanding(p95_ms={name.partition(".")[2]: 300.0}) for name in NAMES[:2]}


@st.composite
def answers(draw):
    fields = draw(st.sets(st.sampled_from(WANTED)))
    bad = draw(st.sets(st.sampled_from(sorted(BAD))))
    return {name: GOOD[name] for name in fields} | {name: BAD[name] for name in bad}


@st.composite
def lookups(draw):
    """Lookups with what they answer (None: an error), in a plan's order."""
    found = []
    for name in draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True)):
        said = draw(st.one_of(answers(), st.none()))
        steps = [draw(st.sampled_from([DOWN, REFUSED]))] if said is None else [hit(**said) if said else MISS]
        seconds, price = draw(st.sampled_from([0.0, 0.2, 0.5, 1.5, 9.0])), draw(st.sampled_from([10_000, 50_000]))
        asked = ScriptedLookup(
            name, frozenset(WANTED), steps=steps, seconds=seconds, price_micros=price, timeout_seconds=2.0
        )
        found.append((asked, said or {}))
    return found


@given(
    lookups(),
    st.sets(st.sampled_from(["title", "city"])),
    st.sampled_from(["sequential", "parallel", "hedged"]),
    st.sampled_from(["listed", "cheapest", "fastest"]),
    st.sampled_from([0.3, 1.0, 6.0, 60.0]),
)
def test_the_best_word_that_came_counts_and_every_other_field_has_its_reason(asked, known, mode, prefer, deadline):
    clock = ManualClock()
    for lookup, _ in asked:
        lookup.clock = clock
    plan = a_plan(*(lookup for lookup, _ in asked), wanted=WANTED, mode=mode, prefer=prefer, deadline_seconds=deadline)

    async def enrich():
        buyer = Buyer(MemoryLedger(clock), clock, RetryPolicy(2, 0.5, 8.0), CachePolicy(60, 60), random.Random(1))
        record = dict.fromkeys(known, "of the record")
        started = clock.monotonic()
        draft = await enrich_event(an_item(), record, plan, buyer, clock, known_from="hubspot", standings=STANDINGS)
        return draft, clock.monotonic() - started

    draft, seconds = asyncio.run(enrich())
    heard = [(lookup.provider, said) for lookup, said in asked if draft.steps[lookup.name].result == "hit"]
    for name in WANTED:
        sources = [provider for provider, said in heard if said.get(name) == GOOD[name]]
        expected = "hubspot" if name in known else next(iter(sources), None)
        value = draft.knowledge.values.get(name)
        assert (value.provider if value else None) == expected
    missing = draft.knowledge.missing_reasons(plan.offered)
    assert set(missing) == {name for name in WANTED if name not in draft.knowledge.values}
    assert seconds == pytest.approx(min(seconds, deadline))
    assert draft.cost_micros == sum(step.cost_micros for step in draft.steps.values())
    assert {step.result for step in draft.steps.values()} <= {
        "hit", "miss", "error", "abandoned", "not_needed", "not_reached", "not_ready",
    }  # fmt: skip
