"""Money by provider and UTC day, and the kill switch."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert
from support.clock import START
from support.rig import Rig

from enrichment_dagster.store.database import to_ms
from enrichment_dagster.store.spending import ALL, TOTAL, SpendingStore, Spent, day_of, held, hold, stopped
from enrichment_dagster.store.tables import attempts, spending

DAY = day_of(START)


@pytest.fixture
def store(rig: Rig) -> SpendingStore:
    return SpendingStore(rig.ops, rig.clock)


def add(rig: Rig, day: str = DAY, **changes: int) -> None:
    with rig.ops.write() as connection:
        hold(connection, changes, day)


def read(rig: Rig, *providers: str, day: str = DAY) -> dict[str, int]:
    with rig.ops.read() as connection:
        return held(connection, providers, day)


def call(rig: Rig, number: int, **changes: Any) -> None:
    row = {"attempt_id": str(number), "provider": "apollo", "purpose": "person", "subject_key": f"email:{number}"}
    row |= {"event_id": "evt_1", "state": "hit", "reserved_micros": 20_000, "cost_micros": 0, "rev": number}
    row |= {"sent_at_ms": to_ms(rig.clock.now()), "lease_until_ms": 0, **changes}
    with rig.ops.write() as connection:
        connection.execute(insert(attempts).values(row))


def test_what_is_held_adds_up_by_provider_and_in_all(rig: Rig) -> None:
    add(rig, apollo=20_000, clearbit=50_000)
    add(rig, apollo=30_000)
    assert read(rig, "apollo", "clearbit", "hunter") == {
        "apollo": 50_000,
        "clearbit": 50_000,
        "hunter": 0,
        TOTAL: 100_000,
    }


def test_the_total_counts_providers_that_were_not_asked_for(rig: Rig) -> None:
    add(rig, apollo=20_000, clearbit=50_000)
    assert read(rig, "apollo") == {"apollo": 20_000, TOTAL: 70_000}
    assert read(rig) == {TOTAL: 70_000}


def test_what_is_given_back_goes_off_both(rig: Rig) -> None:
    add(rig, apollo=20_000, clearbit=50_000)
    add(rig, apollo=-20_000)
    assert read(rig, "apollo") == {"apollo": 0, TOTAL: 50_000}


def test_nothing_to_change_writes_nothing(rig: Rig) -> None:
    add(rig, apollo=0)
    assert rig.rows(spending) == []


def test_changes_that_cancel_out_leave_the_total(rig: Rig) -> None:
    add(rig, apollo=20_000)
    add(rig, apollo=-5_000, clearbit=5_000)
    assert read(rig, "apollo", "clearbit") == {"apollo": 15_000, "clearbit": 5_000, TOTAL: 20_000}


def test_each_utc_day_has_its_own_account(rig: Rig) -> None:
    tomorrow = day_of(START + timedelta(days=1))
    add(rig, apollo=20_000)
    add(rig, tomorrow, apollo=1)
    assert (read(rig)[TOTAL], read(rig, day=tomorrow)[TOTAL]) == (20_000, 1)


def test_an_addition_that_is_rolled_back_is_not_held(rig: Rig) -> None:
    with rig.ops.engine.connect() as connection, connection.begin() as transaction:
        hold(connection, {"apollo": 20_000}, DAY)
        transaction.rollback()
    assert read(rig)[TOTAL] == 0


def test_today_tells_money_calls_and_hits_with_all_together_first(rig: Rig, store: SpendingStore) -> None:
    add(rig, apollo=60_000, clearbit=50_000)
    call(rig, 1, cost_micros=20_000)
    call(rig, 2, state="miss")
    call(rig, 3, state="sent")
    call(rig, 4, state="pending", provider="clearbit", reserved_micros=50_000)
    assert store.today() == [
        Spent(TOTAL, 110_000, 70_000, 4, 1, 20_000),
        Spent("apollo", 60_000, 20_000, 3, 1, 20_000),
        Spent("clearbit", 50_000, 50_000, 1, 0, 0),
    ]
    assert store.held_today() == 110_000


def test_today_is_empty_but_for_its_total_when_nothing_was_asked(rig: Rig, store: SpendingStore) -> None:
    add(rig, apollo=60_000)
    call(rig, 1)
    rig.clock.advance(86_400)
    assert store.today() == [Spent(TOTAL)]
    assert store.held_today() == 0


def test_a_call_that_cost_something_shows_even_without_an_account(rig: Rig, store: SpendingStore) -> None:
    """Its day's account may have been made before the accounts were kept."""
    call(rig, 1, cost_micros=20_000)
    assert store.today()[1:] == [Spent("apollo", 0, 0, 1, 1, 20_000)]


def test_a_stop_is_seen_by_every_process_at_once(rig: Rig, other: Rig, store: SpendingStore) -> None:
    store.stop("apollo", "invoice is disputed")
    with other.ops.read() as connection:
        assert stopped(connection) == {"apollo"}
    assert store.resume("apollo")
    with other.ops.read() as connection:
        assert stopped(connection) == frozenset()


def test_a_stop_of_all_is_one_stop_beside_the_others(store: SpendingStore, rig: Rig) -> None:
    store.stop("apollo")
    rig.clock.advance(1)
    store.stop(ALL, "holiday")
    assert [(stop.provider, stop.reason) for stop in store.stops()] == [("apollo", ""), (ALL, "holiday")]
    assert store.resume(ALL)
    assert [stop.provider for stop in store.stops()] == ["apollo"]


def test_a_second_stop_changes_the_reason_and_not_the_moment(store: SpendingStore, rig: Rig) -> None:
    store.stop("apollo", "first")
    rig.clock.advance(60)
    store.stop("apollo", "x" * 300)
    (stop,) = store.stops()
    assert (stop.reason, stop.stopped_at) == ("x" * 200, START)


def test_resuming_what_was_not_stopped_says_so(store: SpendingStore) -> None:
    assert store.resume("apollo") is False
