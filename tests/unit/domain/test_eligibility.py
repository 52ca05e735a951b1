"""Who is enriched once an event triggers: turns among the events of one subject, and what the work says no to."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.clock import START as NOW

from enrichment_dagster.domain.eligibility import (
    COOLDOWN,
    DEBOUNCED,
    OUT_OF_ORDER,
    History,
    InboxRules,
    Standing,
    Waiting,
    all_fresh,
    domain_is_listed,
    in_question,
    judge,
    matter,
    proven_wrong,
    status_is_done,
)

NO_RULES = InboxRules()
COOL = InboxRules(cooldown=timedelta(minutes=10))
WINDOW = InboxRules(debounce=timedelta(seconds=20))


def event(number: int, occurred: float = 0.0, received: float | None = None) -> Waiting:
    """``occurred`` and ``received``: seconds from now."""
    at = NOW + timedelta(seconds=occurred)
    return Waiting(f"e{number}", number, at, at if received is None else NOW + timedelta(seconds=received))


def past(newest: float | None = None, enriched: float | None = None, *, in_work: bool = False) -> History:
    moments = [None if seconds is None else NOW + timedelta(seconds=seconds) for seconds in (newest, enriched)]
    return History(*moments, in_work)


class TestTurns:
    def test_a_lone_event_has_its_turn(self):
        assert judge([event(1)], past(), NO_RULES).take == "e1"

    def test_an_event_that_is_older_than_what_was_enriched_last_is_over(self):
        """It was delayed on its way: what it says is no longer so."""
        turn = judge([event(1, occurred=-60, received=0)], past(newest=-30), NO_RULES)
        assert (turn.take, turn.skip) == ("", {"e1": OUT_OF_ORDER})

    def test_an_event_of_the_same_moment_is_not_stale(self):
        assert judge([event(1)], past(newest=0), NO_RULES).take == "e1"

    @pytest.mark.parametrize(("seconds", "reason"), [(599, COOLDOWN), (600, "")])
    def test_within_the_cooldown_there_is_no_second_enrichment(self, seconds, reason):
        turn = judge([event(1, occurred=seconds)], past(newest=-5, enriched=0), COOL)
        assert turn.skip.get("e1", "") == reason
        assert turn.take == ("" if reason else "e1")

    def test_the_cooldown_counts_from_receipt_however_long_the_event_has_waited_since(self):
        """A backlog must not turn into enrichments that its events would not have got in time."""
        assert judge([event(1, received=-300)], past(enriched=-100), COOL).skip == {"e1": COOLDOWN}

    def test_without_a_cooldown_an_event_that_came_during_the_last_enrichment_has_its_own(self):
        assert judge([event(1)], past(newest=-9, enriched=5), NO_RULES).take == "e1"

    def test_without_a_window_events_of_a_subject_come_one_after_the_other_the_oldest_first(self):
        turn = judge([event(2, occurred=5), event(1), event(3, occurred=9)], past(), NO_RULES)
        assert (turn.take, turn.skip, turn.wait) == ("e1", {}, ("e2", "e3"))

    def test_while_one_is_in_work_the_others_wait(self):
        turn = judge([event(1), event(2)], past(in_work=True), WINDOW)
        assert (turn.take, turn.wait) == ("", ("e1", "e2"))

    def test_what_is_over_does_not_wait_for_what_is_in_work(self):
        turn = judge([event(1), event(2, occurred=40)], past(newest=20, in_work=True), NO_RULES)
        assert (turn.skip, turn.wait) == ({"e1": OUT_OF_ORDER}, ("e2",))

    def test_events_of_one_window_are_one_enrichment_of_the_newest(self):
        """The newest says how things are now, in whatever order they came."""
        burst = [event(3, occurred=7, received=8), event(1, occurred=9, received=1), event(2, occurred=3)]
        turn = judge(burst, past(), WINDOW)
        assert turn.take == "e1"
        assert turn.skip == {"e2": DEBOUNCED, "e3": DEBOUNCED}

    def test_what_comes_after_the_window_has_a_window_of_its_own(self):
        """A visitor who clicks for an hour is not put off for an hour."""
        turn = judge([event(1), event(2, occurred=10), event(3, occurred=21)], past(), WINDOW)
        assert (turn.take, turn.skip, turn.wait) == ("e2", {"e1": DEBOUNCED}, ("e3",))


@st.composite
def inboxes(draw):
    count = draw(st.integers(0, 7))
    waiting = [event(n, draw(st.integers(-90, 90)), draw(st.integers(-60, 120))) for n in range(count)]
    seconds = st.none() | st.integers(-90, 90)
    history = past(draw(seconds), draw(seconds), in_work=draw(st.booleans()))
    rules = InboxRules(*(timedelta(seconds=draw(st.sampled_from([0, 15, 60]))) for _ in range(2)))
    return waiting, history, rules


@settings(max_examples=80)
@given(inboxes())
def test_every_event_has_one_fate_and_never_two_of_a_subject_a_turn(inbox):
    waiting, history, rules = inbox
    turn = judge(waiting, history, rules)
    fates = [*filter(None, [turn.take]), *turn.skip, *turn.wait]
    assert sorted(fates) == sorted(found.work_id for found in waiting)
    assert judge(list(reversed(waiting)), history, rules) == turn, "the order of reading does not matter"
    if waiting and not history.in_work and len(turn.skip) < len(waiting):
        assert turn.take, "somebody goes on"


@settings(max_examples=80)
@given(inboxes())
def test_a_stale_event_never_wins_over_a_newer_one(inbox):
    """Played to the end, each enrichment is of an event that is no older than those before it."""
    waiting, history, rules = inbox
    taken, left = [], {found.work_id: found for found in waiting}
    while left:
        turn = judge(list(left.values()), History(history.newest, history.enriched_at), rules)
        for work_id in turn.skip:
            del left[work_id]
        if turn.take:
            chosen = left.pop(turn.take)
            taken.append(chosen.occurred_at)
            history = History(chosen.occurred_at, chosen.received_at)
    assert taken == sorted(taken)


class TestMatters:
    def test_events_about_different_values_or_accounts_are_different_matters(self):
        bounce = {"problem": "hard_bounce", "bad_field": "email", "bad_value": "jo@acme.com"}
        phone = {"problem": "disconnected", "bad_field": "phone", "bad_value": "+14155550100"}
        assert len({matter("data_quality", found) for found in (bounce, phone, {"problem": "job_change"})}) == 3
        assert matter("data_quality", bounce) == matter("data_quality", {**bounce, "bad_value": " Jo@ACME.com"})
        assert "acme" not in matter("data_quality", bounce)
        assert matter("contact_associated", {"company_id": "1"}) != matter("contact_associated", {"company_id": "2"})
        assert matter("website_visit", {"page": "/pricing"}) == matter("website_visit", {"page": "/demo"}) == ""

    @pytest.mark.parametrize(
        "attributes",
        [
            {"problem": "soft_bounce", "bad_field": "email", "bad_value": "jo@acme.com"},
            {"problem": "job_change", "bad_field": "email", "bad_value": "jo@acme.com"},
            {"problem": "hard_bounce", "bad_field": "title", "bad_value": "CTO"},
            {"problem": "hard_bounce", "bad_field": "email"},
            {"problem": "hard_bounce", "bad_field": "email", "bad_value": " "},
        ],
    )
    def test_only_what_is_wrong_for_good_is_proven_wrong(self, attributes):
        assert proven_wrong("data_quality", attributes) is None
        assert (
            proven_wrong("website_visit", {"problem": "hard_bounce", "bad_field": "email", "bad_value": "x@y.z"})
            is None
        )

    def test_an_event_asks_for_what_it_is_about(self):
        """A phone number costs eight times as much as an address."""
        wanted = ("email", "email_status", "phone", "title")
        bounce = {"problem": "hard_bounce", "bad_field": "email", "bad_value": "jo@acme.com"}
        dead = {"problem": "disconnected", "bad_field": "phone", "bad_value": "+14155550100"}
        assert in_question(wanted, "data_quality", bounce) == ("email", "email_status", "title")
        assert in_question(wanted, "data_quality", dead) == ("phone", "title")
        assert in_question(wanted, "data_quality", {"problem": "job_change"}) == wanted
        assert in_question(wanted, "lead_created", bounce) == wanted


class TestTheWorksRules:
    @pytest.mark.parametrize(
        ("domains", "listed"),
        [
            (["acme.com"], True),
            (["mail.acme.com"], True),
            (["notacme.com"], False),
            (["ACME.com"], True),
            ([""], False),
        ],
    )
    def test_a_listed_domain_has_those_below_it_with_it(self, domains, listed):
        assert domain_is_listed(domains, {"acme.com"}) is listed

    @pytest.mark.parametrize(
        ("status", "done"),
        [("", False), (" ", False), ("Pending", False), ("partial", False), ("Complete", True), ("Done by hand", True)],
    )
    def test_the_records_status_decides(self, status, done):
        assert status_is_done(Standing(status), {"blank", "pending", "partial"}) is done

    def test_no_rule_and_no_record_say_nothing(self):
        assert not status_is_done(Standing("Complete"), set())
        assert not status_is_done(None, {"blank"})

    def test_all_is_fresh_when_nothing_could_be_bought_that_is_not(self):
        assert all_fresh(["title", "news"], {"title"}, {"title"}, set()), "nobody gives news"
        assert all_fresh(["title", "news"], {"title", "news"}, {"title"}, {"news"}), "the record has news"
        assert not all_fresh(["title", "news"], {"title", "news"}, {"title"}, set())
        assert not all_fresh(["news"], {"title"}, {"title"}, set()), "a plan that nobody serves"
        assert not all_fresh(["title"], {"title"}, set(), {"title"}), "the record has it all: nothing was bought"
