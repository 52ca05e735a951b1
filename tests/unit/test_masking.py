"""What may not be read in logs, and what must stay readable."""

import time

import pytest

from enrichment_dagster.masking import Masker, known_secrets
from enrichment_dagster.settings import load_settings


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("contact dana.reyes+x@northwind-parts.com failed", "contact *** failed"),
        ("mailto:DANA@EXAMPLE.CO.UK.", "mailto:***."),
        ('{"email": "zoë@würth.de"}', '{"email": "***"}'),
        ("GET /v2/validate?email=dana%40example.com&x=1", "GET /v2/validate?email=***&x=1"),
        ("call +1 (415) 555-0132 now", "call *** now"),
        ("call +14155550132", "call ***"),
        ("call +49 30 901820", "call ***"),
        ("call (415) 555-0132", "call ***"),
        ("call 415-555-0132", "call ***"),
        ("Authorization: Bearer pat-na1-0123456789", "Authorization: Bearer ***"),
        ("{'authorization': 'Basic dXNlcjpwYXNz'}", "{'authorization': 'Basic ***'}"),
        ("https://api.example.com/?api_key=abc123&x=1", "https://api.example.com/?api_key=***&x=1"),
        ("X-Api-Key: abc123", "X-Api-Key: ***"),
        ('{"client_secret":"s3cr3t","a":1}', '{"client_secret":"***","a":1}'),
        ("password = hunter2, next", "password = ***, next"),
        ("POST /callbacks/apollo/Zk3x-9_aB HTTP/1.1", "POST /callbacks/apollo/*** HTTP/1.1"),
        ("https://e.example.com/x/callbacks/apollo/Zk3x?a=1", "https://e.example.com/x/callbacks/apollo/***?a=1"),
        ("postgresql://user:pa55@db.example.com/x", "postgresql://***@db.example.com/x"),
        ("postgresql://user:p@55@db.example.com/x", "postgresql://***@db.example.com/x"),
        ("signed with whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLfSp", "signed with ***"),
        ("Incorrect API key provided: sk-proj-0123456789abcdef", "Incorrect API key provided: ***"),
        ('{\\"access_token\\":\\"abc123\\"}', '{\\"access_token\\":\\"***"}'),
    ],
)
def test_personal_data_and_credentials_are_masked(text, expected):
    assert Masker().text(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "evt_0123456789abcdef01234567",
        "hubspot:contact:332507367156",
        "occurredAt 1790000001000",
        "2026-09-21T12:53:21.123456+00:00",
        "2026-09-21 12:53:21",
        "at 10.0.0.1:8080, 127.0.0.1:443",
        "attempt 3 of 10, 12.5 ms, cost 0.02",
        "token of the lease is lost",
        "3f2b8c1e-1234-4321-8765-0123456789ab",
    ],
)
def test_ids_times_and_numbers_stay_readable(text):
    assert Masker().text(text) == text


def test_known_secrets_are_masked_wherever_they_are_and_however_they_are_quoted():
    masker = Masker(["pass word/1", "pass word/1-longer", "abc"])
    assert masker.text("x pass word/1-longer y pass%20word%2F1 z abc") == "x *** y *** z abc"


def test_values_of_all_kinds_are_masked():
    masked = Masker().mapping(
        {
            "event": "x",
            "error": ValueError("no a@b.example"),
            "nested": {"to": ["a@b.example"], "a@b.example": 1},
            "raw": b"a@b.example",
            "api_key": "k",
            "access_token": b"t",
            "token": 17,
            "email": "not even an address",
            "count": 3,
        }
    )
    assert "a@b" not in str(masked)
    assert masked["api_key"] == masked["access_token"] == masked["email"] == "***"
    assert (masked["token"], masked["count"]) == (17, 3), "numbers are no secrets: a lease has a token as well"


def test_a_long_text_is_masked_in_linear_time():
    begun = time.process_time()
    Masker(["secret-value"]).text("a" * 200_000 + "@" * 1_000 + "+1" * 50_000)
    assert time.process_time() - begun < 5


def test_secrets_are_known_by_the_configuration_and_by_their_names(tmp_path):
    source = load_settings({}).config_path.read_text().replace("APOLLO_API_KEY", "APOLLO_THING")
    (tmp_path / "e.yaml").write_text(source)
    environ = {"ENRICHMENT_CONFIG": str(tmp_path / "e.yaml"), "APOLLO_THING": "a-value", "MY_PASSWORD": "b-value"}
    found = known_secrets(load_settings({**environ, "HUBSPOT_CLIENT_SECRET": "c-value", "LANG": "C.UTF-8"}))
    assert sorted(found) == ["a-value", "b-value", "c-value"]
