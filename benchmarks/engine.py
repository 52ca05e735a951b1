"""The batch engine without Dagster: one process enriches, delivers and projects a batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

from benchmarks.batch import EVENT_TYPE, OWNER, clocked, engine_stores, receive
from benchmarks.command import Options, script
from benchmarks.results import Result
from benchmarks.stack import LATENCY_MS, Installation, installation
from enrichment_dagster.composition import deliver_owed, enrich_batch, project

WALL_SECONDS, CPU_SECONDS = 3.0, 4.0


def parameters(options: Options) -> dict[str, Any]:
    """Return the sizes."""
    return {
        "leads": 100 if options.quick else 500,
        "warm_repetitions": 1 if options.quick else 5,
        "vendor_latency_ms": LATENCY_MS,
        "limits": "lifted",
        "cold": "the first batch of a process: imports included, as in a run",
        "warm": "the median of the repetitions",
    }


def measure(options: Options, result: Result) -> None:
    """Work one batch in a fresh process, then more in the same one, each with stores of its own."""
    many = result.parameters["leads"]
    with installation(options.base_port, keep=options.keep) as place:
        rounds = 1 + result.parameters["warm_repetitions"]
        found = [one_round(place, many, count_checks=index > 0) for index in range(rounds)]
    cold, warm = found[0], found[1:]
    result.details.update(cold=cold, warm=warm)
    for label, stages in (("cold", cold), ("warm", _medians(warm))):
        for name in ("enrich", "deliver", "project", "all"):
            wall, cpu = (WALL_SECONDS, CPU_SECONDS) if name == "enrich" else (None, None)
            result.add(f"{many} leads, {name}, {label}: wall", stages[name]["wall"], "s", below=wall)
            result.add(f"{many} leads, {name}, {label}: processor", stages[name]["cpu"], "CPU-s", below=cpu)
    result.add(f"{many} leads: validation calls (pandera), each a whole micro-batch", _checks(warm), "calls")


def one_round(place: Installation, count: int, *, count_checks: bool) -> dict[str, dict[str, float]]:
    """Take one batch through all stages. Counting imports the validation, so the first round must not."""
    leads = place.crms.create(count)
    with engine_stores(place) as (settings, stores), counted_checks(count_checks) as checks:
        (batch_id,) = receive(settings, stores, leads)
        stages = {
            "enrich": clocked(lambda: enrich_batch(settings, stores, EVENT_TYPE, batch_id, OWNER)),
            "deliver": clocked(lambda: deliver_owed(settings, stores, OWNER)),
            "project": clocked(lambda: project(settings, stores)),
        }
    stages["all"] = {kind: round(sum(stage[kind] for stage in stages.values()), 3) for kind in ("wall", "cpu")}
    if count_checks:
        stages["validation"] = {"calls": len(checks), "values": sum(checks)}
    print(stages, flush=True)
    return stages


@contextmanager
def counted_checks(really: bool = True) -> Iterator[list[int]]:
    """Note for each call of the validation how many values it checked."""
    sizes: list[int] = []
    if not really:
        yield sizes
        return
    from enrichment_dagster.schemas import candidates

    validate = candidates.validate_values

    def counting(values: Any) -> Any:
        sizes.append(len(values))
        return validate(values)

    candidates.validate_values = counting
    try:
        yield sizes
    finally:
        candidates.validate_values = validate


def _medians(rounds: list[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    return {
        stage: {kind: median(entry[stage][kind] for entry in rounds) for kind in ("wall", "cpu")}
        for stage in ("enrich", "deliver", "project", "all")
    }


def _checks(rounds: list[dict[str, dict[str, float]]]) -> float:
    return median(entry["validation"]["calls"] for entry in rounds)


main = script("engine", "E. The batch engine in one process, without Dagster", measure, parameters)

if __name__ == "__main__":
    main()
