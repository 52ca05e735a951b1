"""Full-stack kills: every process of a running installation is ended by SIGKILL again and again while leads come in.

    python benchmarks/soak.py --kills 20 --stacks 2        (or: make soak)

``--stacks``: so many installations side by side share the kills, which halves the time and adds the other one's load.
After each kill a fresh lead must be in its CRM in less than 60 s. Each round ends with an outage of both CRMs and an
audit of the whole account from outside (``tests/faults/account.py``). Exit code 1 when an invariant is broken.
Results, written after each round: benchmarks/results/soak.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests" / "faults"), str(ROOT)]

from account import Account, audit  # noqa: E402
from fullstack import PROCESSES, SLOW_ENOUGH_TO_HIT, NotReachedError, Stack, free_ports, running_stack, wait_for  # noqa: E402

from benchmarks.configuration import lift_limits  # noqa: E402
from enrichment_dagster.sandbox.world import World  # noqa: E402

RECOVERY_SECONDS = 60.0
LEADS_PER_KILL = 40
LEADS_PER_SECOND = 12


class Soak:
    """One installation, one kill after the other."""

    def __init__(self, stack: Stack, seed: int) -> None:
        self._stack = stack
        self._rng = random.Random(seed)
        self._world = World()
        self._person = 1
        self.recovery: dict[str, list[float]] = defaultdict(list)
        self.failures: list[str] = []
        self.account = Account()

    def kill(self, name: str) -> None:
        """Send leads, repeats among them and out of order, kill a process meanwhile, and see when all works again."""
        stack, rng = self._stack, self._rng
        before = list(stack.sent)
        stack.send(
            LEADS_PER_KILL,
            rate=LEADS_PER_SECOND,
            seed=rng.randrange(1_000_000),
            first_person=self._person,
            duplicates=0.2,
        )
        stack.repeat(rng.sample(before, min(15, len(before))), rng)
        stack.kill_under_load(name, rng)
        self._person += LEADS_PER_KILL + 1
        self.recovery[name].append(stack.probe(self._person - 1, RECOVERY_SECONDS))
        stack.wait_sent(120)

    def round(self, number: int, kills: int) -> None:
        """Kill each process once, in a seeded order, then audit the account."""
        for name in self._rng.sample(PROCESSES, len(PROCESSES)):
            try:
                self.kill(name)
                seconds = f"{self.recovery[name][-1]:5.1f} s"
            except NotReachedError as error:
                self.failures.append(f"round {number}, {name}: {str(error)[:2_000]}")
                seconds = "NOT REACHED"
            print(
                f"{datetime.now(UTC):%H:%M:%S} round {number}/{kills} {name:<12} works again after {seconds}",
                flush=True,
            )
        self.crm_outage(number)
        self.check(number)

    def crm_outage(self, number: int) -> None:
        """Let both CRMs take no writes for a while: what is owed is written when they do again, by the sensor."""
        stack = self._stack
        refused = {"error_rate": 1.0}
        stack.faults({**SLOW_ENOUGH_TO_HIT, "hubspot.batch_update": refused, "salesforce.collections_update": refused})
        stack.send(10, rate=0, seed=number, first_person=self._person)
        self._person += 10
        try:
            wait_for("a delivery put off", 60, lambda: stack.stores.health().owed()["reasons"])
            stack.wait_sent(60)
            stack.faults(SLOW_ENOUGH_TO_HIT)
            begun = time.monotonic()
            stack.settle(180)
            self.recovery["crm"].append(time.monotonic() - begun)
            print(f"         CRMs back: all owed was written {self.recovery['crm'][-1]:.1f} s later", flush=True)
        except NotReachedError as error:
            self.failures.append(f"round {number}, CRM outage: {str(error)[:2_000]}")
            stack.faults(SLOW_ENOUGH_TO_HIT)

    def check(self, number: int) -> None:
        """Audit the whole account so far."""
        try:
            self._stack.settle(180)
            self.account = audit(self._stack, self._world)
            self.failures += [f"round {number}: {problem}" for problem in self.account.problems]
        except NotReachedError as error:
            self.failures.append(f"round {number}: {str(error)[:2_000]}")
        print(f"         round {number} audited: {self.account}", flush=True)


def report(soak: Soak, about: dict[str, Any], kills: int, seed: int, seconds: float, restarts: int) -> dict[str, Any]:
    """Return what is recorded."""
    account = soak.account
    return {
        "benchmark": "soak",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {**about, "load_at_end": [round(load, 1) for load in os.getloadavg()]},
        "kills_per_process": kills,
        "seed": seed,
        "minutes": round(seconds / 60, 1),
        "supervised_restarts": restarts,
        "recovery_seconds": {name: spread(values) for name, values in sorted(soak.recovery.items())},
        "recovery_samples": {name: [round(v, 1) for v in values] for name, values in sorted(soak.recovery.items())},
        "received": account.received,
        "acknowledged": account.acknowledged,
        "outcomes": account.outcomes,
        "paid_calls": account.paid_calls,
        "paid_calls_repeated": account.repeated_calls,
        "paid_calls_in_flight_at_kills": account.calls_in_flight_at_kills,
        "batches_released": account.batches_released,
        "crm_fields_written": account.crm_fields_written,
        "failures": soak.failures,
    }


def spread(values: list[float]) -> dict[str, float]:
    """Return count, median and extremes."""
    return {
        "n": len(values),
        "median": round(statistics.median(values), 1),
        "min": round(min(values), 1),
        "max": round(max(values), 1),
    }


def machine() -> dict[str, Any]:
    """Return what the numbers were measured on."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.strip()
    return {
        "cores": os.cpu_count(),
        "load_at_start": [round(load, 1) for load in os.getloadavg()],
        "system": platform.platform(),
        "python": platform.python_version(),
        "commit": commit,
    }


def merged(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what several installations side by side add up to."""
    samples: dict[str, list[float]] = defaultdict(list)
    outcomes: Counter[str] = Counter()
    for part in parts:
        outcomes.update(part["outcomes"])
        for name, values in part["recovery_samples"].items():
            samples[name] += values
    summed = (
        "kills_per_process", "supervised_restarts", "received", "acknowledged", "paid_calls", "paid_calls_repeated",
        "paid_calls_in_flight_at_kills", "batches_released", "crm_fields_written",
    )  # fmt: skip
    return {
        **parts[0],
        "date": parts[-1]["date"],
        "stacks_side_by_side": len(parts),
        "minutes": max(part["minutes"] for part in parts),
        "recovery_seconds": {name: spread(values) for name, values in sorted(samples.items())},
        "recovery_samples": dict(sorted(samples.items())),
        "outcomes": dict(outcomes),
        **{name: sum(part[name] for part in parts) for name in summed},
        "failures": [f"stack {n}: {problem}" for n, part in enumerate(parts) for problem in part["failures"]],
    }


def side_by_side(options: argparse.Namespace) -> int:
    """Run several installations at once and record their sum; returns the exit code."""
    shares = [options.kills // options.stacks + (n < options.kills % options.stacks) for n in range(options.stacks)]
    with tempfile.TemporaryDirectory(prefix="soaks-") as folder:
        files = [Path(folder) / f"{n}.json" for n in range(options.stacks)]
        running = [
            subprocess.Popen(
                [
                    sys.executable,
                    __file__,
                    "--kills",
                    str(share),
                    "--seed",
                    str(options.seed + n),
                    "--result",
                    str(file),
                ]
            )
            for n, (share, file) in enumerate(zip(shares, files, strict=True))
        ]
        codes = [process.wait() for process in running]
        parts = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    write(options.result, merged(parts))
    print(options.result.read_text(encoding="utf-8"))
    return max(codes)


def write(place: Path, found: dict[str, Any]) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="kills of each process (default 20)")
    parser.add_argument("--stacks", type=int, default=1, help="installations side by side that share the kills")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--first-port", type=int, help="a block of four ports; default: free ones")
    parser.add_argument("--result", type=Path, default=ROOT / "benchmarks" / "results" / "soak.json")
    options = parser.parse_args()
    sys.exit(side_by_side(options) if options.stacks > 1 else alone(options))


def alone(options: argparse.Namespace) -> int:
    """Run one installation and record it after each round; returns the exit code."""
    begun, rounds = time.monotonic(), options.kills
    ports = free_ports(options.first_port)
    with (
        tempfile.TemporaryDirectory(prefix="soak-") as folder,
        running_stack(Path(folder), ports=ports, change=lift_limits) as stack,
    ):
        stack.faults(SLOW_ENOUGH_TO_HIT)
        soak, about = Soak(stack, options.seed), machine()
        for number in range(1, rounds + 1):
            soak.round(number, rounds)
            restarts = (Path(folder) / "up.log").read_text().count(" restarted")
            write(options.result, report(soak, about, number, options.seed, time.monotonic() - begun, restarts))
    print(options.result.read_text(encoding="utf-8"))
    return 1 if soak.failures else 0


if __name__ == "__main__":
    main()
