"""A Dagster instance on disk, a lane's rig, and the product with the emulators as its world."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import dagster as dg
import pytest
from support.dagster_lane import LaneRig
from support.dagster_product import Product
from support.empty_stores import put_empty_stores

from enrichment_dagster import resources
from enrichment_dagster.sandbox import RunningSandbox, SandboxConfig, parse_plan, running_sandbox
from enrichment_dagster.settings import Settings
from enrichment_dagster.supervise.environment import Ports, sandbox_variables

ROOT = Path(__file__).parents[3]
NO_LATENCY = {"endpoints": {"*": {"latency": 0}}}


@pytest.fixture(scope="session")
def dagster_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An instance on disk with the settings that are shipped; tests take copies, which costs a tenth of a new one."""
    home = tmp_path_factory.mktemp("dagster")
    shutil.copy(ROOT / "dagster.yaml", home)
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        instance.get_runs_count()
        instance.get_asset_keys()
        instance.all_instigator_state()
    return home


@pytest.fixture
def instance(dagster_home: Path, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    home = shutil.copytree(dagster_home, tmp_path / "dagster")
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        yield instance


@pytest.fixture
def rig(make_settings: Callable[..., Settings], instance: dg.DagsterInstance) -> Iterator[LaneRig]:
    settings = make_settings()
    put_empty_stores(settings.home)
    made = LaneRig(settings, instance)
    yield made
    made.close()


@pytest.fixture(scope="session")
def shared_sandbox() -> Iterator[RunningSandbox]:
    with running_sandbox(SandboxConfig(people=200, companies=50, faults=parse_plan(NO_LATENCY))) as running:
        yield running


@pytest.fixture
def product(
    shared_sandbox: RunningSandbox,
    tmp_path: Path,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Product]:
    """The shipped configuration against the emulators; the resource reads it from the environment, as in production."""
    state = shared_sandbox.state
    state.plan = parse_plan(NO_LATENCY)
    state.counters.reset()
    state.clear_crm()
    home = tmp_path / "home"
    put_empty_stores(home)
    address = urlsplit(shared_sandbox.url)
    variables = sandbox_variables(Ports(host=str(address.hostname), sandbox=int(address.port or 0)))
    variables |= {"ENRICHMENT_HOME": str(home), "ENRICHMENT_CONFIG": str(ROOT / "enrichment.yaml")}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    configured: list[str] = []
    monkeypatch.setattr(resources, "configure_logging", lambda process, *_: configured.append(process))
    resources._open.cache_clear()
    made = Product(shared_sandbox, instance, configured)
    yield made
    made.close()
    resources._open.cache_clear()
