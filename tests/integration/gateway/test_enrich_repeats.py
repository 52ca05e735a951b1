"""The same request twice has one effect and one answer, in one process and across several."""

from __future__ import annotations

import json
import threading
import time

from support.enrich import KEY, LEAD, OTHER_KEY, SECOND_KEY, api_headers, refusal, running_api
from support.gateway import read_reply

from enrichment_dagster.errors import Overloaded
from enrichment_dagster.store.tables import journal


def test_a_repeat_gets_the_same_bytes_and_has_no_effect(api, rows):
    with api.client.connection() as connection:
        answers = []
        for _ in range(2):
            body = json.dumps(LEAD).encode()
            head = api_headers(idempotency_key="lead-1", content_length=str(len(body)))
            connection.sendall(api.client.head("POST", "/enrich", head) + body)
            answers.append(read_reply(connection))
    first, second = answers
    assert first.content == second.content
    assert ("idempotent-replayed" in first.headers, second.headers["idempotent-replayed"]) == (False, "true")
    assert (len(api.lane.asked), len(rows(journal))) == (1, 1)


def test_without_a_key_each_request_is_an_event_of_its_own(api, rows):
    assert api.enrich().content["event_id"] != api.enrich().content["event_id"]
    assert len(rows(journal)) == 2


def test_the_same_key_with_another_body_is_refused(api):
    api.enrich(idempotency_key="lead-1")
    assert refusal(api.enrich({**LEAD, "company": "Other"}, idempotency_key="lead-1")) == (
        409,
        "idempotency_key_reused",
    )
    assert len(api.lane.asked) == 1


def test_the_same_key_of_another_caller_is_another_request(api):
    first, second = (api.enrich(idempotency_key="lead-1", key=key) for key in (KEY, OTHER_KEY))
    assert first.content["event_id"] != second.content["event_id"]


def test_both_keys_of_a_caller_are_one_caller(api):
    first, second = (api.enrich(idempotency_key="lead-1", key=key) for key in (KEY, SECOND_KEY))
    assert first.content == second.content


def test_a_failure_leaves_the_key_free(api):
    api.lane.failure = Overloaded("the line is full")
    assert api.enrich(idempotency_key="lead-1").status == 429
    api.lane.failure = None
    reply = api.enrich(idempotency_key="lead-1")
    assert (reply.status, "idempotent-replayed" in reply.headers) == (200, False)


def at_once(calls):
    """Make the calls at the same time and return their replies."""
    replies = [None] * len(calls)

    def run(place, call):
        replies[place] = call()

    threads = [threading.Thread(target=run, args=(place, call)) for place, call in enumerate(calls)]
    for thread in threads:
        thread.start()
    return threads, replies


def wait_for(condition):
    give_up = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.01)


def test_repeats_at_the_same_time_wait_for_the_first_one(api):
    api.lane.gate = threading.Event()
    threads, replies = at_once([lambda: api.enrich(idempotency_key="lead-1")] * 5)
    wait_for(lambda: api.lane.asked)
    assert refusal(api.enrich({"email": "x@y.co"}, idempotency_key="lead-1")) == (409, "idempotency_key_reused")
    api.lane.gate.set()
    for thread in threads:
        thread.join()
    assert [reply.status for reply in replies] == [200] * 5
    assert len({json.dumps(reply.content) for reply in replies}) == 1
    assert (len(api.lane.asked), sum("idempotent-replayed" in reply.headers for reply in replies)) == (1, 4)


def test_a_repeat_in_another_process_waits_for_the_first_one(api, api_stores, api_journal):
    api.lane.gate = threading.Event()
    with running_api(api_stores, api_journal) as other:
        threads, replies = at_once([lambda: api.enrich(idempotency_key="lead-1")])
        wait_for(lambda: api.lane.asked)
        more, repeats = at_once([lambda: other.enrich(idempotency_key="lead-1")])
        api.lane.gate.set()
        for thread in threads + more:
            thread.join()
    assert replies[0].content == repeats[0].content
    assert repeats[0].headers["idempotent-replayed"] == "true"
    assert other.lane.asked == []


def test_a_repeat_does_not_wait_longer_than_its_deadline(api, api_stores, api_journal):
    api.lane.gate = threading.Event()
    body = {**LEAD, "deadline_ms": 200}
    with running_api(api_stores, api_journal) as other:
        threads, replies = at_once([lambda: api.enrich(body, idempotency_key="lead-1")])
        wait_for(lambda: api.lane.asked)
        for place in (api, other):
            reply = place.enrich(body, idempotency_key="lead-1")
            assert (*refusal(reply), reply.headers["retry-after"]) == (409, "in_progress", "1")
        api.lane.gate.set()
        threads[0].join()
    assert replies[0].status == 200


def test_a_client_that_leaves_does_not_end_the_work(api):
    api.lane.gate = threading.Event()
    body = json.dumps(LEAD).encode()
    with api.client.connection() as connection:
        head = api_headers(idempotency_key="lead-1", content_length=str(len(body)))
        connection.sendall(api.client.head("POST", "/enrich", head) + body)
        wait_for(lambda: api.lane.asked)
    api.lane.gate.set()
    wait_for(lambda: api.lane.finished)
    reply = api.enrich(body, idempotency_key="lead-1")
    assert (reply.status, reply.headers.get("idempotent-replayed")) == (200, "true")
    assert len(api.lane.asked) == 1
