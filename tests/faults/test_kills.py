"""kill -9 of processes of the running product, at a seeded moment, while leads come in.

One installation for all tests of this file: each audits all that was sent so far. The full matrix, with daemon and
webserver and twenty kills of each, is `make soak`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from account import audit
from fullstack import SLOW_ENOUGH_TO_HIT, Stack, running_stack

from enrichment_dagster.sandbox.world import World

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

SEED = 20
RECOVERY_SECONDS = 60.0


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("kills")) as found:
        found.faults(SLOW_ENOUGH_TO_HIT)
        yield found


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.mark.parametrize(("number", "name"), [(1, "run"), (2, "gateway"), (3, "code-server")])
def test_nothing_is_lost_nor_bought_nor_written_twice(stack: Stack, world: World, number: int, name: str) -> None:
    """The issue: received = terminal + dead + in flight; no acknowledged event lost; no CRM field written twice with
    different values; repeats of paid calls <= calls in flight at the kill; the lane works again in < 60 s."""
    rng = random.Random(f"{SEED}:{name}")
    before = list(stack.sent)
    stack.send(50, rate=25, seed=rng.randrange(1_000), first_person=number * 100, duplicates=0.2)
    stack.repeat(rng.sample(before, min(10, len(before))), rng)
    killed = stack.kill_under_load(name, rng)
    seconds = stack.probe(number * 100 + 99, RECOVERY_SECONDS)
    stack.wait_sent(60)
    stack.settle(90)
    account = audit(stack, world)
    print(f"\n{name} (pid {killed}) killed: a lead sent then was in its CRM after {seconds:.1f} s; {account}")
    assert account.problems == []
    assert seconds < RECOVERY_SECONDS
