"""Senders that ask before they post: LinkedIn's challenge, and the handshake of CloudEvents."""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import urlencode

from support.intake import ALL, FixedClock, MemoryJournal, asgi_call

from enrichment_dagster.gateway.app import create_app
from enrichment_dagster.gateway.deps import GatewayDeps, Limits
from enrichment_dagster.intake.cloudevents import CloudEvents
from enrichment_dagster.intake.linkedin import LinkedIn
from enrichment_dagster.intake.proof.linkedin import LinkedInSignature
from enrichment_dagster.intake.proof.shared_secret import SharedSecret

APP = create_app(
    GatewayDeps(
        [LinkedIn(LinkedInSignature((b"secret",)), ALL), CloudEvents(SharedSecret((b"token",), "Authorization"), ALL)],
        MemoryJournal(),
        FixedClock(),
        Limits(10_000),
    )
)


async def test_linkedins_challenge_is_answered_with_our_secret() -> None:
    status, headers, content = await asgi_call(APP, "/webhooks/linkedin?challengeCode=c-1", b"", {}, "GET")
    expected = hmac.new(b"secret", b"c-1", hashlib.sha256).hexdigest()
    assert (status, headers["content-type"]) == (200, "application/json")
    assert content == {"challengeCode": "c-1", "challengeResponse": expected}


async def test_the_answer_to_a_challenge_signs_no_notification() -> None:
    """Anybody may ask. Who asks for the signature of a notification of his own making must not get it."""
    body = b'{"leadGenFormResponse": "x", "leadAction": "CREATED", "occurredAt": 1790000001000}'
    for challenge in ("hmacsha256=" + body.decode(), body.decode(), "7\n"):
        query = urlencode({"challengeCode": challenge})
        status, _, content = await asgi_call(APP, f"/webhooks/linkedin?{query}", b"", {}, "GET")
        assert (status, content["error"]["reason"]) == (400, "no_challenge")
    _, _, content = await asgi_call(APP, "/webhooks/linkedin?challengeCode=7", b"", {}, "GET")
    forged = {"x-li-signature": "hmacsha256=" + content["challengeResponse"]}
    assert (await asgi_call(APP, "/webhooks/linkedin", b"7", forged))[0] == 401


async def test_an_origin_is_let_in_by_its_name() -> None:
    asking = {"webhook-request-origin": "eventgrid.azure.net"}
    status, headers, _ = await asgi_call(APP, "/webhooks/cloudevents", b"", asking, "OPTIONS")
    assert (status, headers["webhook-allowed-origin"], headers["allow"]) == (200, "eventgrid.azure.net", "POST")


async def test_what_is_no_question_is_a_400_and_posts_are_proven_all_the_same() -> None:
    assert (await asgi_call(APP, "/webhooks/linkedin", b"", {}, "GET"))[0] == 400
    assert (await asgi_call(APP, "/webhooks/cloudevents", b"", {}, "OPTIONS"))[0] == 400
    assert (await asgi_call(APP, "/webhooks/linkedin", b"{}", {}, "POST"))[0] == 401
    assert (await asgi_call(APP, "/webhooks/cloudevents", b"{}", {}, "GET"))[0] == 405
