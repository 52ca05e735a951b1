"""Who may not ask, and what can't be asked: refused with a reason, and nothing is left behind."""

from __future__ import annotations

import json

import pytest
from support.enrich import KEY, LEAD, OTHER_KEY, SECOND_KEY, api_headers, refusal, running_api
from support.gateway import is_closed, read_reply

from enrichment_dagster.errors import Overloaded, StoreError
from enrichment_dagster.store.tables import api_requests, journal

# --- who may ask -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [{"authorization": f"Bearer {KEY}"}, {"authorization": f"bearer  {SECOND_KEY} "}, {"x-api-key": OTHER_KEY},
     {"authorization": "Basic eDp5", "x-api-key": KEY}],
)  # fmt: skip
def test_each_key_of_each_caller_opens(api, headers):
    reply = api.client.post("/enrich", json.dumps(LEAD).encode(), {"content-type": "application/json", **headers})
    assert reply.status == 200


@pytest.mark.parametrize(
    "headers",
    [{}, {"authorization": "Bearer "}, {"authorization": "Bearer wrong"}, {"authorization": KEY}, {"x-api-key": ""},
     {"authorization": f"Bearer {KEY}x"}, {"authorization": f"Bearer {KEY[:-1]}"}, {"x-api-key": KEY.upper()},
     {"authorization": "Bearer wrong", "x-api-key": KEY}, {"x-api-key": "\udcff\udcfe"}],
)  # fmt: skip
def test_every_other_key_is_refused_in_the_same_words(api, headers):
    nothing = api.client.post("/enrich", b"{}", {})
    reply = api.client.post("/enrich", json.dumps(LEAD).encode(), {"content-type": "application/json", **headers})
    assert refusal(reply) == (401, "unauthorized")
    assert reply.content == nothing.content
    assert reply.headers["www-authenticate"] == "Bearer"
    assert api.lane.asked == []


def test_a_wrong_key_is_not_in_the_log(api_stores, api_journal, captured_logs):
    with running_api(api_stores, api_journal) as api:
        api.enrich(key="wrong-key-of-a-stranger")
    assert "wrong-key-of-a-stranger" not in str(captured_logs)
    assert [entry["reason"] for entry in captured_logs if entry.get("sender") == "enrich"] == ["unauthorized"]


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", (400, "empty_body")),
        (b"{", (400, "not_json")),
        (b"\xff\xfe", (400, "invalid_utf8")),
        (b"\xef\xbb\xbf{}", (400, "byte_order_mark")),
        (b'{"email": "a@b.co", "email": "c@d.co"}', (400, "duplicate_key")),
        (b'{"deadline_ms": NaN}', (400, "not_a_number")),
        (b"[" * 30_000, (400, "too_deep")),
        (b'{"email":' + b"[" * 10_000 + b"]" * 10_000 + b"}", (400, "too_deep")),
        (b"[]", (422, "not_an_object")),
        (b"null", (422, "not_an_object")),
        (b'"x"', (422, "not_an_object")),
        (b"{}", (422, "nobody")),
        (b'{"email": "", "domain": " "}', (422, "nobody")),
        (b'{"domain": "no domain"}', (422, "nobody")),
        (b'{"email": "a@b.co", "emial": "x"}', (422, "unknown_field")),
        (b'{"email": "a@b.co", "\\ud800": "x"}', (422, "invalid_field")),
        (b'{"email": 1}', (422, "invalid_field")),
        (b'{"email": null}', (422, "invalid_field")),
        (b'{"email": "a\\u0000@b.co"}', (422, "invalid_field")),
        (b'{"email": "a\\ud800@b.co"}', (422, "invalid_field")),
        (b'{"email": "a@b.co", "company": "x\\u0000"}', (422, "invalid_field")),
        (b'{"email": "a@b.co", "company": "' + b"x" * 501 + b'"}', (422, "invalid_field")),
        (b'{"email": "a@b.co", "deadline_ms": 0}', (422, "invalid_field")),
        (b'{"email": "a@b.co", "deadline_ms": true}', (422, "invalid_field")),
        (b'{"email": "a@b.co", "deadline_ms": "100"}', (422, "invalid_field")),
        (b'{"email": "a@b.co", "deadline_ms": 1e400}', (422, "invalid_field")),
        (b'{"email": "a@b.co", "deadline_ms": -' + b"9" * 5_000 + b"}", (422, "invalid_field")),
        (b'{"email": "a@b.co", "mode": "later"}', (422, "invalid_field")),
        (b'{"email": "a@b.co", "event_type": "x;y"}', (422, "invalid_field")),
        (b'{"email": "a@b.co", "event_type": "website_visit"}', (422, "no_routing_plan")),
        (b'{"email": "a@b.co", "event_type": "unheard_of", "mode": "async"}', (422, "unknown_event_type")),
        (b'{"email": "a@b.co", "source_system": "hubspot"}', (422, "incomplete_record")),
        (b'{"email": "a@b.co", "source_id": "1"}', (422, "incomplete_record")),
        (b'{"email": "a@b.co", "source_system": "hubspot", "source_id": "x"}', (422, "bad_source_id")),
        (b'{"email": "a@b.co", "source_system": "salesforce", "source_id": "x"}', (422, "bad_source_id")),
        (b'{"email": "a@b.co", "source_system": "a b", "source_id": "x"}', (422, "invalid_field")),
        (b'{"email": "a@b.co", "callback_url": "https://x.example.com"}', (422, "callback_url_with_sync")),
    ],
)  # fmt: skip
def test_a_wrong_body_is_refused_and_leaves_nothing(api, rows, body, expected):
    reply = api.enrich(body, idempotency_key="k")
    assert refusal(reply) == expected
    assert list(reply.content) == ["error"]
    assert (api.lane.asked, rows(journal), rows(api_requests)) == ([], [], [])


def test_every_wrong_field_is_named(api):
    detail = api.enrich({"email": 1, "emial": 2, "mode": 3}).content["error"]["detail"]
    assert [part.partition(":")[0] for part in detail.split("; ")] == ["email", "mode", "emial"]


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_body_that_is_not_said_to_be_json_is_refused(api, kind):
    assert refusal(api.enrich(content_type=kind)) == (415, "unsupported_media_type")


def test_a_charset_with_the_content_type_is_fine(api):
    assert api.enrich(content_type="Application/JSON; charset=utf-8").status == 200


def test_a_large_body_is_not_read(api):
    body = json.dumps({**LEAD, "company": "x" * 1_000_000}).encode()
    with api.client.connection() as connection:
        connection.sendall(api.client.head("POST", "/enrich", api_headers(content_length=str(len(body)))))
        assert refusal(read_reply(connection)) == (413, "body_too_large")
        assert is_closed(connection)


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb", "\udcc3\udca9"])
def test_an_idempotency_key_has_its_limits(api, key):
    assert refusal(api.enrich(idempotency_key=key)) == (400, "bad_idempotency_key")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_other_methods_are_refused_in_the_same_form(api, method):
    assert refusal(api.client.request(method, "/enrich", api_headers())) == (405, "wrong_method")


def test_a_slow_sender_is_sent_away(api):
    with api.client.connection() as connection:
        connection.sendall(api.client.head("POST", "/enrich", api_headers(content_length="100")) + b"{")
        assert refusal(read_reply(connection)) == (408, "body_too_slow")


def test_too_much_at_once_is_told_to_come_again(api):
    api.lane.failure = Overloaded("the line is full")
    reply = api.enrich()
    assert (*refusal(reply), reply.headers["retry-after"]) == (429, "overloaded", "1")


def test_what_could_not_be_recorded_is_not_answered(api):
    api.lane.failure = StoreError("the event could not be recorded")
    reply = api.enrich()
    assert refusal(reply) == (503, "store_unavailable")
    assert int(reply.headers["retry-after"]) >= 1
