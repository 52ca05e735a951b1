"""Deliveries over real sockets into a real journal: what arrives is stored exactly once, what is wrong never."""

import random
import socket
import struct
import threading
from datetime import timedelta

import pytest
from support.gateway import is_closed, read_reply
from support.intake import (
    NOW,
    contact_creation,
    encode,
    flow_body,
    flow_headers,
    hubspot_headers,
    sample,
)

HUBSPOT = "/webhooks/hubspot"
FLOW = "/webhooks/salesforce/flow"
WINDOW = timedelta(seconds=300)
MILLISECOND = timedelta(milliseconds=1)


def post(client, value, **how):
    body = value if isinstance(value, bytes) else encode(value)
    return client.post(HUBSPOT, body, hubspot_headers(body, **how))


def test_the_vendors_samples_are_stored(client, stored):
    assert post(client, sample("hubspot-webhook-contact-creation.json")).content["accepted"] == 1
    both_sides = post(client, sample("hubspot-webhook-contact-associationchange.json")).content
    assert (both_sides["accepted"], both_sides["duplicates"]) == (1, 1)
    reply = client.post(FLOW, sample("salesforce-flow-http-callout.json"), flow_headers())
    assert (reply.status, reply.content["accepted"]) == (200, 1)
    assert stored() == ["1246978", "1246965", "00Q5g00000AbCdEEAX"]


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"secret": "wrong"}, "bad_signature"),
        ({"at": NOW - WINDOW - MILLISECOND}, "stale"),
        ({"at": NOW + WINDOW + MILLISECOND}, "future"),
    ],
)
def test_what_is_not_proven_is_not_stored(client, stored, kept, how, reason):
    reply = post(client, [contact_creation()], **how)
    assert (reply.status, reply.content["error"]["reason"]) == (401, reason)
    assert (stored(), kept()) == ([], [])


@pytest.mark.parametrize("at", [NOW - WINDOW, NOW + WINDOW])
def test_the_edges_of_the_window_are_inside(client, at):
    assert post(client, [contact_creation()], at=at).status == 200


def test_what_is_not_signed_is_not_stored(client, stored):
    assert client.post(HUBSPOT, encode([contact_creation()]), {}).status == 401
    assert client.post(FLOW, encode(flow_body()), {}).status == 401
    assert client.post(FLOW, encode(flow_body()), flow_headers("wrong")).status == 401
    assert stored() == []


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty_body"),
        (b"lead_id=1", "not_json"),
        (b'[{"a": "\xe9"}]', "invalid_utf8"),
        (b"[" * 15_000, "too_deep"),
        (b"[" * 5_000 + b"]" * 5_000, "too_deep"),
        (b'{"events": []}', "missing_type"),
    ],
)
def test_a_proven_body_that_cannot_be_read_is_kept_as_it_came(client, stored, kept, body, reason):
    reply = post(client, body)
    assert (reply.status, reply.content) == (200, {"accepted": 0, "kept": 1, "reason": reason})
    assert (stored(), kept()) == ([], [(reason, body)])


def test_huge_integers_stay_exact_and_absurd_ones_are_kept(client, stored, kept):
    body = encode([contact_creation(2**63 - 1), contact_creation(2**70), contact_creation(7)])
    reply = post(client, body.replace(b'"objectId": 7,', b'"objectId": ' + b"7" * 10_000 + b","))
    assert (reply.content["accepted"], reply.content["rejected"]) == (2, 1)
    assert stored() == ["9223372036854775807", "1180591620717411303424"]
    assert [reason for reason, _ in kept()] == ["bad_object_id"]


def test_unknown_types_are_stored(client, stored):
    assert post(client, [contact_creation(subscriptionType="ticket.restore")]).content["accepted"] == 1
    assert client.post(FLOW, encode(flow_body(event_type="x")), flow_headers()).content["accepted"] == 1
    assert len(stored()) == 2


def test_duplicates_are_stored_once_within_a_batch_and_across_batches(client, stored):
    first, second = contact_creation(1), contact_creation(2)
    reply = post(client, [first, second, {**first, "attemptNumber": 3}])
    assert (reply.content["accepted"], reply.content["duplicates"]) == (2, 1)
    assert len(reply.content["event_ids"]) == 3
    reply = post(client, [second, contact_creation(3), first])
    assert (reply.content["accepted"], reply.content["duplicates"]) == (1, 2)
    assert stored() == ["1", "2", "3"]


def test_the_order_of_deliveries_does_not_matter(client, stored):
    """Every event is delivered twice, in an order of its own, from several connections at once."""
    events = [contact_creation(n + 1, occurredAt=1790000000000 - n) for n in range(60)]
    deliveries = [[event] for event in events] * 2
    random.Random(5).shuffle(deliveries)
    replies = []

    def work(share):
        replies.extend(post(client, delivery) for delivery in share)

    threads = [threading.Thread(target=work, args=(deliveries[i::4],)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(reply.content["accepted"] for reply in replies) == 60
    assert sum(reply.content["duplicates"] for reply in replies) == 60
    assert sorted(map(int, stored())) == list(range(1, 61))


def test_a_body_that_says_it_is_too_large_is_not_read(client, stored):
    with client.connection() as connection:
        connection.sendall(client.head("POST", HUBSPOT, {"content-length": "20001"}))
        reply = read_reply(connection)
        assert (reply.status, reply.content["error"]["reason"]) == (413, "body_too_large")
        assert is_closed(connection)
    assert stored() == []


@pytest.mark.parametrize("size", [20_001, 5_000_000])
def test_whoever_sends_all_of_a_body_that_is_too_large_sees_the_answer(client, stored, size):
    """A connection that is closed while the client sends is reset: it would hear of that, and not of the 413."""
    for _ in range(5):
        assert client.post(HUBSPOT, b" " * size, {"content-type": "application/json"}).status == 413
    assert stored() == []


def test_a_chunked_body_is_cut_off_where_it_gets_too_large(client, stored):
    chunk = b"1000\r\n" + b" " * 0x1000 + b"\r\n"
    with client.connection() as connection:
        connection.sendall(client.head("POST", HUBSPOT, {"transfer-encoding": "chunked"}) + chunk * 5)
        assert read_reply(connection).status == 413, "answered although the body has not ended"
        assert is_closed(connection)
    assert stored() == []


def test_a_body_of_exactly_the_limit_is_read(client):
    body = encode([contact_creation()]).ljust(20_000)
    assert post(client, body).status == 200
    assert client.post(HUBSPOT, body + b" ", hubspot_headers(body + b" ")).status == 413


def test_a_chunked_body_is_read(client):
    body = encode([contact_creation()])
    head = client.head("POST", HUBSPOT, {**hubspot_headers(body), "transfer-encoding": "chunked"})
    with client.connection() as connection:
        connection.sendall(head + f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n")
        assert read_reply(connection).status == 200


def test_a_client_that_sends_byte_by_byte_is_served(client, stored):
    body = encode([contact_creation()])
    with client.connection() as connection:
        for byte in client.head("POST", HUBSPOT, {**hubspot_headers(body), "content-length": str(len(body))}) + body:
            connection.send(bytes([byte]))
        assert read_reply(connection).content["accepted"] == 1
    assert stored() == ["1246978"]


def test_a_client_that_never_finishes_is_sent_away_and_harms_nobody(client, stored):
    body = encode([contact_creation()])
    with client.connection() as slow:
        slow.sendall(client.head("POST", HUBSPOT, {**hubspot_headers(body), "content-length": "1000"}) + body)
        assert post(client, [contact_creation(5)]).status == 200
        reply = read_reply(slow)
        assert (reply.status, reply.content["error"]["reason"]) == (408, "body_too_slow")
        assert is_closed(slow)
    assert stored() == ["5"]


@pytest.mark.parametrize("reset", [False, True])
def test_a_client_that_leaves_in_the_middle_leaves_nothing(client, stored, kept, reset, captured_logs):
    body = encode([contact_creation()])
    with client.connection() as connection:
        head = client.head("POST", HUBSPOT, {**hubspot_headers(body), "content-length": str(len(body))})
        connection.sendall(head + body[:-1])
        if reset:  # an RST in place of a FIN
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert post(client, [contact_creation(5)]).status == 200
    assert (stored(), kept()) == (["5"], [])
    assert not [entry for entry in captured_logs if entry["log_level"] == "error"]


def test_several_deliveries_on_one_connection(client, stored):
    with client.connection() as connection:
        for number in (1, 2, 3):
            body = encode([contact_creation(number)])
            head = client.head("POST", HUBSPOT, {**hubspot_headers(body), "content-length": str(len(body))})
            connection.sendall(head + body)
            assert read_reply(connection).status == 200
        connection.sendall(client.head("POST", HUBSPOT, {"content-length": "2"}) + b"[]")
        assert read_reply(connection).status == 401
        body = encode([contact_creation(4)])
        head = client.head("POST", HUBSPOT, {**hubspot_headers(body), "content-length": str(len(body))})
        connection.sendall(head + body)
        assert read_reply(connection).status == 200
    assert stored() == ["1", "2", "3", "4"]


@pytest.mark.parametrize("junk", [b"GARBAGE\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00", b"POST / HTTP/9.9\r\n\r\n"])
def test_what_is_no_http_is_a_400(client, junk):
    with client.connection() as connection:
        connection.sendall(junk)
        assert read_reply(connection).status == 400


def test_a_batch_of_a_hundred(client, stored):
    names = ("eventId", "occurredAt", "subscriptionType")
    brief = {name: value for name, value in contact_creation().items() if name in names}
    reply = post(client, [{**brief, "objectId": n + 1} for n in range(100)])
    assert reply.content["accepted"] == 100
    assert stored() == [str(n + 1) for n in range(100)]
