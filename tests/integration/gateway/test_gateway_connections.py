"""How many connections are served, and for how long a silent one."""

from __future__ import annotations

import json
from contextlib import ExitStack

import pytest
from support.enrich import LEAD, api_headers
from support.gateway import is_closed, read_reply

from enrichment_dagster.gateway import connections

HEAD = {"content-length": "0"}


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 2)


def ask(client, connection, path="/healthz"):
    connection.sendall(client.head("GET", path, HEAD))
    return read_reply(connection)


def test_connections_beyond_the_limit_are_told_to_come_again_and_the_others_served(api, few):
    with ExitStack() as stack:
        first, second, third, fourth = (stack.enter_context(api.client.connection()) for _ in range(4))
        assert [ask(api.client, connection).status for connection in (first, second, first)] == [200, 200, 200]
        refused = ask(api.client, third)
        assert (refused.status, refused.headers["retry-after"]) == (503, "5")
        assert refused.content["error"]["reason"] == "overloaded"
        assert is_closed(third)
        fourth.sendall(api.client.head("POST", "/enrich", {**api_headers(), **HEAD}))
        refused = read_reply(fourth)
        assert (refused.status, refused.headers["retry-after"]) == (429, "1")
        assert ask(api.client, second).status == 200
    assert api.lane.asked == []
    assert api.enrich(LEAD).status == 200, "there is room again"


@pytest.mark.parametrize(
    ("limit", "sent"),
    [("SILENT_SECONDS", b""), ("SILENT_SECONDS", b"\r\n"), ("HEAD_SECONDS", b"POST /enrich HTTP/1.1\r\nx-slow: ")],
)
def test_a_connection_without_a_request_is_closed(api, monkeypatch, limit, sent):
    monkeypatch.setattr(connections, limit, 0.1)
    with api.client.connection() as connection:
        connection.sendall(sent)
        assert is_closed(connection)


def test_a_connection_that_was_opened_in_advance_is_served(api, monkeypatch):
    """Senders keep some open for later: to find them closed would cost them a request."""
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.05)
    with api.client.connection() as connection:
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        connection.settimeout(20)
        assert ask(api.client, connection).status == 200


def test_a_kept_connection_is_closed_in_the_middle_of_a_head_only(api, monkeypatch):
    with api.client.connection() as connection:
        monkeypatch.setattr(connections, "HEAD_SECONDS", 0.5)
        assert ask(api.client, connection).status == 200
        connection.settimeout(0.8)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        connection.settimeout(20)
        connection.sendall(b"GET /healthz HT")
        assert is_closed(connection)


def test_a_head_that_does_not_end_is_not_taken(api):
    with pytest.raises(ConnectionError):
        api.client.request("GET", "/healthz", {"x": "a" * 2_000_000})


def test_a_body_with_its_head_counts_as_a_body(api):
    body = json.dumps(LEAD).encode() + b" " * 60_000
    with api.client.connection() as connection:
        head = api.client.head(
            "POST", "/enrich", {**api_headers(x_more="a" * 30_000), "content-length": str(len(body))}
        )
        connection.sendall(head + body)
        assert read_reply(connection).status == 200
        assert ask(api.client, connection).status == 200
