"""The gateway as the process that operators start."""

import signal
import sqlite3
from datetime import UTC, datetime

import pytest
from support.gateway import GatewayProcess
from support.intake import (
    FLOW_SECRET,
    HUBSPOT_SECRET,
    contact_creation,
    encode,
    flow_body,
    flow_headers,
    hubspot_headers,
)

pytestmark = pytest.mark.stack

SECRETS = {"HUBSPOT_CLIENT_SECRET": HUBSPOT_SECRET, "SALESFORCE_FLOW_SECRET": FLOW_SECRET}


@pytest.fixture
def start(tmp_path):
    started = []

    def run(**environ):
        started.append(GatewayProcess(tmp_path / "home", **environ))
        return started[-1]

    yield run
    for gateway in started:
        gateway.end(signal.SIGKILL)


def post(client, object_id):
    body = encode([contact_creation(object_id)])
    return client.post("/webhooks/hubspot", body, hubspot_headers(body, datetime.now(UTC)))


def subjects(tmp_path):
    connection = sqlite3.connect(tmp_path / "home" / "journal.db")
    try:
        return [row[0] for row in connection.execute("SELECT subject_id FROM journal ORDER BY seq")]
    finally:
        connection.close()


def test_what_was_answered_200_survives_a_kill(start, tmp_path):
    gateway = start(**SECRETS)
    client = gateway.wait_until_ready()
    assert post(client, 1).content["accepted"] == 1
    assert client.post("/webhooks/salesforce/flow", encode(flow_body()), flow_headers()).status == 200
    assert gateway.end(signal.SIGKILL) == -signal.SIGKILL
    assert subjects(tmp_path) == ["1", "00Q5g00000AbCdEEAX"]
    again = start(**SECRETS).wait_until_ready()
    assert post(again, 1).content["duplicates"] == 1
    assert post(again, 2).content["accepted"] == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_in_good_order(start, number, tmp_path):
    gateway = start(**SECRETS)
    client = gateway.wait_until_ready()
    assert client.request("GET", "/readyz").content["ready"] is True
    assert post(client, 1).status == 200
    assert gateway.end(number) == 0
    log = gateway.log.read_text()
    assert "gateway stopped" in log
    assert "Traceback" not in log
    assert not (tmp_path / "home" / "journal.db-wal").exists(), "closed, with nothing left in the write-ahead log"


def test_every_missing_secret_is_named_and_nothing_is_served(start):
    gateway = start()
    assert gateway.process.stdout.read() == ""
    assert gateway.end() == 1
    log = gateway.log.read_text()
    assert "HUBSPOT_CLIENT_SECRET" in log
    assert "SALESFORCE_FLOW_SECRET" in log
    assert "Traceback" not in log


def test_secrets_and_personal_data_are_not_in_the_log(start):
    gateway = start(**SECRETS)
    client = gateway.wait_until_ready()
    body = encode(flow_body(lead_id="bad"))
    assert client.post("/webhooks/salesforce/flow", body, flow_headers()).status == 400
    assert client.post("/webhooks/salesforce/flow", body, flow_headers("a-wrong-secret")).status == 401
    gateway.end()
    log = gateway.log.read_text()
    assert "bad_lead_id" in log
    assert "bad_secret" in log
    for text in (*SECRETS.values(), "a-wrong-secret", "dana", "Northwind"):
        assert text not in log
