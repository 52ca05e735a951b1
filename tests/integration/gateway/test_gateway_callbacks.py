"""Callbacks over real sockets into a real store: taken once, by the right token, durable before the answer."""

import sqlite3
import threading

import pytest
from sqlalchemy import select
from support.gateway import read_reply, serve_in_thread
from support.intake import NOW, FixedClock, MemoryJournal, asgi_call, encode, hubspot_sender
from support.late import (
    ATTEMPT,
    EVENT,
    TOKEN,
    TTL,
    LateLookup,
    answer_works,
    keep_call,
    keep_waiter,
    keep_work,
    settle_attempts,
)

from enrichment_dagster.engine.late import LateAnswers
from enrichment_dagster.gateway.app import create_app
from enrichment_dagster.gateway.deps import GatewayDeps, Limits
from enrichment_dagster.ports import CachePolicy
from enrichment_dagster.store.committer import GroupCommitter
from enrichment_dagster.store.migrate import open_ops_database
from enrichment_dagster.store.pending import PendingStore
from enrichment_dagster.store.tables import attempts, pending_answers

PATH = f"/callbacks/apollo/{TOKEN}"
BODY = encode({"status": "done", "phone": "+14155550132"})
JSON = {"content-type": "application/json"}


@pytest.fixture
def ops(settings):
    database = open_ops_database(settings)
    with database.write() as connection:
        keep_work(connection)
        keep_call(connection, now=NOW)
        keep_waiter(connection)
    yield database
    database.dispose()


@pytest.fixture
def settle():
    """What settles; a test may let it fail."""
    return {"do": settle_attempts}


@pytest.fixture
def late(ops, clock, settle):
    committer = GroupCommitter(ops, "late")

    def settle_now(connection, settlements):
        settle["do"](connection, settlements)

    store = PendingStore(ops, committer, settle_now, clock)
    yield LateAnswers(store, {"apollo.phone": LateLookup()}, clock, CachePolicy(3_600, 3_600))
    committer.close()


@pytest.fixture
def client(sql_journal, clock, late):
    limits = Limits(max_body_bytes=20_000, body_seconds=0.5)
    with serve_in_thread(create_app(GatewayDeps([hubspot_sender()], sql_journal, clock, limits, late=late))) as c:
        yield c


@pytest.fixture
def state(ops):
    """Return a function that reads the call's state, its attempt's, and how many works it made."""

    def read():
        with ops.read() as connection:
            call = connection.execute(select(pending_answers.c.state)).scalar_one()
            attempt = connection.execute(select(attempts.c.state)).scalar_one()
            return call, attempt, len(answer_works(connection))

    return read


WAITING, ANSWERED = ("waiting", "pending", 0), ("answered", "hit", 1)


def test_an_answer_is_durable_before_it_is_acknowledged(client, state):
    reply = client.post(PATH, BODY, JSON)
    assert (reply.status, reply.content) == (200, {"result": "accepted"})
    assert state() == ANSWERED


def test_an_acknowledged_answer_is_in_the_file_itself(client, settings):
    assert client.post(PATH, BODY, JSON).status == 200
    connection = sqlite3.connect(settings.ops_path)
    try:
        found = connection.execute("SELECT work_id FROM work WHERE kind = 'answer'").fetchall()
    finally:
        connection.close()
    assert found == [(f"{EVENT}/answer-{ATTEMPT[:8]}",)]


def test_a_repeated_answer_is_acknowledged_and_changes_nothing(client, state):
    replies = [client.post(PATH, BODY, JSON) for _ in range(3)]
    assert [reply.content["result"] for reply in replies] == ["accepted", "repeated", "repeated"]
    assert [reply.status for reply in replies] == [200, 200, 200]
    assert client.post(PATH, b"not json", JSON).content == {"result": "repeated"}
    assert state() == ANSWERED


def test_of_many_at_once_one_is_taken(client, state):
    replies = []
    threads = [threading.Thread(target=lambda: replies.append(client.post(PATH, BODY, JSON))) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(reply.content["result"] for reply in replies) == ["accepted"] + ["repeated"] * 9
    assert state() == ANSWERED


@pytest.mark.parametrize(
    "path",
    [
        f"/callbacks/apollo/{TOKEN[:-1]}",
        f"/callbacks/apollo/{TOKEN}x",
        f"/callbacks/clearbit/{TOKEN}",
        f"/callbacks/APOLLO/{TOKEN}",
        "/callbacks/apollo/" + "x" * 5_000,
        "/callbacks/apollo/%00%ff",
    ],
)
@pytest.mark.parametrize("body", [BODY, b"not json"])
def test_a_forged_token_or_another_providers_is_a_404_and_leaves_nothing(client, state, kept, path, body):
    reply = client.post(path, body, JSON)
    assert (reply.status, reply.content["error"]["reason"]) == (404, "unknown")
    assert (state(), kept()) == (WAITING, [])


def test_a_late_answer_is_a_410_and_is_not_kept(client, clock, state, kept):
    clock.move(TTL.total_seconds())
    for body in (BODY, b"not json"):
        reply = client.post(PATH, body, JSON)
        assert (reply.status, reply.content["error"]["reason"]) == (410, "late")
    assert (state(), kept()) == (WAITING, [])


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty_body"),
        (b"phone=1", "not_json"),
        (b"[" * 5_000 + b"]" * 5_000, "too_deep"),
        (b'{"status": "done", "status": "done"}', "duplicate_key"),
        (b"[]", "malformed"),
        (b'{"phone": "+1"}', "malformed"),
    ],
)
def test_what_cannot_be_read_is_kept_and_the_right_answer_may_still_come(client, state, kept, body, reason):
    reply = client.post(PATH, body, JSON)
    assert (reply.status, reply.content["error"]["reason"], reply.content["kept"]) == (400, reason, 1)
    assert (state(), kept()) == (WAITING, [(reason, body)])
    assert client.post(PATH, BODY, JSON).content == {"result": "accepted"}


def test_a_provider_that_says_it_still_works_on_it_is_a_202(client, state):
    reply = client.post(PATH, encode({"status": "pending"}), JSON)
    assert (reply.status, reply.content) == (202, {"result": "still_pending"})
    assert state() == WAITING


def test_a_body_that_is_too_large_is_a_413(client, state, kept):
    with client.connection() as connection:
        connection.sendall(client.head("POST", PATH, {"content-length": "20001"}))
        assert read_reply(connection).status == 413
    assert client.post(PATH, b" " * 20_001, JSON).status == 413
    assert (state(), kept()) == (WAITING, [])


def test_a_body_that_does_not_end_is_a_408(client, state):
    with client.connection() as connection:
        connection.sendall(client.head("POST", PATH, {"content-length": "100"}) + BODY)
        assert read_reply(connection).status == 408
    assert state() == WAITING


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_only_post_is_taken(client, method):
    assert client.request(method, PATH).status == 405


def test_a_store_that_fails_is_a_503_and_the_answer_can_come_again(client, settle, state):
    def fail(connection, settlements):
        settle_attempts(connection, settlements)
        raise OSError("disk full")

    settle["do"] = fail
    reply = client.post(PATH, BODY, JSON)
    assert (reply.status, reply.content["error"]["reason"]) == (503, "store_unavailable")
    assert "disk full" not in str(reply.content)
    assert state() == WAITING
    settle["do"] = settle_attempts
    assert client.post(PATH, BODY, JSON).content == {"result": "accepted"}


async def test_an_unreadable_body_that_cannot_be_kept_is_a_503(late, clock):
    journal = MemoryJournal()
    journal.failure = OSError("disk full")
    app = create_app(GatewayDeps([], journal, clock, Limits(max_body_bytes=20_000), late=late))
    assert (await asgi_call(app, PATH, b"not json", JSON))[0] == 503


async def test_without_lookups_there_is_no_such_path():
    app = create_app(GatewayDeps([], MemoryJournal(), FixedClock(), Limits(max_body_bytes=20_000)))
    status, _, content = await asgi_call(app, PATH, BODY, JSON)
    assert (status, content["error"]["reason"]) == (404, "unknown_path")


def test_the_token_is_in_no_log_line_and_in_no_answer(client, settle, captured_logs):
    """Whatever happens: unreadable, forged, wrong method, failing, accepted, repeated. See also the process's test."""

    def fail(connection, settlements):
        raise OSError("disk full")

    replies = [client.post(PATH, b"not json", JSON), client.post(PATH.replace("apollo", "clearbit"), BODY, JSON)]
    replies.append(client.request("GET", PATH))
    settle["do"] = fail
    replies.append(client.post(PATH, BODY, JSON))
    settle["do"] = settle_attempts
    replies += [client.post(PATH, BODY, JSON), client.post(PATH, BODY, JSON)]
    assert [reply.status for reply in replies] == [400, 404, 405, 503, 200, 200]
    assert {entry["log_level"] for entry in captured_logs} == {"warning", "error"}
    for text in (str(captured_logs), str(replies)):
        assert TOKEN not in text
        assert "4155550132" not in text
