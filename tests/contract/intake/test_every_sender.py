"""The same scenarios for every sender of the registry: a new one has to be added to ``support.senders`` and pass."""

import json
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.intake import NOW, FixedClock, MemoryJournal, asgi_call
from support.senders import BIG, CASES, playing

from enrichment_dagster.cli.payloads import SAMPLES
from enrichment_dagster.domain.keys import event_id
from enrichment_dagster.errors import PayloadError, SignatureError, StoreError
from enrichment_dagster.gateway.app import create_app
from enrichment_dagster.gateway.deps import GatewayDeps, Limits
from enrichment_dagster.gateway.refusals import RefusalCounts
from enrichment_dagster.intake.registry import SENDERS
from enrichment_dagster.intake.sender import RawRequest

PLAYERS = playing()
each = pytest.mark.parametrize("player", PLAYERS, ids=lambda player: player.sender.name)
batching = pytest.mark.parametrize(
    "player", [player for player in PLAYERS if player.case.many], ids=lambda player: player.sender.name
)
MOST_LINES = 80
MAX_BODY = 1_000_000


class Door:
    """The gateway with one sender's endpoint and a journal in memory."""

    def __init__(self, player):
        self.player = player
        self.journal = MemoryJournal()
        self.clock = FixedClock()
        self.refused = RefusalCounts()
        deps = GatewayDeps([player.sender], self.journal, self.clock, Limits(MAX_BODY), refused=self.refused)
        self.app = create_app(deps)

    async def post(self, body, at=NOW, **changed):
        path, headers = self.player.sign(body, at)
        headers = {name: value for name, value in {**headers, **changed}.items() if value is not None}
        return await asgi_call(self.app, path, body, headers)

    @property
    def events(self):
        return list(self.journal.events.values())

    def assert_untouched(self):
        assert self.journal.calls == []


def test_every_sender_is_in_the_suite():
    assert [player.sender.name for player in PLAYERS] == list(SENDERS) == list(SAMPLES)
    assert CASES.keys() == SENDERS.keys()


@each
def test_a_sender_is_a_short_file_of_its_own(player):
    import inspect
    from pathlib import Path

    file = Path(inspect.getfile(type(player.sender)))
    assert file.stem == player.sender.name
    assert len(file.read_text().splitlines()) < MOST_LINES


# --- What is proven is recorded --------------------------------------------------------------------------------------


@each
async def test_a_proven_sample_is_one_event_that_triggers(player):
    door = Door(player)
    status, headers, content = await door.post(player.sample())
    (event,) = door.events
    assert (status, headers["content-type"]) == (200, "application/json")
    assert (content["accepted"], content["event_ids"]) == (1, [event.event_id])
    assert (event.event_type, event.skip_reason) == (player.case.event_type, "")
    assert (event.source, event.subject.key) == (player.sender.name, player.case.subject)
    assert event.event_id == event_id(event.dedup_key)
    assert event.received_at == NOW
    assert None not in event.attributes.values()
    assert "" not in event.attributes.values()


@each
async def test_a_replayed_request_is_a_duplicate(player):
    """Inside the window of the proof, or for ever where there is none: the identity of the fact guards."""
    door = Door(player)
    await door.post(player.sample())
    status, _, content = await door.post(player.sample())
    assert (status, content["accepted"], content["duplicates"]) == (200, 0, 1)
    assert len(door.events) == 1


@each
async def test_the_same_fact_signed_anew_hours_later_is_a_duplicate(player):
    """As a sender repeats what it believes to be lost."""
    door = Door(player)
    await door.post(player.sample())
    door.clock.move(6 * 3_600)
    _, _, content = await door.post(player.sample(), at=door.clock.now())
    assert (content["accepted"], content["duplicates"]) == (0, 1)


# --- What is not proven leaves nothing behind ------------------------------------------------------------------------


@each
async def test_an_unsigned_request_is_refused(player):
    door = Door(player)
    path, _ = player.sign(player.sample())
    for headers in ({}, {"content-type": "application/json"}):
        status, _, content = await asgi_call(door.app, path, player.sample(), headers)
        assert status == 401
        assert content["error"]
    door.assert_untouched()
    ((sender, reasons),) = door.refused.take().items()
    assert (sender, sum(reasons.values())) == (player.sender.name, 2)


@each
def test_every_header_of_the_proof_counts(player):
    body = player.sample()
    proven = player.request(body)
    for name in proven.headers.keys() - {"content-type"}:
        for spoiled in ("", proven.headers[name][::-1] + "x"):
            with pytest.raises(SignatureError):
                player.sender.verify(RawRequest("POST", {**proven.headers, name: spoiled}, body, proven.query), NOW)


@each
async def test_a_tampered_body_is_refused_by_whoever_signs_bodies(player):
    """Those that only show a secret can't tell: their connection has to (HTTPS)."""
    door = Door(player)
    path, headers = player.sign(player.sample())
    status, _, _ = await asgi_call(door.app, path, player.body(player.event(6)), headers)
    shows_secret = {"hubspot_custom_code", "salesforce_flow", "postmark", "clay", "g2", "bombora", "cloudevents"}
    assert status == (200 if player.sender.name in shows_secret else 401)


@each
async def test_a_stale_request_is_refused_by_whoever_dates_it(player):
    door = Door(player)
    for days in (-2, 2):
        status, _, _ = await door.post(player.sample(), at=NOW + timedelta(days=days))
        assert status == (401 if player.case.timed else 200)
    assert len(door.events) == (0 if player.case.timed else 1)


# --- Bad input: answered as documented, recorded, nothing lost -------------------------------------------------------


@each
@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"null", b'"x"', b"\xef\xbb\xbf{}", b"7"])
async def test_an_unreadable_body_is_kept(player, body):
    door = Door(player)
    status, _, content = await door.post(body)
    if player.sender.name == "twilio" and body == b"\xff":
        assert status == 401  # a signature is over the values of a form, and this is none
        return
    assert (status, content["kept"]) == (player.case.unreadable, 1)
    (kept,) = door.journal.kept
    assert (kept.source, kept.body, kept.received_at) == (player.sender.name, body, NOW)
    assert kept.reason.replace("_", "").isalnum()


@each
async def test_an_event_that_cannot_be_read_is_kept(player):
    door = Door(player)
    body = player.body(player.case.broken(player.event()))
    status, _, content = await door.post(body)
    assert content.get("accepted", 0) == 0
    assert len(door.journal.kept) == 1
    assert door.events == []
    # A batch is accepted, whatever is in it; a body that holds nothing else is answered as unreadable.
    assert (status, content.get("rejected")) == (200, 1) if player.case.many else status == player.case.unreadable


@batching
async def test_one_bad_element_does_not_cost_the_good_ones(player):
    door = Door(player)
    broken = player.case.broken(player.event(6))
    status, _, content = await door.post(player.body(player.event(7), broken, player.event(8), None))
    assert (status, content["rejected"]) == (200, 2)
    assert len(content["event_ids"]) == 2
    assert content["accepted"] + content["duplicates"] == 2
    assert [json.loads(kept.body) for kept in door.journal.kept] == [broken, None]


@batching
async def test_an_empty_batch_is_fine(player):
    door = Door(player)
    status, _, content = await door.post(player.body())
    assert (status, content["accepted"]) == (200, 0)
    door.assert_untouched()


@each
async def test_an_unknown_type_is_recorded_and_skipped(player):
    door = Door(player)
    status, _, content = await door.post(player.body(player.case.unknown(player.event())))
    assert (status, content["accepted"]) == (200, 1)
    assert door.events[0].skip_reason


@pytest.mark.parametrize("player", [p for p in PLAYERS if p.case.big_id], ids=lambda player: player.sender.name)
async def test_ids_beyond_what_a_float_holds_stay_exact(player):
    door = Door(player)
    await door.post(player.body(player.case.big_id(player.event())))
    (event,) = door.events
    assert str(BIG) in {event.subject.record_id, event.sender_event_id}


@each
async def test_duplicate_keys_are_kept_and_not_guessed_at(player):
    door = Door(player)
    body = player.body(player.event())
    if player.sender.name == "segment":
        body = body[1:-1]  # of a batch it signs what JavaScript makes of an object, which has no key twice
    again = body + b"&CallSid=CA2" if player.sender.name == "twilio" else _with_a_key_twice(body)
    status, _, content = await door.post(again)
    assert (status, content["kept"]) == (player.case.unreadable, 1)
    assert door.journal.kept[0].reason == "duplicate_key"


def _with_a_key_twice(body):
    at = body.index(b"{") + 1
    return body[:at] + b'"twice": 1, "twice": 2, ' + body[at:]


@each
async def test_a_hundred_thousand_elements_are_kept_as_one_body(player):
    door = Door(player)
    body = b"&".join(b"a%d=1" % n for n in range(100_000)) if player.sender.name == "twilio" else _numbers(player)
    status, _, content = await door.post(body)
    if status == 401:  # Twilio signs no such form: more parameters than it sends are no form
        assert player.sender.name == "twilio"
        return
    assert (status, content["kept"]) == (player.case.unreadable, 1)
    assert door.journal.kept[0].body == body


def _numbers(player):
    many = b"[" + b"0," * 99_999 + b"0]"
    for place in player.case.in_body:
        many = b'{"%s": %s}' % (place.encode(), many)
    return many


@each
async def test_a_wrong_content_type_loses_nothing(player):
    door = Door(player)
    for kind in ("text/plain", "application/octet-stream", None):
        status, _, content = await door.post(player.sample(), **{"content-type": kind})
        if player.sender.name == "cloudevents":  # where it tells the mode, and nothing else does
            assert (status, content["kept"]) == (415, 1)
        else:
            assert status == 200
    assert len(door.events) + len(door.journal.kept) == (3 if player.sender.name == "cloudevents" else 1)


@each
async def test_a_journal_that_fails_makes_the_sender_come_again(player):
    door = Door(player)
    door.journal.failure = StoreError("disk full")
    for body in (player.sample(), player.body(player.case.broken(player.event()))):
        status, headers, _ = await door.post(body)
        assert (status, headers["retry-after"]) == player.case.again
    door.journal.failure = None
    _, _, content = await door.post(player.sample())
    assert content["accepted"] == 1


@each
async def test_other_methods_are_a_405(player):
    door = Door(player)
    path, headers = player.sign(player.sample())
    status, _, _ = await asgi_call(door.app, path, b"", headers, "PUT")
    assert status == 405


# --- Whatever comes --------------------------------------------------------------------------------------------------

FEW = settings(max_examples=20)  # for each of so many senders
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=8), children, max_size=4),
    max_leaves=12,
)


def keys_of(value):
    if isinstance(value, dict):
        return {*value, *(key for child in value.values() for key in keys_of(child))}
    return {key for child in value for key in keys_of(child)} if isinstance(value, list) else set()


KEYS = st.sampled_from(sorted({key for player in PLAYERS for key in keys_of(player.event())}))
LIKELY = st.sampled_from(
    ["lead_created", "contact.creation", "page", "bounce", "Bounce", "0-1", 1246978, 1790000001000, 2**70, None, "",
     "00Q5g00000AbCdEEAX", "2026-09-21T12:53:21Z", "jane@acme.com", "acme.com", "+14155550132", "\ud800", "a" * 500]
)  # fmt: skip
FLAT = st.dictionaries(KEYS, LIKELY | JSON, max_size=8)
ELEMENTS = FLAT | st.dictionaries(KEYS, FLAT, max_size=6)


def assert_read_or_refused(player, body):
    """Every element is an event or a kept body, or the body as a whole is refused: nothing else can happen."""
    try:
        parsed = player.sender.parse(player.unsigned(body), NOW)
    except PayloadError:
        return
    assert parsed.events or parsed.rejects or body.strip()[:1] in b"[{"
    for event in parsed.events:
        assert len(event.subject.record_id) <= 200
        assert len(event.subject.object_type) <= 40
        assert len(event.subject.system) <= 40
        assert len(event.sender_event_id) <= 200
        assert len(event.skip_reason) <= 60
        stored = json.dumps(dict(event.attributes), ensure_ascii=False)
        assert "\\u0000" not in stored
        assert stored.encode()


@each
@FEW
@given(body=st.binary(max_size=200))
def test_arbitrary_bytes(player, body):
    assert_read_or_refused(player, body)


@each
@FEW
@given(value=JSON | st.lists(ELEMENTS, max_size=4) | ELEMENTS)
def test_arbitrary_json(player, value):
    assert_read_or_refused(player, json.dumps(value).encode())


@each
@FEW
@given(changes=st.dictionaries(KEYS, LIKELY | JSON, max_size=4))
def test_a_sample_with_arbitrary_values(player, changes):
    assert_read_or_refused(player, json.dumps({**player.event(), **changes}).encode())


PROOF_HEADERS = sorted({name for player in PLAYERS for name in player.request(player.sample()).headers})


@each
@FEW
@given(headers=st.dictionaries(st.sampled_from(PROOF_HEADERS), st.text(max_size=60)), body=st.binary(max_size=50))
def test_arbitrary_headers_prove_nothing(player, headers, body):
    with pytest.raises(SignatureError):
        player.sender.verify(RawRequest("POST", headers, body), NOW)
