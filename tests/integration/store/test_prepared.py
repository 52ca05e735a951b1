"""Statements run by the driver say and bring the same as SQLAlchemy's own."""

from __future__ import annotations

import pytest
from sqlalchemy import bindparam, select, update
from sqlalchemy.exc import IntegrityError

from enrichment_dagster.store.prepared import Change, Query, insertion, insertion_of_new, replacement
from enrichment_dagster.store.rows import next_rev
from enrichment_dagster.store.tables import attempts, beats, cache, counters, work

BEATS = Query(select(beats.c.name, beats.c.at_ms, beats.c.detail).order_by(beats.c.name))
NAMED = Query(select(beats.c.name).where(beats.c.name.in_(bindparam("b_names", expanding=True))))


@pytest.fixture
def connection(rig):
    with rig.ops.write() as connection:
        yield connection


def beat(name, **detail):
    return {"name": name, "at_ms": 1, "detail": detail}


def test_values_come_back_as_they_were(connection):
    strange = {"text": "Zürich 😀 %s ? :x", "none": None, "number": 1.5, "big": 2**70, "list": [True, {}]}
    insertion(beats).run(connection, [beat("a", **strange), beat("b")])
    assert BEATS.rows(connection) == [("a", 1, strange), ("b", 1, {})]


def test_what_sqlalchemy_writes_it_reads_and_the_other_way_round(connection):
    insertion(beats).run(connection, [beat("a", x="ä")])
    connection.execute(beats.insert(), [beat("b", x="ö")])
    assert [detail for _, _, detail in BEATS.rows(connection)] == [{"x": "ä"}, {"x": "ö"}]
    assert [row.detail for row in connection.execute(select(beats).order_by(beats.c.name))] == [{"x": "ä"}, {"x": "ö"}]


@pytest.mark.parametrize("count", [1, 2, 3, 5, 64, 65, 300])
def test_lists_of_any_length(connection, count):
    names = [f"n{number:03}" for number in range(count)]
    insertion(beats).run(connection, [beat(name) for name in [*names, "another"]])
    assert sorted(name for (name,) in NAMED.rows(connection, b_names=names)) == names


def test_columns_that_are_left_out_have_their_defaults(connection):
    needed = ("provider", "purpose", "subject_key", "event_id", "state")
    numbers = {"reserved_micros": 1, "sent_at_ms": 2, "lease_until_ms": 3, "rev": 4}
    insertion(attempts).run(connection, [{"attempt_id": "a", **dict.fromkeys(needed, "x"), **numbers}])
    row = connection.execute(select(attempts)).mappings().one()
    assert (row["reason"], row["units"], row["http_status"]) == ("", 1, None)


def test_of_rows_that_are_there_one_kind_passes_over_and_one_replaces(connection):
    insertion(beats).run(connection, [beat("a", x=1)])
    insertion_of_new(beats).run(connection, [beat("a", x=2), beat("b", x=2)])
    assert [detail["x"] for _, _, detail in BEATS.rows(connection)] == [1, 2]
    replacement(beats, ("name",), ("detail",)).run(connection, [beat("a", x=3)])
    assert [detail["x"] for _, _, detail in BEATS.rows(connection)] == [3, 2]


def test_a_json_null_is_not_a_missing_value(connection):
    """As SQLAlchemy has it: None is JSON's null, what is left out is SQL's."""
    key = {"provider": "p", "purpose": "q", "fetched_at_ms": 0, "expires_at_ms": 0}
    insertion(cache).run(connection, [{**key, "subject_key": "a", "answer": None}])
    insertion(cache).run(connection, [{**key, "subject_key": "b"}])
    missing = select(cache.c.subject_key).where(cache.c.answer.is_(None))
    assert connection.execute(missing).scalars().all() == ["b"]


def test_an_update_of_many_rows_and_of_none(connection):
    insertion(beats).run(connection, [beat("a"), beat("b")])
    move = Change(update(beats).where(beats.c.name == bindparam("b_name")).values(at_ms=bindparam("b_at"), detail=None))
    move.run(connection, [{"b_name": "a", "b_at": 7}, {"b_name": "b", "b_at": 8}])
    move.run(connection, [])
    assert [at for _, at, _ in BEATS.rows(connection)] == [7, 8]


def test_errors_are_sqlalchemys(connection):
    insertion(beats).run(connection, [beat("a")])
    with pytest.raises(IntegrityError), connection.begin_nested():
        insertion(beats).run(connection, [beat("a")])


def test_a_change_that_returns_something_is_made_once(connection):
    before = connection.execute(select(counters.c.n).where(counters.c.name == "rev")).scalar_one()
    assert [next_rev(connection), next_rev(connection)] == [before + 1, before + 2]


def test_constants_of_a_statement_stay_in_it(connection):
    due = Query(select(work.c.work_id).where(work.c.state.in_(("due", "assigned")), work.c.tries == bindparam("b_n")))
    assert list(due.rows(connection, b_n=0)) == []
