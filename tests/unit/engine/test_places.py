"""Places: so many at once, so many in line, the rest is turned away without waiting."""

from __future__ import annotations

import asyncio

import pytest
from support.clock import ManualClock

from enrichment_dagster.engine.places import Places
from enrichment_dagster.errors import Overloaded


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


class Guests:
    """Hold places until they are told to go."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self.inside: list[int] = []
        self._leave: dict[int, asyncio.Event] = {}

    def come(self, number: int, patience: float = 60.0) -> asyncio.Task[None]:
        self._leave[number] = asyncio.Event()
        return asyncio.create_task(self._stay(number, patience))

    async def _stay(self, number: int, patience: float) -> None:
        async with self.places.taken(patience):
            self.inside.append(number)
            await self._leave[number].wait()

    def go(self, number: int) -> None:
        self._leave[number].set()


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_those_in_line_get_their_turn_in_the_order_of_their_coming(clock: ManualClock) -> None:
    guests = Guests(Places(clock, 1, 5))
    tasks = [guests.come(number) for number in (1, 2, 3)]
    for number in (1, 2, 3):
        await settled()
        assert guests.inside[-1] == number
        guests.go(number)
    await asyncio.gather(*tasks)
    assert guests.inside == [1, 2, 3]


async def test_a_full_line_turns_away_at_once(clock: ManualClock) -> None:
    guests = Guests(Places(clock, 1, 1))
    tasks = [guests.come(1), guests.come(2)]
    await settled()
    before = clock.monotonic()
    with pytest.raises(Overloaded):
        await guests.come(3)
    assert clock.monotonic() == before
    for number in (1, 2):
        guests.go(number)
    await asyncio.gather(*tasks)


async def test_patience_has_an_end(clock: ManualClock) -> None:
    guests = Guests(Places(clock, 1, 5))
    first = guests.come(1)
    await settled()
    before = clock.monotonic()
    with pytest.raises(Overloaded):
        await guests.come(2, patience=1.25)
    assert clock.monotonic() - before == 1.25
    guests.go(1)
    await first


async def test_who_gives_up_costs_nobody_a_place(clock: ManualClock) -> None:
    """Cancelled in line, cancelled at the very moment of their turn, cancelled inside: the place goes on."""
    guests = Guests(Places(clock, 1, 5))
    first, impatient, called, inside = (guests.come(number) for number in (1, 2, 3, 4))
    await settled()
    impatient.cancel()
    await settled()
    guests.go(1)
    await first  # the turn of 3 has just come, and 3 may not know yet
    called.cancel()
    await settled()
    assert guests.inside[-1] == 4
    inside.cancel()
    await settled()
    last = guests.come(5)
    await settled()
    assert guests.inside[-1] == 5
    guests.go(5)
    await last
    assert [task.cancelled() for task in (impatient, called, inside)] == [True] * 3


async def test_nobody_overtakes_the_line(clock: ManualClock) -> None:
    places = Places(clock, 1, 5)
    guests = Guests(places)
    first, second = guests.come(1), guests.come(2)
    await settled()
    guests.go(1)
    third = guests.come(3)
    await settled()
    assert guests.inside == [1, 2]
    for number in (2, 3):
        guests.go(number)
    await asyncio.gather(first, second, third)
