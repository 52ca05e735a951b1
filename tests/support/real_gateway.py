"""A gateway as the process that operators start, with the emulators behind it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from support.gateway import Client, GatewayProcess

from enrichment_dagster.sandbox import RunningSandbox, SandboxConfig, parse_plan, running_sandbox
from enrichment_dagster.supervise.environment import Ports, sandbox_variables

NO_LATENCY = {"endpoints": {"*": {"latency": 0}}}


@dataclass(frozen=True, slots=True)
class RealGateway:
    """Where it listens, and what stands behind it."""

    client: Client
    key: str
    emulators: RunningSandbox

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.client.port}"

    def provider_calls(self) -> int:
        """How many calls have reached providers, once those have that no answer has waited for."""
        before, now = -1, self._calls_so_far()
        while now != before:
            time.sleep(0.3)
            before, now = now, self._calls_so_far()
        return now

    def _calls_so_far(self) -> int:
        calls: dict[str, int] = self.emulators.state.counters.as_data()["calls"]
        return sum(count for name, count in calls.items() if not name.startswith(("hubspot", "salesforce")))


@contextmanager
def running_gateway(home: Path) -> Iterator[RealGateway]:
    """Run it with stores of its own."""
    with running_sandbox(SandboxConfig(faults=parse_plan(NO_LATENCY))) as emulators:
        variables = sandbox_variables(Ports(sandbox=urlsplit(emulators.url).port or 0))
        process = GatewayProcess(home, **variables)
        try:
            yield RealGateway(process.wait_until_ready(), variables["ENRICH_API_KEY"], emulators)
        finally:
            process.end()
