"""What ``enrichment send`` signs with, against vectors of the vendors' own clients and documentation."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from support.intake import sample

from enrichment_dagster.cli import signing

VECTORS: dict[str, list[dict[str, Any]]] = json.loads(sample("signature-vectors.json"))


@pytest.mark.parametrize("vector", VECTORS["hubspot_v3"], ids=lambda vector: vector["name"])
def test_signs_as_hubspots_client_does(vector: dict[str, Any]) -> None:
    found = signing.hubspot_signature(
        vector["client_secret"],
        vector["method"],
        vector["request_uri"],
        vector["body"].encode(),
        vector["timestamp_header"],
    )
    assert found == vector["expected"]


def test_the_documented_escapes_of_a_url_are_decoded_and_no_others() -> None:
    def signed(url: str) -> str:
        return signing.hubspot_signature("s", "POST", url, b"[]", "1")

    assert signed("https://a.example/w%3fq=%2F") == signed("https://a.example/w?q=/")
    assert signed("https://a.example/w%20x") != signed("https://a.example/w x")


def test_hubspots_headers_carry_the_time_that_is_signed() -> None:
    vector = VECTORS["hubspot_v3"][1]
    headers = signing.hubspot_headers(
        vector["client_secret"], vector["request_uri"], vector["body"].encode(), int(vector["timestamp_header"])
    )
    assert headers["X-HubSpot-Signature-v3"] == vector["expected"]
    assert headers["X-HubSpot-Request-Timestamp"] == vector["timestamp_header"]


@pytest.mark.parametrize("vector", VECTORS["twilio"], ids=lambda vector: vector["name"])
def test_signs_as_twilios_client_does(vector: dict[str, Any]) -> None:
    if "body" in vector:
        headers = signing.twilio_json_headers(vector["auth_token"], vector["url"])
    else:
        algorithm = vector["algorithm"].removeprefix("HMAC_").lower()
        form = urlencode(vector["params"]).encode()
        headers = signing.twilio_headers(vector["auth_token"], vector["url"], form, algorithm)
    assert headers["X-Twilio-Signature"] == vector["expected"]


def test_signs_as_segments_and_standard_webhooks_vectors_say() -> None:
    (segment,), (standard,) = VECTORS["segment"], VECTORS["standard_webhooks"]
    headers = signing.segment_headers(segment["shared_secret"], segment["body"].encode())
    assert headers["X-Signature"] == segment["expected"]
    batch = f'[{segment["body"]},{{"type":"track"}}]'.encode()
    assert signing.segment_headers(segment["shared_secret"], batch)["X-Signature"] == segment["expected"]
    given = standard["headers"]
    signed = signing.standard_headers(
        standard["secret"], given["webhook-id"], standard["body"].encode(), int(given["webhook-timestamp"])
    )
    assert signed["webhook-signature"] == standard["expected_webhook_signature"]


def test_secrets_stand_where_they_are_looked_for() -> None:
    assert signing.secret_headers("s3cret", "X-Ours")["X-Ours"] == "s3cret"
    assert signing.secret_headers("s3cret", "Authorization")["Authorization"] == "Bearer s3cret"
    assert signing.basic_headers("user:password")["Authorization"] == "Basic dXNlcjpwYXNzd29yZA=="
