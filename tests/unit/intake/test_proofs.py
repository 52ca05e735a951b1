"""Every signature scheme against vectors of the vendors' own clients, and what is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from support.intake import NOW, sample

from enrichment_dagster.errors import SignatureError
from enrichment_dagster.intake.proof.basic_auth import BasicAuth
from enrichment_dagster.intake.proof.hubspot import SignatureV3, WorkflowSignature
from enrichment_dagster.intake.proof.linkedin import LinkedInSignature
from enrichment_dagster.intake.proof.segment import first_event, segment_signature
from enrichment_dagster.intake.proof.sendgrid import SendGridSignature, read_keys
from enrichment_dagster.intake.proof.shared_secret import SharedSecret
from enrichment_dagster.intake.proof.standard_webhooks import StandardSignature
from enrichment_dagster.intake.proof.twilio import TwilioSignature
from enrichment_dagster.intake.sender import Proof, RawRequest

VECTORS: dict[str, list[dict[str, Any]]] = json.loads(sample("signature-vectors.json"))
WINDOW = timedelta(minutes=5)


def at(seconds: str) -> datetime:
    return datetime.fromtimestamp(int(seconds), UTC)


def named(kind: str) -> Any:
    return pytest.mark.parametrize("vector", VECTORS[kind], ids=lambda vector: vector["name"])


def refusal(proof: Proof, headers: dict[str, str], body: bytes, now: datetime = NOW, query: str = "") -> str:
    with pytest.raises(SignatureError) as caught:
        proof.verify(RawRequest("POST", headers, body, query), now)
    assert caught.value.status == 401
    return caught.value.reason


# --- HubSpot workflows -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "vector", [v for v in VECTORS["hubspot_v1_v2"] if v["version"] == "v2"], ids=lambda v: v["name"]
)
def test_hubspots_version_2(vector: dict[str, Any]) -> None:
    v3 = SignatureV3((b"other", vector["client_secret"].encode()), vector["uri"].encode(), WINDOW)
    headers = {"x-hubspot-signature": vector["expected"], "x-hubspot-signature-version": "v2"}
    request = RawRequest(vector["method"], headers, vector["body"].encode())
    WorkflowSignature(v3).verify(request, NOW)
    with pytest.raises(SignatureError, match="bad_signature"):
        WorkflowSignature(v3).verify(RawRequest("PUT", headers, request.body), NOW)


def test_a_workflow_that_signs_both_ways_is_held_to_the_newer_one() -> None:
    vector = VECTORS["hubspot_v3"][1]
    proof = WorkflowSignature(SignatureV3((vector["client_secret"].encode(),), vector["request_uri"].encode(), WINDOW))
    headers = {"x-hubspot-signature-v3": vector["expected"], "x-hubspot-request-timestamp": vector["timestamp_header"]}
    now = datetime.fromtimestamp(int(vector["timestamp_header"]) / 1_000, UTC)
    proof.verify(RawRequest("POST", headers, vector["body"].encode()), now)
    later = now + WINDOW + timedelta(seconds=1)
    assert refusal(proof, {**headers, "x-hubspot-signature": "x"}, vector["body"].encode(), later) == "stale"
    assert refusal(proof, {}, b"") == "missing_signature"


# --- Twilio ----------------------------------------------------------------------------------------------------------


def twilio(vector: dict[str, Any]) -> tuple[TwilioSignature, dict[str, str], bytes, str]:
    url, _, query = vector["url"].partition("?")
    sha256 = vector["algorithm"] == "HMAC_SHA256"
    keys = (vector["auth_token"].encode(),)
    proof = TwilioSignature(() if sha256 else keys, keys if sha256 else (), url)
    headers = {"x-twilio-signature": vector["expected"]}
    if sha256:
        headers["x-twilio-webhooks-signature-settings"] = "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256"
    body = vector["body"].encode() if "body" in vector else urlencode(vector["params"]).encode()
    return proof, headers, body, query


@named("twilio")
def test_twilios_signatures(vector: dict[str, Any]) -> None:
    proof, headers, body, query = twilio(vector)
    proof.verify(RawRequest("POST", headers, body, query), NOW)
    assert refusal(proof, headers, body + b"&x=1", query=query) == "bad_signature"
    assert refusal(proof, headers, body, query=query + "&x=1") == "bad_signature"
    assert refusal(proof, {**headers, "x-twilio-signature": "AAAA"}, body, query=query) == "bad_signature"
    assert refusal(proof, {}, body, query=query) == "missing_signature"


def test_the_default_port_may_be_signed_or_not() -> None:
    proof, headers, body, query = twilio(VECTORS["twilio"][1])
    TwilioSignature(proof.auth_tokens, (), proof.url.replace(".com/", ".com:443/")).verify(
        RawRequest("POST", headers, body, query), NOW
    )


def test_order_and_repeats_of_parameters_make_no_difference() -> None:
    vector = VECTORS["twilio"][1]
    proof, headers, _, _ = twilio(vector)
    pairs = list(reversed(vector["params"].items()))
    proof.verify(RawRequest("POST", headers, urlencode([*pairs, pairs[0]]).encode()), NOW)
    assert refusal(proof, headers, urlencode([*pairs, (pairs[0][0], "other")]).encode()) == "bad_signature"


@pytest.mark.parametrize("settings", ["key=k,algorithm=HMAC_MD5", "key=k,algorithm=HMAC_SHA256"])
def test_an_algorithm_or_a_key_that_we_have_not_is_told(settings: str) -> None:
    proof, headers, body, _ = twilio(VECTORS["twilio"][1])
    given = {**headers, "x-twilio-webhooks-signature-settings": settings}
    assert refusal(proof, given, body) == "bad_algorithm"


@pytest.mark.parametrize("body", [b"\xff\xfe", b"&".join(b"a%d=1" % n for n in range(600))])
def test_a_body_that_is_no_form_is_not_taken_for_an_empty_one(body: bytes) -> None:
    from enrichment_dagster.cli.signing import twilio_headers

    proof, _, _, _ = twilio(VECTORS["twilio"][1])
    empty = {name.lower(): value for name, value in twilio_headers("test-twilio-auth-token", proof.url, b"").items()}
    proof.verify(RawRequest("POST", empty, b""), NOW)
    assert refusal(proof, empty, body) == "bad_signature"


# --- SendGrid --------------------------------------------------------------------------------------------------------


@named("sendgrid_ecdsa")
def test_sendgrids_signature_with_the_end_of_line_that_is_part_of_it(vector: dict[str, Any]) -> None:
    other = VECTORS["sendgrid_ecdsa"][0]["public_key_base64_der"].encode()
    proof = SendGridSignature(read_keys([other, vector["public_key_base64_der"].encode()]), WINDOW)
    now, body = at(vector["timestamp_header"]), vector["body"].encode()
    headers = {
        "x-twilio-email-event-webhook-signature": vector["signature_header"],
        "x-twilio-email-event-webhook-timestamp": vector["timestamp_header"],
    }
    proof.verify(RawRequest("POST", headers, body), now)
    assert refusal(proof, headers, body.rstrip(b"\r\n"), now) == "bad_signature"
    assert refusal(proof, headers, body, now + WINDOW + timedelta(seconds=1)) == "stale"
    assert refusal(proof, headers, body, now - WINDOW - timedelta(seconds=1)) == "future"
    for spoiled in ("", "!!!", "AAAA", vector["signature_header"][:-8] + "AAAAAAA=", "é"):
        given = {**headers, "x-twilio-email-event-webhook-signature": spoiled}
        assert refusal(proof, given, body, now) in {"bad_signature", "missing_signature"}


def test_what_is_no_public_key_is_told() -> None:
    for text in (b"x", b"AAAA", b"\xff", b"MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE="):
        with pytest.raises(ValueError, match="key"):
            read_keys([text])


# --- Segment, Standard Webhooks, LinkedIn ----------------------------------------------------------------------------


@named("segment")
def test_segments_signature_of_one_event(vector: dict[str, Any]) -> None:
    proof = segment_signature((vector["shared_secret"].encode(),))
    headers, body = {"x-signature": vector["expected"]}, vector["body"].encode()
    proof.verify(RawRequest("POST", headers, body), NOW)
    proof.verify(RawRequest("POST", headers, b"[" + body + b',{"type":"page"}]'), NOW)
    assert refusal(proof, headers, body + b" ") == "bad_signature"
    assert refusal(proof, headers, b'[{"type":"page"},' + body + b"]") == "bad_signature"
    assert refusal(proof, {}, body) == "missing_signature"


@pytest.mark.parametrize("body", [b"", b"[", b"[]", b"[{", b"\xff", b"[" * 100_000, b"{}"])
def test_the_first_event_of_what_is_no_batch_is_the_body(body: bytes) -> None:
    assert first_event(body) == body


def test_numbers_of_any_size_are_passed_over_in_no_time() -> None:
    body = b'[{"n":' + b"9" * 900_000 + b"},{}]"
    assert first_event(body) == body[1:-4]


@named("standard_webhooks")
def test_standard_webhooks(vector: dict[str, Any]) -> None:
    from enrichment_dagster.http.standard_webhooks import read_secret

    proof = StandardSignature((b"other" * 6, read_secret(vector["secret"])), WINDOW)
    headers = {**vector["headers"], "webhook-signature": vector["expected_webhook_signature"]}
    now, body = at(headers["webhook-timestamp"]), vector["body"].encode()
    proof.verify(RawRequest("POST", headers, body), now)
    rotated = {**headers, "webhook-signature": f"v1a,abc v1,AAAA {headers['webhook-signature']}"}
    proof.verify(RawRequest("POST", rotated, body), now)
    assert refusal(proof, headers, body + b" ", now) == "bad_signature"
    assert refusal(proof, {**headers, "webhook-id": "msg_other"}, body, now) == "bad_signature"
    assert refusal(proof, {**headers, "webhook-signature": "v2," + rotated["webhook-signature"][-44:]}, body, now) == (
        "bad_signature"
    )
    assert refusal(proof, headers, body, now + WINDOW + timedelta(seconds=1)) == "stale"
    assert refusal(proof, {**headers, "webhook-timestamp": "soon"}, body, now) == "bad_timestamp"
    for name in headers:
        assert refusal(proof, {**headers, name: ""}, body, now) == "missing_signature"


def test_linkedins_signature_in_both_readings_of_its_page() -> None:
    import hashlib
    import hmac

    proof, body = LinkedInSignature((b"old", b"secret")), b'{"type":"LEAD_ACTION"}'
    over_prefix = hmac.new(b"secret", b"hmacsha256=" + body, hashlib.sha256).hexdigest()
    behind_prefix = "hmacsha256=" + hmac.new(b"secret", body, hashlib.sha256).hexdigest()
    for signature in (over_prefix, behind_prefix):
        proof.verify(RawRequest("POST", {"x-li-signature": signature}, body), NOW)
        assert refusal(proof, {"x-li-signature": signature}, body + b" ") == "bad_signature"
    assert refusal(proof, {}, body) == "missing_signature"
    assert proof.answer("890e") == hmac.new(b"old", b"890e", hashlib.sha256).hexdigest()


# --- Secrets that are shown ------------------------------------------------------------------------------------------


def test_a_secret_in_a_header_of_choice() -> None:
    proof = SharedSecret((b"one", b"two"), "X-Ours")
    proof.verify(RawRequest("POST", {"x-ours": "two"}, b""), NOW)
    assert refusal(proof, {"x-enrichment-secret": "one"}, b"") == "missing_secret"
    assert refusal(proof, {"x-ours": "three"}, b"") == "bad_secret"
    assert "one" not in repr(proof)


@pytest.mark.parametrize("value", ["Bearer token-1", "bearer token-1", "token-1"])
def test_a_bearer_token(value: str) -> None:
    SharedSecret((b"token-1",), "Authorization").verify(RawRequest("POST", {"authorization": value}, b""), NOW)


@pytest.mark.parametrize(
    ("value", "reason"), [("", "missing_secret"), ("Bearer ", "missing_secret"), ("Basic token-1", "bad_secret")]
)
def test_what_is_no_bearer_token(value: str, reason: str) -> None:
    assert refusal(SharedSecret((b"token-1",), "Authorization"), {"authorization": value}, b"") == reason


def test_user_and_password() -> None:
    proof = BasicAuth((b"user:p\xc3\xa4ss",))
    proof.verify(RawRequest("POST", {"authorization": "Basic dXNlcjpww6Rzcw=="}, b""), NOW)
    assert refusal(proof, {}, b"") == "missing_credentials"
    for value in ("Basic dXNlcjpvdGhlcg==", "Basic !!!", "Basic é", "basic "):
        assert refusal(proof, {"authorization": value}, b"") == "bad_credentials"
