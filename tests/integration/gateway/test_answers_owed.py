"""Answers that are posted to callers: signed, repeated until they are taken, by one process at a time."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from sqlalchemy import update
from support.empty_stores import put_empty_stores
from support.enrich import CALLBACK_KEY, CALLERS, LEAD, running_api
from support.rig import Rig

from enrichment_dagster.domain.outcome import MissingReason
from enrichment_dagster.errors import RemoteError
from enrichment_dagster.gateway.answers_owed import AnswersOwed, retry_delay
from enrichment_dagster.http.outbound import Receipt
from enrichment_dagster.store.explain import ExplainStore
from enrichment_dagster.store.owed_answers import SqlOwedAnswers
from enrichment_dagster.store.tables import api_callbacks, work

URL = "https://crm.example.com/hook"
OK = Receipt(200, None)


class Inbox:
    """Takes what is posted and answers with its answers in turn, the last one again and again."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.posts = []

    async def post(self, url, body, headers, timeout_seconds):
        self.posts.append((url, body, headers))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def rig(tmp_path):
    put_empty_stores(tmp_path)
    rig = Rig(tmp_path)
    yield rig
    rig.close()


@pytest.fixture
def owed(rig):
    return SqlOwedAnswers(rig.committer, rig.clock)


def answers(rig, owed, inbox, callers=CALLERS):
    return AnswersOwed(owed, inbox, callers, ExplainStore(rig.journal_database, rig.ops).story, rig.clock)


async def ended(rig, owed, caller="crm", **changes):
    (event,) = await rig.due(1)
    await owed.note(event.event_id, caller, URL)
    await rig.conclude(rig.start(rig.assign()), **changes)
    return event.event_id


def state(rig):
    (row,) = rig.rows(api_callbacks)
    return row["state"], row["tries"], row["last_reason"]


async def test_what_became_of_the_event_is_posted_once_and_signed(rig, owed):
    event_id, inbox = await ended(rig, owed, missing={"industry": MissingReason.NO_DATA}), Inbox(OK)
    posting = answers(rig, owed, inbox)
    assert (await posting.step(), await posting.step()) == (1, 0)
    ((url, body, headers),) = inbox.posts
    found = json.loads(body)
    assert (url, found["event_id"], found["outcome"]) == (URL, event_id, "enriched")
    assert (found["data"], found["missing_fields"]) == ({"title": "CTO"}, {"industry": "no_data"})
    assert found["provenance"]["title"]["provider"] == "apollo"
    assert headers["webhook-id"] == event_id
    content = f"{event_id}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(CALLBACK_KEY, content, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert state(rig) == ("done", 1, "")


async def test_an_event_that_has_not_ended_is_not_told_of(rig, owed):
    (event,) = await rig.due(1)
    await owed.note(event.event_id, "crm", URL)
    assert await answers(rig, owed, Inbox(OK)).step() == 0


@pytest.mark.parametrize(
    ("failure", "reason"),
    [(Receipt(500, None), "status_500"), (Receipt(302, None), "status_302"), (Receipt(404, None), "status_404"),
     (RemoteError("timeout", transient=True), "timeout")],
)  # fmt: skip
async def test_a_failure_is_tried_again_later_with_the_same_id(rig, owed, failure, reason):
    event_id, inbox = await ended(rig, owed), Inbox(failure, OK)
    posting = answers(rig, owed, inbox)
    assert await posting.step() == 1
    assert state(rig) == ("owed", 1, reason)
    assert await posting.step() == 0
    rig.clock.advance(retry_delay(1))
    assert await posting.step() == 1
    assert state(rig) == ("done", 2, "")
    first, second = (headers for _, _, headers in inbox.posts)
    assert first["webhook-id"] == second["webhook-id"] == event_id
    assert int(second["webhook-timestamp"]) == int(first["webhook-timestamp"]) + 5


async def test_a_receiver_that_asks_for_time_gets_it(rig, owed):
    await ended(rig, owed)
    posting = answers(rig, owed, Inbox(Receipt(429, 90.0), OK))
    await posting.step()
    rig.clock.advance(89)
    assert await posting.step() == 0
    rig.clock.advance(1)
    assert await posting.step() == 1


async def test_a_receiver_that_is_gone_is_asked_no_more(rig, owed):
    await ended(rig, owed)
    posting = answers(rig, owed, Inbox(Receipt(410, None)))
    await posting.step()
    rig.clock.advance(100_000)
    assert await posting.step() == 0
    assert state(rig) == ("given_up", 1, "gone")


async def test_it_is_given_up_after_a_day(rig, owed):
    await ended(rig, owed)
    begun, inbox = rig.clock.now(), Inbox(Receipt(503, None))
    posting = answers(rig, owed, inbox)
    while await posting.step():
        rig.clock.advance(3_600)
    assert state(rig)[0] == "given_up"
    assert 24 <= (rig.clock.now() - begun).total_seconds() / 3_600 < 48
    assert len(inbox.posts) == state(rig)[1]


@pytest.mark.parametrize("caller", ["forms", "nobody"])
async def test_what_cannot_be_signed_is_not_posted(rig, owed, caller):
    await ended(rig, owed, caller)
    inbox = Inbox(OK)
    await answers(rig, owed, inbox).step()
    assert (inbox.posts, state(rig)) == ([], ("given_up", 1, "no_callback_secret"))


def test_the_tries_spread_over_a_day():
    delays = []
    while (delay := retry_delay(len(delays) + 1)) is not None:
        delays.append(delay)
    assert delays[:4] == [5, 10, 20, 40]
    assert delays == sorted(delays)
    assert max(delays) == 3_600
    assert 24 * 3_600 <= sum(delays) < 25 * 3_600


def test_over_sockets_from_the_request_to_the_post(api_stores, api_journal, api):
    """The event is recorded with its callback; when it ends, the running gateway posts."""
    got, came = [], threading.Event()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self):
            got.append((dict(self.headers), self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()
            came.set()

        def log_message(self, *_args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with running_api(api_stores, api_journal, posts=True) as posting:
        url = f"http://127.0.0.1:{server.server_port}/hook"
        reply = posting.enrich({**LEAD, "mode": "async", "callback_url": url, "event_type": "website_visit"})
        end_event(api_stores, reply.content["event_id"])
        assert came.wait(20)
    server.shutdown()
    server.server_close()
    ((headers, body),) = got
    assert json.loads(body)["event_id"] == headers["webhook-id"] == reply.content["event_id"]


def end_event(stores, event_id):
    stores.dispatch().pump()
    with stores.ops.write() as connection:
        ended = {"state": "done", "outcome": "unchanged", "started_at_ms": 1, "finished_at_ms": 2}
        done = connection.execute(update(work).where(work.c.work_id == event_id).values(**ended))
        assert done.rowcount == 1
