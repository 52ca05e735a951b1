"""The gateway as the process that operators start."""

import signal
import sqlite3
from datetime import UTC, datetime

import pytest
import sqlalchemy
from support.environment import SANDBOX_KEYS, SMALL_CONFIG
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
from support.late import TOKEN, keep_call

from enrichment_dagster.store.database import open_sqlite

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


def test_a_callback_token_is_not_in_the_log(start, tmp_path):
    """Neither in an access log, nor in what is logged of a forged or an unreadable answer, nor in a traceback."""
    config = tmp_path / "enrichment.yaml"
    config.write_text(SMALL_CONFIG, encoding="utf-8")
    gateway = start(**{**SANDBOX_KEYS, **SECRETS, "ENRICHMENT_CONFIG": str(config)})
    client = gateway.wait_until_ready()
    ops = open_sqlite(tmp_path / "home" / "ops.db")
    with ops.write() as connection:
        keep_call(connection, now=datetime.now(UTC), lookup="clearbit.combined", state="opened")
    path, body = f"/callbacks/clearbit/{TOKEN}", encode({"status": "done"})
    assert client.post(path, body, {}).content["error"]["reason"] == "no_callback"
    assert client.post(path.replace("clearbit", "apollo"), body, {}).status == 404
    with ops.write() as connection:
        connection.execute(sqlalchemy.text("ALTER TABLE attempts RENAME TO attempts_away"))
    assert client.post(path, body, {}).status == 503
    ops.dispose()
    gateway.end()
    log = gateway.log.read_text()
    assert "no_callback" in log
    assert "Traceback" in log
    assert TOKEN not in log
