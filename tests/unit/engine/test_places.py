"""Places: so many at once, so many in line, the rest is turned away without waiting."""

from __future__ import annotations

import asyncio

import pytest
from support.clock import ManualClock

from enrichment_dagster.engine.places import FIRST_PLACES, LEAST_PLACES, SLOW_SECONDS, Places
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


class TestBusyProcess:
    """Fewer places where our own part of requests becomes slow, more with each request that is quick again."""

    @staticmethod
    async def crowd(places: Places, count: int) -> tuple[Guests, list[asyncio.Task[None]]]:
        guests = Guests(places)
        tasks = [guests.come(number) for number in range(count)]
        await settled()
        return guests, tasks

    @staticmethod
    async def leave(guests: Guests, tasks: list[asyncio.Task[None]]) -> None:
        for number in range(len(tasks)):
            guests.go(number)
        await asyncio.gather(*tasks)

    async def test_it_lets_fewer_in(self, clock: ManualClock) -> None:
        places = Places(clock, 100, 100)
        guests, tasks = await self.crowd(places, 50)
        places.felt(SLOW_SECONDS * 2)
        for number in range(40):
            guests.go(number)
        more = [guests.come(number) for number in range(50, 80)]
        await settled()
        assert len(guests.inside) == 50 + 25, "of the 35 places that are left 10 are still taken"
        places.felt(0.01)
        await settled()
        assert len(guests.inside) == 50 + 26
        await self.leave(guests, tasks + more)

    async def test_who_began_before_the_last_decrease_brings_no_other_one(self, clock: ManualClock) -> None:
        places = Places(clock, 100, 100)
        guests, tasks = await self.crowd(places, 50)
        for _ in range(20):
            places.felt(SLOW_SECONDS * 2)
        await self.leave(guests, tasks)
        guests, tasks = await self.crowd(places, 50)
        assert len(guests.inside) == 35
        await self.leave(guests, tasks)

    async def test_some_are_let_in_whatever_happens(self, clock: ManualClock) -> None:
        places = Places(clock, 100, 100)
        for _ in range(50):
            places.felt(60.0)
            clock.advance(61.0)
        guests, tasks = await self.crowd(places, 20)
        assert len(guests.inside) == LEAST_PLACES
        await self.leave(guests, tasks)

    async def test_those_who_wait_for_others_get_more_places(self, clock: ManualClock) -> None:
        """A provider that hangs fills them; as long as our own part is quick, that is what they are for."""
        places = Places(clock, 100, 100)
        guests, tasks = await self.crowd(places, 100)
        assert len(guests.inside) == FIRST_PLACES
        for _ in range(100):
            places.felt(0.01)
        await settled()
        assert len(guests.inside) == 100
        await self.leave(guests, tasks)

    async def test_places_that_nobody_needs_any_more_are_taken_back(self, clock: ManualClock) -> None:
        places = Places(clock, 100, 100)
        guests, tasks = await self.crowd(places, 100)
        for _ in range(100):
            places.felt(0.01)
        await self.leave(guests, tasks)
        for _ in range(100):
            places.felt(0.01)
        guests, tasks = await self.crowd(places, 100)
        assert len(guests.inside) == FIRST_PLACES
        await self.leave(guests, tasks)
