"""Several calls of one lookup share its time."""

import asyncio

from enrichment_dagster.providers.patience import Patience


def test_each_call_has_what_the_ones_before_it_left():
    moments = iter([100.0, 100.0, 101.5, 104.9, 105.1, 999.0])
    patience = Patience(5.0, lambda: next(moments))
    assert [round(patience.seconds, 3) for _ in range(5)] == [5.0, 3.5, 0.1, 0.001, 0.001]


async def test_it_counts_on_the_clock_of_the_loop():
    before = asyncio.get_running_loop().time()
    patience = Patience(60)
    assert 60 - (asyncio.get_running_loop().time() - before) <= patience.seconds <= 60
