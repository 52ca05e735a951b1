"""Loopback emulators of the vendors and CRMs the product talks to, with seeded data and fault plans.

`make demo`, the tests and the benchmarks run against it. Nothing in production code imports it, and it imports
nothing from the rest of the product, so that the two can only agree through documented wire formats.
"""

from enrichment_dagster.sandbox.config import SandboxConfig
from enrichment_dagster.sandbox.faults import FaultPlan, load_plan, parse_plan
from enrichment_dagster.sandbox.server import RunningSandbox, running_sandbox, serve
from enrichment_dagster.sandbox.world import World

__all__ = [
    "FaultPlan",
    "RunningSandbox",
    "SandboxConfig",
    "World",
    "load_plan",
    "parse_plan",
    "running_sandbox",
    "serve",
]
