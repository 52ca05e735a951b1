"""Who visitors are, in the real journal store."""

from __future__ import annotations

import asyncio

from support.intake import ALL
from support.rig import Rig

from enrichment_dagster.gateway.visitors import KnownVisitors
from enrichment_dagster.ports import Visitor


async def test_who_was_named_is_known_and_the_last_address_counts(rig: Rig) -> None:
    await rig.journal.remember([Visitor("segment", "u1", "a@b.co"), Visitor("segment", "u2", "c@d.co")])
    await rig.journal.remember([Visitor("segment", "u1", "new@b.co"), Visitor("segment", "u1", "newer@b.co")])
    assert await rig.journal.emails("segment", ["u1", "u2", "u3"]) == {"u1": "newer@b.co", "u2": "c@d.co"}
    assert await rig.journal.emails("other", ["u1"]) == {}
    assert await rig.journal.emails("segment", []) == {}


async def test_many_at_once_are_one_row_each(rig: Rig) -> None:
    names = [Visitor("segment", "u1", f"{number}@b.co") for number in range(20)]
    await asyncio.gather(*(rig.journal.remember([name]) for name in names))
    assert set(await rig.journal.emails("segment", ["u1"])) == {"u1"}


async def test_another_process_knows_them_too(rig: Rig, other: Rig) -> None:
    await rig.journal.remember([Visitor("segment", "u1", "a@b.co")])
    known = KnownVisitors(other.journal, ALL)
    assert await known.recognise([]) == []
    assert await other.journal.emails("segment", ["u1"]) == {"u1": "a@b.co"}
