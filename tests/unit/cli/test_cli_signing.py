"""Vectors of HubSpot's own client, and of its documentation."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.intake import sample

from enrichment_dagster.cli.signing import flow_headers, hubspot_headers, hubspot_signature

VECTORS: list[dict[str, Any]] = json.loads(sample("signature-vectors.json"))["hubspot_v3"]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_signs_as_hubspots_client_does(vector: dict[str, Any]) -> None:
    found = hubspot_signature(
        vector["client_secret"],
        vector["method"],
        vector["request_uri"],
        vector["body"].encode(),
        vector["timestamp_header"],
    )
    assert found == vector["expected"]


def test_the_documented_escapes_of_a_url_are_decoded_and_no_others() -> None:
    def signed(url: str) -> str:
        return hubspot_signature("s", "POST", url, b"[]", "1")

    assert signed("https://a.example/w%3fq=%2F") == signed("https://a.example/w?q=/")
    assert signed("https://a.example/w%20x") != signed("https://a.example/w x")


def test_hubspots_headers_carry_the_time_that_is_signed() -> None:
    vector = VECTORS[1]
    headers = hubspot_headers(
        vector["client_secret"], vector["request_uri"], vector["body"].encode(), int(vector["timestamp_header"])
    )
    assert headers["X-HubSpot-Signature-v3"] == vector["expected"]
    assert headers["X-HubSpot-Request-Timestamp"] == vector["timestamp_header"]


def test_flow_sends_its_secret_in_the_configured_header() -> None:
    assert flow_headers("s3cret", "X-Ours")["X-Ours"] == "s3cret"
