"""What the whole stack takes when nothing happens, after events of all types have passed through it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from assets.lanes import LANES
from benchmarks.burst import SIZE, one_burst, wait_for_runs
from benchmarks.command import Options, script
from benchmarks.crm import PEOPLE
from benchmarks.happenings import SCENES, Cast, happenings
from benchmarks.journey import warm_up
from benchmarks.results import Result
from benchmarks.stack import Installation, installation
from benchmarks.telling import tell
from benchmarks.usage import cpu_between, cpu_seconds, memory_mb
from enrichment_dagster.ports import TICK
from enrichment_dagster.sandbox.world import World

_SETTLE_SECONDS = 15
_OTHERS_PER_SECOND = 10.0


def parameters(options: Options) -> dict[str, Any]:
    """Return the sizes."""
    return {
        "leads_before": 100 if options.quick else SIZE,
        "events_of_all_types_before": len(SCENES) * (1 if options.quick else 20),
        "seconds": 20 if options.quick else 120,
    }


def measure(options: Options, result: Result) -> None:
    """Let a burst and events of all types pass, wait, then look for two minutes."""
    with installation(options.base_port, keep=options.keep) as place, place.running():
        warm_up(place)
        one_burst(place, result.parameters["leads_before"])
        told = happenings(Cast(place.crms, World(people=PEOPLE)), result.parameters["events_of_all_types_before"])
        tell(place, told, _OTHERS_PER_SECOND)
        wait_for_runs(place)
        time.sleep(_SETTLE_SECONDS)
        look(place, result)


def look(place: Installation, result: Result) -> None:
    """Measure one window at rest."""
    seconds = result.parameters["seconds"]
    print(f"at rest for {seconds} s ...", flush=True)
    begun = datetime.now(UTC)
    before, sandbox_before = cpu_seconds(place.pid), cpu_seconds(place.sandbox_pid)
    time.sleep(seconds)
    used = cpu_between(before, cpu_seconds(place.pid))
    sandbox_used = cpu_between(sandbox_before, cpu_seconds(place.sandbox_pid))
    memory, sandbox_memory = memory_mb(place.pid), memory_mb(place.sandbox_pid)
    result.details.update(
        memory_mb=memory, cpu_seconds=used, sandbox_memory_mb=sandbox_memory, sandbox_cpu_seconds=sandbox_used
    )
    rss, pss, share = _total(memory, "rss"), _total(memory, "pss"), sum(used.values()) / seconds * 100
    result.add("memory at rest, sum of RSS", rss, "MB", below=1_200)
    result.add("memory at rest, sum of PSS", pss, "MB")
    result.add("processor at rest", share, "% of a core", below=10)
    result.add("sensors of event types that ticked meanwhile", _ticked(place, begun), "sensors", at_least=len(LANES))
    result.add("memory at rest with the emulators, sum of RSS", rss + _total(sandbox_memory, "rss"), "MB")
    with_sandbox = share + sum(sandbox_used.values()) / seconds * 100
    result.add("processor at rest with the emulators", with_sandbox, "% of a core")


def _ticked(place: Installation, since: datetime) -> int:
    """Return how many lanes' sensors have looked at their inbox since then."""
    with place.stores() as stores:
        beats = stores.health().last_beats()
    return sum(beats.get(TICK + lane.event_type, since) > since for lane in LANES)


def _total(memory: dict[str, dict[str, float]], kind: str) -> float:
    return sum(entry[kind] for entry in memory.values())


main = script("rest", "D. The stack at rest", measure, parameters)

if __name__ == "__main__":
    main()
