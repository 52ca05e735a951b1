"""Python's own ways where they stand in the way: how often it looks for garbage, and how often threads take turns."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_NEW_OBJECTS = 20_000  # before garbage is looked for; usually 700
_TURN_SECONDS = 0.0005  # for how long a thread may compute while another one waits; usually 0.005


def make_quick() -> None:
    """Tell Python that answers are waited for, as long as the process lives.

    What is loaded by now stays for ever and need not be looked at for garbage; what a request makes is freed without
    being looked for, as nearly nothing of it is in circles. And threads take turns more often: an answer waits for its
    commit, and the commit for its thread.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, *gc.get_threshold()[1:])
    sys.setswitchinterval(_TURN_SECONDS)


@contextmanager
def few_collections() -> Iterator[None]:
    """Let Python look for garbage more rarely: by default whenever 700 objects more were made than given up.

    A batch makes a hundred times as many and keeps them until its results are stored. To look through them over and
    over took 1.0 of 8.3 ms of processor time a lead; what is given up without being in a circle, as nearly all is, is
    freed at once in any case.
    """
    usual = gc.get_threshold()
    gc.set_threshold(_NEW_OBJECTS, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)


@contextmanager
def short_turns() -> Iterator[None]:
    """Let threads take turns more often.

    A thread that writes waits for its turn after each statement, and all that time it has the store's only lock: the
    other processes, and those who wait for their answers, wait with it.
    """
    usual = sys.getswitchinterval()
    sys.setswitchinterval(_TURN_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)
