"""No sequence of answers, errors and timings makes a worse value win or a field vanish."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from support.builders import COMPANY, PERSON, a_value
from support.clock import START

from enrichment_dagster.domain.fields import FIELDS, Level
from enrichment_dagster.domain.outcome import MissingReason
from enrichment_dagster.domain.waterfall import Knowledge, absorb, candidate_key, choose, rank

NAMES = ["title", "city", "company_name", "company_domain", "phone"]
OTHER = "domain:client.io"


@st.composite
def values(draw):
    name = draw(st.sampled_from(NAMES))
    of_company = FIELDS[name].level is Level.COMPANY
    return a_value(
        name,
        draw(st.sampled_from(["x", "y", "z"])),
        provider=draw(st.sampled_from(["apollo", "clearbit", "hubspot"])),
        subject_key=draw(st.sampled_from([COMPANY, OTHER])) if of_company else PERSON,
        precedence=draw(st.integers(0, 3)),
        confidence=draw(st.sampled_from([0.5, 0.9])),
        stale=draw(st.booleans()),
        fetched_at=START + timedelta(seconds=draw(st.integers(0, 3))),
    )


answers = st.lists(values(), max_size=6)


def _set(found):
    known = Knowledge(NAMES)
    known.add(found)
    return known.candidates


sets = answers.map(_set)


def merge(first, second):
    merged = dict(first)
    for key, value in second.items():
        absorb(merged, key, value)
    return merged


@given(sets, sets, sets)
def test_merging_is_associative_commutative_and_idempotent(a, b, c):
    assert merge(a, merge(b, c)) == merge(merge(a, b), c)
    assert merge(a, b) == merge(b, a)
    assert merge(a, a) == a
    assert merge(merge(a, b), b) == merge(a, b)


@given(st.lists(answers, max_size=5), st.randoms(use_true_random=False))
def test_what_counts_does_not_depend_on_the_order_of_answers(steps, rng):
    shuffled = [list(step) for step in steps]
    rng.shuffle(shuffled)
    for step in shuffled:
        rng.shuffle(step)
    one, other = Knowledge(NAMES, COMPANY), Knowledge(NAMES, COMPANY)
    for step in steps:
        one.add(step)
    for step in [*shuffled, *shuffled]:  # and each of them twice
        other.add(step)
    assert one.values == other.values
    assert one.company_key == other.company_key


@given(st.lists(answers, max_size=5), answers)
def test_a_further_answer_makes_no_better_value_lose(steps, more):
    """Of one company: what was known stays, or something of a better rank takes its place."""
    known = Knowledge(NAMES, COMPANY)
    for step in steps:
        known.add([v for v in step if v.subject_key != OTHER])
    before = dict(known.values)
    known.add([v for v in more if v.subject_key != OTHER])
    for name, value in before.items():
        assert rank(known.values[name]) <= rank(value)


@given(st.lists(answers, max_size=5))
def test_nothing_that_was_said_is_lost_but_a_providers_own_weaker_word(steps):
    known = Knowledge(NAMES, COMPANY)
    for step in steps:
        known.add(step)
    kept = {candidate_key(value) for value in (*known.values.values(), *known.alternatives)}
    assert kept == {candidate_key(value) for step in steps for value in step}


@given(answers)
def test_one_record_holds_the_values_of_one_company(found):
    chosen = choose(_set(found), COMPANY)
    bought = {v.subject_key for n, v in chosen.items() if FIELDS[n].level is Level.COMPANY and v.precedence}
    assert len(bought) <= 1


obstacles = st.tuples(st.lists(st.sampled_from(NAMES)), st.sampled_from(list(MissingReason)))


@given(st.lists(answers | obstacles, max_size=8), st.sets(st.sampled_from(NAMES)), st.randoms(use_true_random=False))
def test_each_wanted_field_has_a_value_or_one_reason_in_any_order(steps, offered, rng):
    def told(order):
        known = Knowledge(NAMES, COMPANY)
        for step in order:
            if isinstance(step, tuple):
                known.obstruct(*step)
            else:
                known.add(step)
        missing = known.missing_reasons(offered)
        assert set(missing) | set(known.values) >= set(NAMES)
        assert not set(missing) & set(known.values)
        return missing

    shuffled = list(steps)
    rng.shuffle(shuffled)
    assert told(steps) == told(shuffled)
