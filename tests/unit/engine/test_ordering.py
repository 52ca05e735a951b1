"""In which order lookups are asked for one field."""

from __future__ import annotations

from typing import Any, cast

import pytest
from support.plans import DescribedLookup

from enrichment_dagster.engine.ordering import asked_order, candidates, listed_order
from enrichment_dagster.ports import Lookup

NOBODY: frozenset[str] = frozenset()


def lookups(**prices: int) -> dict[str, Lookup]:
    named = {f"{name}.person": price for name, price in prices.items()}
    return {name: cast("Lookup", DescribedLookup(name, price)) for name, price in named.items()}


def order(names: str, found: dict[str, Lookup], prefer: str = "cheapest", **changes: Any) -> str:
    given: dict[str, Any] = {"p50_ms": {}, "demoted": NOBODY, **changes}
    asked = asked_order([f"{name}.person" for name in names.split()], found, prefer, **given)
    return " ".join(name.partition(".")[0] for name in asked)


def test_listed_keeps_the_order_of_trust() -> None:
    assert order("b a c", lookups(a=1, b=3, c=2), "listed") == "b a c"


def test_cheapest_goes_by_price_and_ties_stay_as_listed() -> None:
    assert order("c b a", lookups(a=2, b=2, c=5)) == "b a c"


def test_fastest_goes_by_what_was_observed_and_the_unknown_come_behind_as_listed() -> None:
    p50_ms = {"c.person": 90.0, "b.person": 300.0}
    assert order("d a b c", lookups(a=1, b=1, c=1, d=1), "fastest", p50_ms=p50_ms) == "c b d a"


@pytest.mark.parametrize(("prefer", "asked"), [("listed", "c d a b"), ("cheapest", "c d b a"), ("fastest", "d c a b")])
def test_demoted_providers_come_last_in_the_order_that_is_preferred(prefer: str, asked: str) -> None:
    found = lookups(a=4, b=3, c=1, d=2)
    p50_ms = {"a.person": 1.0, "d.person": 5.0}
    assert order("a c d b", found, prefer, p50_ms=p50_ms, demoted=frozenset({"a", "b"})) == asked


def test_all_demoted_is_as_if_none_were() -> None:
    assert order("b a", lookups(a=1, b=2), demoted=frozenset({"a", "b"})) == "a b"


def test_what_is_not_offered_is_passed_over_and_nothing_is_asked_twice() -> None:
    assert order("x a a", lookups(a=1)) == "a"
    assert order("x", lookups()) == ""


def test_an_unknown_preference_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match="listed, cheapest, fastest"):
        order("a", lookups(a=1), "best")


def test_a_field_has_its_own_order_or_that_of_its_group_or_the_waterfall() -> None:
    orders = {"company": ["a.company"], "industry": ["b.company"]}
    waterfall = ["c.company"]
    assert listed_order("industry", waterfall, orders) == ["b.company"]
    assert listed_order("employees", waterfall, orders) == ["a.company"]
    assert listed_order("title", waterfall, orders) == ["c.company"]


def test_candidates_can_be_asked_and_may_give_the_field() -> None:
    found = {
        "a.person": cast("Lookup", DescribedLookup("a.person", gives=frozenset({"title"}))),
        "b.person": cast("Lookup", DescribedLookup("b.person", gives=frozenset({"email"}))),
    }
    assert candidates("title", ["b.person", "x.person", "a.person"], found) == ("a.person",)
