"""Processes that open one store, wait for a word and then all ask at once whether they may call.

Run as a program it is their parent; its argument is ``{"place": ..., "budgets": ..., "asks": [[subject, ...], ...]}``
with the subjects that each process asks for.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from support.rig import Rig

from enrichment_dagster.ports import AttemptKey
from enrichment_dagster.store.ledger import Policies


def race(place: Path | str, asks: Sequence[Sequence[str]], budgets: Mapping[str, int] | None = None) -> list[str]:
    """Return what the asks came to: the names of the answers' types."""
    job = json.dumps({"place": str(place), "budgets": dict(budgets or {}), "asks": asks})
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, __file__, job], stdin=pipe, stdout=pipe, text=True) as racers:
        assert racers.stdout is not None
        try:
            assert [racers.stdout.readline() for _ in asks] == ["ready\n"] * len(asks)
            return racers.communicate("go\n", timeout=60)[0].split()
        finally:
            racers.kill()


async def run(job: dict[str, Any], number: int, gate: int) -> None:
    """Be one of the processes."""
    place = job["place"]
    rig = Rig(place if "://" in place else Path(place), policies=Policies(budgets=job["budgets"]))
    os.write(1, b"ready\n")  # in one piece: all processes share the pipe
    os.read(gate, 1)  # until the parent closes its end
    keys = [AttemptKey("apollo", "person", subject) for subject in job["asks"][number]]
    found = await asyncio.gather(*(rig.begin(key, f"evt_{number}") for key in keys))
    os.write(1, "".join(f"{type(item).__name__}\n" for item in found).encode())
    rig.close()


def main() -> None:
    job = json.loads(sys.argv[1])
    gate, opener = os.pipe()
    children = []
    for number in range(len(job["asks"])):
        children.append(os.fork())
        if children[-1] == 0:
            os.close(opener)
            asyncio.run(run(job, number, gate))
            os._exit(0)
    sys.stdin.readline()
    os.close(opener)
    for child in children:
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()
