"""The routing lane: POST /enrich, answered inside its deadline, measured from the caller's side."""

from __future__ import annotations

from typing import Any

from benchmarks.command import Options, script
from benchmarks.enrich import COMPANIES, DEADLINE_SECONDS, all_people
from benchmarks.results import Result
from benchmarks.routing_faults import failing_calls, hanging_provider, same_at_once
from benchmarks.routing_import import beside_import
from benchmarks.routing_speed import beside_plain, from_cache, highest_rate
from benchmarks.stack import installation

_RATES = (200.0, 250.0, 300.0, 350.0, 400.0, 450.0, 500.0, 550.0, 600.0, 650.0, 700.0)


def parameters(options: Options) -> dict[str, Any]:
    """Return the sizes of the scenarios."""
    quick = options.quick
    return {
        "arrivals": "Poisson, open loop; latency counts from the moment at which a request was due",
        "leads": "distinct, nearly all of distinct companies, unless it is about the cache",
        "limits": "lifted",
        "deadline_seconds": DEADLINE_SECONDS,
        "beside_plain": {
            "provider_ms": 50.0,
            "rate": 100.0,
            "seconds": 4 if quick else 20,
            "rounds": 1 if quick else 3,
        },
        "highest_rate": {
            "provider_ms": 5.0,
            "rates": _RATES[::4] if quick else _RATES,
            "seconds": 3 if quick else 15,
            "tries": 1 if quick else 2,
        },
        "from_cache": {
            "provider_ms": 50.0,
            "leads": 300,
            "rate": 300.0,
            "seconds": 3 if quick else 15,
            "rounds": 1 if quick else 3,
        },
        "hanging_provider": {"provider_ms": 50.0, "rate": 50.0, "seconds": 4 if quick else 20},
        "failing_calls": {"provider_ms": 50.0, "rate": 50.0, "seconds": 4 if quick else 20, "error_share": 0.2},
        "same_at_once": {"provider_ms": 50.0, "callers": 50, "rounds": 2 if quick else 10},
        "beside_import": {
            "provider_ms": 50.0,
            "rate": 20.0,
            "seconds": 10 if quick else 20,
            "rounds": 1 if quick else 3,
            "rows": 1_000 if quick else 5_000,
            "lead_in_seconds": 5,
        },
    }


def measure(options: Options, result: Result) -> None:
    """Run all scenarios against the same emulators; each gateway but the last starts with empty stores."""
    people = all_people()
    with installation(options.base_port, keep=options.keep, companies=COMPANIES) as place:
        for scenario in (
            *(beside_plain, highest_rate, from_cache),
            *(hanging_provider, failing_calls, same_at_once),
            beside_import,
        ):
            print(f"--- {scenario.__name__}", flush=True)
            scenario(place, people, result)


main = script("routing", "G. Answers within the deadline (POST /enrich)", measure, parameters)

if __name__ == "__main__":
    main()
