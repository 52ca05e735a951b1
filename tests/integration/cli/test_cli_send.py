"""Against the real gateway, in a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from support.demo import free_ports
from support.intake import SAMPLES
from support.story import ROOT, Installation, call, environment

from enrichment_dagster.cli.payloads import SAMPLES as SENT
from enrichment_dagster.supervise.environment import Ports, sandbox_variables

LEAD = ("--salesforce-lead", "00Q5f000001abcDEAQ", "--email", "jane@acme.com", "--company", "Acme")


@dataclass
class Gateway:
    url: str
    home: Path

    def send(self, *words: str, stdin: bytes | None = None, **env: str) -> Result:
        given = environment(self.home, ENRICHMENT_GATEWAY_URL=self.url, **env)
        return call(given, "send", *words, stdin=stdin)

    def answer(self, *words: str, stdin: bytes | None = None, **env: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.send(*words, "--json", stdin=stdin, **env).stdout)
        return found


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    home = tmp_path_factory.mktemp("gateway") / "home"
    with running(home, 0, environment(home)) as found:
        yield found


@pytest.fixture(scope="module")
def demo_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """As a demo has it: with the sandbox's keys, and its own address as the public one."""
    home, port = tmp_path_factory.mktemp("demo") / "home", free_ports(1)[0]
    keys = {**sandbox_variables(Ports(gateway=port)), "ENRICHMENT_HOME": str(home)}
    with running(home, port, keys) as found:
        yield found


@contextmanager
def running(home: Path, port: int, keys: Mapping[str, str]) -> Iterator[Gateway]:
    command = [sys.executable, "-m", "enrichment_dagster.gateway.main", "--port", str(port)]
    env = {**os.environ, **keys}
    with subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        line = process.stdout.readline().decode()
        try:
            assert line.startswith("gateway ready on ")
            yield Gateway(line.removeprefix("gateway ready on ").strip(), home)
        finally:
            process.terminate()


def test_a_hubspot_contact(gateway: Gateway) -> None:
    result = gateway.send("--hubspot-contact", "4711")
    assert result.exit_code == 0, result.output
    assert "accepted 1" in result.stdout
    assert "enrichment explain evt_" in result.stdout
    listed = call(environment(gateway.home), "explain", "hubspot:contact:4711", "--json")
    assert len(json.loads(listed.stdout)["events"]) == 1


def test_each_contact_sent_is_an_event_of_its_own(gateway: Gateway) -> None:
    answers = [gateway.answer("--hubspot-contact", "4712")["answer"] for _ in range(2)]
    assert [answer["accepted"] for answer in answers] == [1, 1]
    assert answers[0]["event_ids"] != answers[1]["event_ids"]


def test_a_salesforce_lead(gateway: Gateway) -> None:
    answer = gateway.answer(*LEAD)
    assert list(answer) == ["status", "refusal", "answer", "journeys"]
    assert (answer["status"], answer["refusal"], answer["answer"]["accepted"]) == (200, "", 1)


@pytest.mark.parametrize("name", ["hubspot-webhook-contact-creation", "salesforce-flow-http-callout"])
def test_a_file_is_sent_as_it_is(gateway: Gateway, name: str) -> None:
    path = SAMPLES / f"{name}.json"
    first = gateway.answer("--file", str(path))
    again = gateway.answer("--file", "-", stdin=path.read_bytes())
    assert (first["answer"]["accepted"], again["answer"]["duplicates"]) == (1, 1)


@pytest.mark.parametrize("name", SENT)
def test_a_sample_of_every_sender(name: str, demo_gateway: Gateway) -> None:
    """Signed with the keys of a demo; nothing of ours is in the environment."""
    result = call({}, "send", "--sandbox", "--sender", name, "--url", demo_gateway.url)
    assert result.exit_code == 0, result.output
    assert "accepted 1" in result.stdout


def test_another_secret_is_refused(gateway: Gateway) -> None:
    result = gateway.send("--hubspot-contact", "1", HUBSPOT_CLIENT_SECRET="not-the-gateways")
    assert result.exit_code == 1
    assert "refused (401): bad_signature" in result.stdout
    assert "not-the-gateways" not in result.output


def test_an_unreadable_body_is_a_refusal_although_hubspot_gets_a_200(gateway: Gateway) -> None:
    result = gateway.send("--file", "-", "--as", "hubspot", stdin=b"{")
    assert result.exit_code == 1
    assert "not_json" in result.stdout


def test_the_journey_is_waited_for(gateway: Gateway) -> None:
    """A skipped event is at its end as soon as it is picked up; here this test does what a tick does."""
    installation = Installation(gateway.home)
    done = threading.Event()

    def pump() -> None:
        while not done.wait(0.05):
            installation.dispatch.pump()

    ticks = threading.Thread(target=pump)
    ticks.start()
    try:
        body = (SAMPLES / "hubspot-webhook-contact-propertychange.json").read_bytes()
        answer = gateway.answer("--file", "-", "--wait", "20", stdin=body)
    finally:
        done.set()
        ticks.join()
        installation.close()
    for journey in answer["journeys"]:
        assert (journey["ended"], journey["state"], journey["outcome"]) == (True, "done", "skipped")
    assert answer["journeys"]


def test_time_that_is_over_ends_with_1(gateway: Gateway) -> None:
    result = gateway.send("--hubspot-contact", "99", "--wait", "0.1")
    assert result.exit_code == 1
    assert "not at its end: " in result.stdout


def test_waiting_in_another_home_is_told(gateway: Gateway, tmp_path: Path) -> None:
    Installation(tmp_path).close()
    result = gateway.send("--hubspot-contact", "98", "--wait", "0", ENRICHMENT_HOME=str(tmp_path))
    assert result.exit_code == 1
    assert "another ENRICHMENT_HOME" in " ".join(result.stdout.split())


def test_without_a_store_nothing_is_sent_to_be_waited_for(gateway: Gateway, tmp_path: Path) -> None:
    result = gateway.send("--hubspot-contact", "31337", "--wait", "1", ENRICHMENT_HOME=str(tmp_path / "none"))
    assert result.exit_code == 1
    assert call(environment(gateway.home), "explain", "hubspot:contact:31337").exit_code == 1


async def test_a_delivered_journey_is_summed_up(installation: Installation) -> None:
    from enrichment_dagster.cli.waiting import wait_for
    from enrichment_dagster.store.explain import ExplainStore

    event = await installation.receive()
    await installation.deliver(await installation.enrich(event))
    store = ExplainStore(installation.stores.journal, installation.stores.ops)
    (journey,) = await asyncio.to_thread(wait_for, store, [event.event_id], 1.0)
    assert (journey["outcome"], journey["fields"], journey["crm"]) == ("partial", 1, ["written"])
    assert journey["missing"] == ["industry", "title"]


def test_nobody_there(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    result = call(environment(tmp_path), "send", *LEAD, "--url", url)
    assert result.exit_code == 1
    assert "enrichment up" in result.stderr


def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    """The secret in the header must not go to another host."""
    calls: list[str] = []

    class Redirect(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            calls.append(self.path)
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(307)
            self.send_header("location", "/elsewhere")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Redirect) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        result = call(environment(tmp_path), "send", *LEAD, "--url", f"http://127.0.0.1:{server.server_port}")
    assert calls == ["/webhooks/salesforce/flow"]
    assert (result.exit_code, "HTTP 307" in result.stdout) == (1, True)


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--hubspot-contact", "1", *LEAD],
        ["--salesforce-lead", "short", "--email", "a@b.co"],
        ["--salesforce-lead", "00Q5f000001abcDEAQ"],
        ["--sender", "nobody"],
        ["--sender", "clay", "--salesforce-lead", "short"],
        ["--hubspot-contact", "0"],
        ["--hubspot-contact", "1", "--url", "gateway"],
    ],
)
def test_wrong_usage_ends_with_2(words: list[str], tmp_path: Path) -> None:
    result = call(environment(tmp_path), "send", *words)
    assert result.exit_code == 2
    assert "Traceback" not in result.output


def test_a_secret_that_is_not_set_ends_with_2(tmp_path: Path) -> None:
    result = call(environment(tmp_path, SALESFORCE_FLOW_SECRET=""), "send", *LEAD)
    assert result.exit_code == 2
    assert "SALESFORCE_FLOW_SECRET" in result.stderr
    assert "`enrichment demo` with --sandbox" in result.stderr
