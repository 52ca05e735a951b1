"""Signatures of what we post: the specification's own example, and secrets that are none."""

import base64
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from enrichment_dagster.http.standard_webhooks import read_secret, signed_headers

VECTORS = json.loads((Path(__file__).parents[2] / "data" / "golden" / "standard_webhooks.json").read_text())


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_vectors(vector):
    message_id, timestamp = vector["headers"]["webhook-id"], vector["headers"]["webhook-timestamp"]
    at = datetime.fromtimestamp(int(timestamp), UTC)
    headers = signed_headers(read_secret(vector["secret"]), message_id, at, vector["body"].encode())
    assert headers == {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": vector["expected_webhook_signature"],
    }


@pytest.mark.parametrize("length", [24, 64])
def test_a_secret_of_the_documented_length_is_read(length):
    assert read_secret("whsec_" + base64.b64encode(b"k" * length).decode()) == b"k" * length


@pytest.mark.parametrize(
    "text",
    ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_not base64!",
     "whsec_" + base64.b64encode(b"k" * 23).decode(), "whsec_" + base64.b64encode(b"k" * 65).decode()],
)  # fmt: skip
def test_what_is_no_secret(text):
    with pytest.raises(ValueError, match=r"base64"):
        read_secret(text)
