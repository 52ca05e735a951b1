"""Every command of the documentation is run against a demo, in the order in which a reader types them."""

from __future__ import annotations

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from markdown import DOCUMENTS, Block, blocks, name_of
from support.demo import LEADS, ROOT, Demo

from enrichment_dagster.composition import open_warehouse
from enrichment_dagster.settings import load_settings
from enrichment_dagster.store.warehouse import extension_install_sql
from enrichment_dagster.store.warehouse_query import read_query

# The first test waits for the start, for leads, and for all documents.
pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

NOT_RUN = {
    "make demo": "the demo that all commands run against is the recipe of this target",
    "make test": "it is what runs this",
    "source .venv/bin/activate": "prepares the reader's shell; here the environment of the commands does",
    'export DAGSTER_HOME="$ENRICHMENT_HOME/dagster" DAGSTER_GRPC_MAX_WORKERS=20': "a second Dagster beside the demo's",
    "enrichment doctor --online": "needs real keys; both commands have tests of their own",
}
"""First lines of blocks that are not run, each with its reason."""

MAY_BE_EMPTY = (
    "FROM quarantine",
    "FROM dead_letters",
    "FROM field_alternatives",
    "FROM account_people",
    "FROM loops",
    "FROM org_chart",
    "FROM contact_company AS was",
)


def runnable(document: Path) -> list[Block]:
    return [block for block in blocks(document, "bash") if block.first_line not in NOT_RUN]


WITH_COMMANDS = [document for document in DOCUMENTS if runnable(document)]


def as_here(demo: Demo, text: str) -> str:
    """Put the running demo's ports and home where the documentation has the usual ones."""
    usual = {"8080": "gateway", "3000": "webserver", "9100": "sandbox"}
    for port, name in usual.items():
        text = text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{demo.ports[name]}")
    return text.replace(".enrichment/demo", str(demo.home))


def run_blocks(demo: Demo, document: Path) -> subprocess.CompletedProcess[str]:
    """Run a document's blocks in one shell, as one terminal would."""
    script = ["set -euo pipefail", *(as_here(demo, block.text) for block in runnable(document))]
    return demo.run(["bash", "-c", "\n".join(script)], seconds=240)


@pytest.fixture(scope="module")
def ready(demo: Demo) -> Demo:
    """The demo with leads in its tables, and DuckDB's extensions where its command line looks for them."""
    demo.wait_for_ended(LEADS)
    emails = ["enrichment", "sql", "--csv", "SELECT email FROM contacts"]
    demo.wait_for(lambda: "@" in demo.run(emails).stdout, "the first contact")
    install = ";\n".join(extension_install_sql()) + ";"
    subprocess.run(["duckdb"], input=install, env=demo.environment, text=True, check=True, timeout=60)
    return demo


@pytest.fixture(scope="module")
def terminals(ready: Demo) -> dict[Path, subprocess.CompletedProcess[str]]:
    """Each document in a terminal of its own, two at a time: most of the time they wait for leads to end."""
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(WITH_COMMANDS, pool.map(partial(run_blocks, ready), WITH_COMMANDS), strict=True))


@pytest.mark.parametrize("document", WITH_COMMANDS, ids=name_of)
def test_commands(document: Path, ready: Demo, terminals: dict[Path, subprocess.CompletedProcess[str]]) -> None:
    """All succeed, and events that are posted end as the documentation says."""
    done = terminals[document]
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    posted = set(re.findall(r'"event_ids":\["(evt_\w+)"', done.stdout))
    ready.wait_for(lambda: posted <= outcomes(ready).keys(), f"the end of {posted}")
    assert {outcomes(ready)[event_id] for event_id in posted} <= {"enriched", "partial"}


def test_the_readmes_webhook_is_accepted(terminals: dict[Path, subprocess.CompletedProcess[str]]) -> None:
    """The signature that the shell computes is the one that the gateway expects."""
    assert '"accepted":1,"duplicates":0,"rejected":0' in terminals[ROOT / "README.md"].stdout


def outcomes(demo: Demo) -> dict[str, str]:
    return {event["event_id"]: event["outcome"] for event in demo.ended}


def queries() -> list[Block]:
    return [block for path in DOCUMENTS for block in blocks(path, "sql")]


@pytest.mark.usefixtures("terminals")
@pytest.mark.parametrize("block", queries(), ids=lambda block: block.first_line[:60])
def test_queries(block: Block, ready: Demo) -> None:
    """They tell of what the documents post, too; what has ended a moment ago comes with the next projection."""
    warehouse = open_warehouse(load_settings(ready.environment))
    found = [read_query(warehouse, block.text)]
    if not any(name in block.text for name in MAY_BE_EMPTY):
        ready.wait_for(lambda: found[-1].rows or found.append(read_query(warehouse, block.text)), "a row")


def programs() -> list[Block]:
    """Blocks of Python that run by themselves; parts of something larger are put together elsewhere."""
    documents = [path for path in DOCUMENTS if path.name not in ("add-a-provider.md", "add-a-sender.md", "temporal.md")]
    return [block for path in documents for block in blocks(path, "python")]


@pytest.mark.parametrize("block", programs(), ids=lambda block: block.first_line)
def test_python(block: Block, ready: Demo) -> None:
    done = ready.run([sys.executable, "-c", block.text])
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_what_is_not_run_is_still_there() -> None:
    """An entry that no document needs any more must go."""
    found = {block.first_line for path in DOCUMENTS for block in blocks(path, "bash")}
    assert set(NOT_RUN) <= found
