"""The pure parts: statuses, waits, and text that may be shown."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enrichment_dagster.http.redact import redact, vendor_message
from enrichment_dagster.http.retry_after import MAX_SECONDS, parse_retry_after
from enrichment_dagster.http.statuses import STATUS_RULES, Rule, rule_for

NOW = datetime(2026, 9, 21, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize("status", [408, 423, 429, 477, 500, 502, 503, 504, 507, 521, 523, 524])
def test_statuses_that_pass(status):
    assert rule_for(status, {}).transient


@pytest.mark.parametrize("status", [301, 302, 304, 400, 401, 402, 403, 404, 410, 418, 422, 451, 501])
def test_statuses_that_stay(status):
    assert not rule_for(status, {}).transient


@given(st.integers(300, 599))
def test_every_status_has_a_meaning(status):
    assert rule_for(status, {}).reason


def test_a_vendors_own_meaning_comes_first():
    assert rule_for(403, {403: Rule("throttled", transient=True)}).transient
    assert not STATUS_RULES[403].transient


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None), ("", None), ("7", 7), ("1.5", 1.5), (" 3 ", 3), ("-5", 0), ("0", 0), ("nan", None), ("inf", None),
        ("soon", None), ("999999999", MAX_SECONDS),
        ("Mon, 21 Sep 2026 12:00:30 GMT", 30), ("Mon, 21 Sep 2026 12:00:30 -0000", 30),
        ("Mon, 21 Sep 2026 11:00:00 GMT", 0), ("Mon, 99 Sep 2026 11:00:00 GMT", None),
    ],
)  # fmt: skip
def test_retry_after(value, seconds):
    assert parse_retry_after(value, NOW) == seconds


@given(st.text())
def test_retry_after_never_fails(value):
    found = parse_retry_after(value, NOW)
    assert found is None or 0 <= found <= MAX_SECONDS


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"message": "m"}, "m"),
        ({"error": "e", "error_code": "API_INACCESSIBLE"}, "e"),
        ({"error": {"message": "m", "type": "t"}}, "m"),
        ({"error": "invalid_client", "error_description": "d"}, "invalid_client: d"),
        ([{"errorCode": "C", "message": "m"}], "C: m"),
        ({"errors": [{"id": "too_many_requests", "code": 403, "details": "d"}]}, "d"),
        ([], ""),
        (["x"], ""),
        ("text", ""),
        (None, ""),
        ({"message": 4, "error": ["x"]}, ""),
    ],
)
def test_what_vendors_say(body, message):
    assert vendor_message(body) == message


def test_redacted_text():
    text = "Key s3cr3t-key of dana@x.example and dana%40x.example at https://a.example/p?k=v&email=a@b.c failed\nhere"
    assert redact(text, ["s3cr3t-key"]) == "Key *** of *** and *** at https://a.example/p?*** failed here"
    assert redact("can't call https://a.example/callbacks/apollo/Zk3x-9_aB", []).endswith("/callbacks/apollo/***")
    assert len(redact("x" * 5000, [])) == 200
    assert redact("a b", ["", "a"]) == "a b"
