"""Python's own ways: changed for as long as it is said, and no longer."""

from __future__ import annotations

import gc
import sys

from enrichment_dagster.interpreter import few_collections, short_turns


def test_garbage_is_looked_for_more_rarely_inside_the_block_only():
    usual = gc.get_threshold()
    with few_collections():
        assert gc.get_threshold()[0] > usual[0]
    assert gc.get_threshold() == usual


def test_threads_take_turns_more_often_inside_the_block_only():
    usual = sys.getswitchinterval()
    with short_turns():
        assert sys.getswitchinterval() < usual
    assert sys.getswitchinterval() == usual
