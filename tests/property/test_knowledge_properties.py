"""No sequence of answers and failures makes a field vanish, or lets a later provider overwrite an earlier one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from support.builders import a_value

from enrichment_dagster.domain.outcome import MissingReason
from enrichment_dagster.domain.waterfall import Knowledge

NAMES = ["title", "city", "company_name", "phone"]
answers = st.lists(st.builds(a_value, st.sampled_from(NAMES), st.integers(0, 9), st.sampled_from("abc")), max_size=5)
obstacles = st.tuples(st.lists(st.sampled_from(NAMES)), st.sampled_from(list(MissingReason)))


@given(st.lists(answers | obstacles, max_size=8), st.sets(st.sampled_from(NAMES)))
def test_knowledge_only_grows(steps, offered):
    known, first = Knowledge(NAMES), {}
    for step in steps:
        if isinstance(step, tuple):
            known.obstruct(*step)
        else:
            kept = known.add(step)
            for value in step:
                first.setdefault(value.field, value)
            assert all(first[value.field] is value for value in kept)
        assert known.values == first
    missing = known.missing_reasons(offered)
    assert set(missing) | set(first) == set(NAMES)
    assert not set(missing) & set(first)
