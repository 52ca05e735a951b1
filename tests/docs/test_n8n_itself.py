"""The workflow of n8n's guide, imported and run by n8n, where ENRICHMENT_TEST_N8N names its command.

It is no part of what `make test` needs: n8n from npm is 1.2 GB. Its sandbox of expressions is a native module, without
which it runs them by itself; hence the engine that is set here. Where native modules can't be built and the host that
one package comes from is out of reach: "overrides": {"xlsx": "0.18.5"} in package.json, then
`npm install --ignore-scripts n8n@1.123.81` and `npm rebuild sqlite3`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pytest
from markdown import blocks
from support.demo import ROOT, free_ports
from support.real_gateway import RealGateway

COMMAND = os.environ.get("ENRICHMENT_TEST_N8N", "")
pytestmark = pytest.mark.skipif(not COMMAND, reason="ENRICHMENT_TEST_N8N does not name n8n's command")

GUIDE = ROOT / "docs" / "guides" / "n8n.md"
WORKFLOW = GUIDE.parent / "n8n-workflow.json"
LEAD, ANSWER = (json.loads(block.text) for block in blocks(GUIDE, "json"))
START_SECONDS, ANSWER_SECONDS = 120.0, 30.0


@dataclass(frozen=True, slots=True)
class N8n:
    """A running n8n with the workflow."""

    port: int

    def post(self, lead: dict[str, str]) -> Any:
        """Post a lead to the workflow's webhook; None as long as nobody answers there."""
        url, headers = f"http://127.0.0.1:{self.port}/webhook/enrich-lead", {"content-type": "application/json"}
        try:
            with urlopen(Request(url, json.dumps(lead).encode(), headers), timeout=ANSWER_SECONDS) as answer:
                return json.load(answer)
        except HTTPError as error:
            error.close()
            if error.code not in (404, 503):  # these two say that its webhooks are not there yet
                raise
            return None
        except URLError:
            return None


@pytest.fixture(scope="module")
def n8n(real_gateway: RealGateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[N8n]:
    folder, (port,) = tmp_path_factory.mktemp("n8n"), free_ports(1)
    environment = {
        **{"PATH": os.environ["PATH"], "HOME": str(folder), "N8N_USER_FOLDER": str(folder)},
        **{"N8N_PORT": str(port), "N8N_LISTEN_ADDRESS": "127.0.0.1", "N8N_ENCRYPTION_KEY": "of-this-test"},
        **{"N8N_DIAGNOSTICS_ENABLED": "false", "N8N_VERSION_NOTIFICATIONS_ENABLED": "false", "N8N_DISABLE_UI": "true"},
        **{"N8N_EXPRESSION_ENGINE": "legacy", "N8N_RUNNERS_ENABLED": "false"},
    }
    _import(folder, environment, real_gateway)
    log = (folder / "n8n.log").open("wb")
    process = subprocess.Popen(
        [COMMAND, "start"], env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
    )
    running, give_up = N8n(port), time.monotonic() + START_SECONDS
    try:
        while running.post({"id": "hello", "email": "somebody@gmail.com"}) is None:
            assert process.poll() is None, (folder / "n8n.log").read_text(encoding="utf-8")
            assert time.monotonic() < give_up, (folder / "n8n.log").read_text(encoding="utf-8")
            time.sleep(0.5)
        yield running
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        log.close()


def _import(folder: Path, environment: dict[str, str], gateway: RealGateway) -> None:
    """Import the file with the gateway's address in it, and the credential that it names."""
    text = WORKFLOW.read_text(encoding="utf-8").replace("https://enrich.example.com", gateway.url)
    workflow = json.loads(text)
    (named,) = (node["credentials"]["httpHeaderAuth"] for node in workflow["nodes"] if "credentials" in node)
    credential = {**named, "type": "httpHeaderAuth", "data": {"name": "X-API-Key", "value": gateway.key}}
    (folder / "workflow.json").write_text(text, encoding="utf-8")
    (folder / "credentials.json").write_text(json.dumps([credential]), encoding="utf-8")
    for words in (
        ("import:credentials", f"--input={folder / 'credentials.json'}"),
        ("import:workflow", f"--input={folder / 'workflow.json'}"),
        ("update:workflow", f"--id={workflow['id']}", "--active=true"),
    ):
        done = subprocess.run([COMMAND, *words], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{words}: {done.stdout}\n{done.stderr}"


@pytest.mark.timeout(400)
def test_a_lead_is_enriched_once_however_often_it_is_posted(n8n: N8n, real_gateway: RealGateway) -> None:
    assert n8n.post(LEAD) == ANSWER
    calls = real_gateway.provider_calls()
    assert calls > 0
    assert n8n.post(LEAD) == ANSWER
    assert real_gateway.provider_calls() == calls


@pytest.mark.timeout(400)
def test_each_branch_has_its_answer(n8n: N8n) -> None:
    assert n8n.post({"id": "one", "email": "someone.else@gmail.com"}) == {"next": "by hand", "why": "personal_email"}
    unknown = n8n.post({"id": "two", "email": "nobody.knows@unknown-company-4711.com"})
    assert (unknown["next"], "employees" in unknown["missing"]) == ("round_robin", True)
    refused = n8n.post({"id": "two", "email": "another.body@unknown-company-4711.com"})
    assert refused == {"next": "by hand", "why": "no answer"}
