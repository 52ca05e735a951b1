"""HubSpot's signature, version 3: golden vectors, every fault, the edges of the time window, two secrets."""

import json
from datetime import timedelta

import pytest
from support.intake import NOW, URL, hubspot_headers, hubspot_sender, milliseconds, sample, signature

from enrichment_dagster.errors import SignatureError
from enrichment_dagster.intake.proof.hubspot import SignatureV3, signed_url
from enrichment_dagster.intake.sender import RawRequest
from enrichment_dagster.sandbox.signing import hubspot_signature_v3

VECTORS = json.loads(sample("signature-vectors.json"))["hubspot_v3"]
BODY = sample("hubspot-webhook-contact-creation.json")


def check(headers, body=BODY, method="POST", now=NOW, sender=None):
    (sender or hubspot_sender()).verify(RawRequest(method, headers, body), now)


def reason_of(headers, **changes):
    with pytest.raises(SignatureError) as caught:
        check(headers, **changes)
    assert caught.value.status == 401
    return caught.value.reason


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_signatures_of_the_official_client_are_accepted(vector):
    signer = SignatureV3(
        (vector["client_secret"].encode(),), signed_url(vector["request_uri"]).encode(), timedelta(seconds=300)
    )
    now = NOW.fromtimestamp(int(vector["timestamp_header"]) / 1_000, tz=NOW.tzinfo)
    headers = {
        "x-hubspot-signature-v3": vector["expected"],
        "x-hubspot-request-timestamp": vector["timestamp_header"],
    }
    signer.verify(RawRequest(vector["method"], headers, vector["body"].encode()), now)
    with pytest.raises(SignatureError):
        signer.verify(RawRequest(vector["method"], headers, vector["body"].encode() + b" "), now)


@pytest.mark.parametrize("name", ["x-hubspot-signature-v3", "x-hubspot-request-timestamp"])
@pytest.mark.parametrize("value", [None, ""])
def test_a_missing_or_blank_header_is_a_missing_signature(name, value):
    headers = {k: v for k, v in {**hubspot_headers(BODY), name: value}.items() if v is not None}
    assert reason_of(headers) == "missing_signature"


@pytest.mark.parametrize(
    "timestamp",
    ["now", "12.5", "-1", "+1790000000000", " 1790000000000", "1e12", "0x1", "1_000", "٣", "9" * 16, "9" * 100_000],
)
def test_a_timestamp_must_be_decimal_digits(timestamp):
    headers = {**hubspot_headers(BODY), "x-hubspot-request-timestamp": timestamp}
    assert reason_of(headers) == "bad_timestamp"


@pytest.mark.parametrize(("timestamp", "reason"), [("0", "stale"), ("999999999999999", "future")])
def test_timestamps_that_no_calendar_knows_are_merely_out_of_the_window(timestamp, reason):
    assert reason_of({**hubspot_headers(BODY), "x-hubspot-request-timestamp": timestamp}) == reason


@pytest.mark.parametrize(
    ("skew", "reason"),
    [
        (timedelta(seconds=300), None),
        (timedelta(seconds=300, microseconds=1), "stale"),
        (timedelta(seconds=-300), None),
        (timedelta(seconds=-300, microseconds=-1), "future"),
    ],
)
def test_the_window_is_exactly_300_seconds_both_ways(skew, reason):
    headers = hubspot_headers(BODY, NOW)
    if reason is None:
        check(headers, now=NOW + skew)
    else:
        assert reason_of(headers, now=NOW + skew) == reason


@pytest.mark.parametrize(
    "spoil",
    [
        lambda s: s[:-4] + "AAA=",
        lambda s: s.lower(),
        lambda s: s + "=",
        lambda s: s.rstrip("="),
        lambda s: f" {s}",
        lambda _: "!!! not base64 !!!",
        lambda _: "ÿ" * 44,
        lambda _: "\udcff",
        lambda _: "A" * 100_000,
    ],
)
def test_a_spoiled_signature_is_refused(spoil):
    headers = hubspot_headers(BODY)
    headers["x-hubspot-signature-v3"] = spoil(headers["x-hubspot-signature-v3"])
    assert reason_of(headers) == "bad_signature"


def test_everything_that_is_signed_counts():
    headers = hubspot_headers(BODY)
    later = str(milliseconds(NOW) + 1)
    assert reason_of(headers, body=BODY + b"\n") == "bad_signature"
    assert reason_of(headers, method="PUT") == "bad_signature"
    assert reason_of({**headers, "x-hubspot-request-timestamp": later}) == "bad_signature"
    assert reason_of(headers, sender=hubspot_sender(url=URL + "/")) == "bad_signature"
    assert reason_of(headers, sender=hubspot_sender(url=URL.replace("https", "http"))) == "bad_signature"
    assert reason_of(headers, sender=hubspot_sender("another-secret")) == "bad_signature"


@pytest.mark.parametrize("used", ["old-secret", "new-secret"])
def test_both_secrets_hold_while_one_is_rotated(used):
    sender = hubspot_sender("new-secret", "old-secret")
    check(hubspot_headers(BODY, secret=used), sender=sender)
    assert reason_of(hubspot_headers(BODY, secret="third"), sender=sender) == "bad_signature"


def test_only_the_documented_escapes_are_decoded():
    escaped = "%3A%2F%3F%40%21%24%27%28%29%2A%2C%3B"
    assert signed_url(f"https://h.example/{escaped}") == "https://h.example/:/?@!$'()*,;"
    assert signed_url("/%3a%2f") == "/:/"
    assert signed_url("/a%20b?c=%26&d=%25%2B%3D%23") == "/a%20b?c=%26&d=%25%2B%3D%23"
    assert signed_url("/%253A") == "/%253A"


def test_the_sandbox_signs_a_url_with_a_query_as_the_product_expects():
    """Two implementations of the same documentation; neither was copied from the other."""
    url = "https://h.example/hook?next=https%3A%2F%2Fx.example%2F%3Fa%3D1&n=%20"
    timestamp = str(milliseconds(NOW))
    signed = hubspot_signature_v3("k", "POST", url, BODY, timestamp)
    headers = {"x-hubspot-signature-v3": signed, "x-hubspot-request-timestamp": timestamp}
    check(headers, sender=hubspot_sender("k", url=signed_url(url)))
    assert signed != signature(BODY, timestamp, "k", url)


def test_secrets_are_not_shown():
    assert "test-client-secret" not in repr(hubspot_sender())
