"""From drafts to what is stored: validation, outcome, follow-up, outbox."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from support.builders import WANTED, a_draft, a_plan, a_value
from support.clock import START
from support.ports import PlainMapper, ScriptedLookup

from enrichment_dagster.domain.outcome import MissingReason, Outcome
from enrichment_dagster.engine.conclude import conclude
from enrichment_dagster.engine.draft import add_step
from enrichment_dagster.ports import FollowUp, Step

PLAN = a_plan(ScriptedLookup())


def good(candidates):
    return list(candidates), []


def concluded(*drafts, validate=good, mapper=None, plan=PLAN):
    return conclude(drafts, plan, mapper or PlainMapper(), validate, START)


def down(draft, *fields):
    draft.knowledge.obstruct(fields or WANTED, MissingReason.PROVIDER_DOWN)
    return draft


def refuses(*fields):
    def validate(candidates):
        bad = [(item, "bad_value") for item in candidates if item[1].field in fields]
        return [item for item in candidates if item[1].field not in fields], bad

    return validate


EVERYTHING = [
    a_value("email", "jane.doe@acme.com"),
    a_value(),
    a_value("company_name", "Acme"),
    a_value("employees", 9),
]


class TestValidation:
    def test_a_bad_value_goes_to_quarantine_and_the_rest_of_its_event_is_kept(self):
        (found,) = concluded(a_draft(a_value(), a_value("employees", -5)), validate=refuses("employees"))
        assert [value.field for value in found.values] == ["title"]
        (bad,) = found.rejected
        assert (bad.field, bad.raw, bad.provider, bad.reason) == ("employees", "-5", "apollo", "bad_value")
        assert found.missing["employees"] is MissingReason.INVALID

    def test_a_bad_value_costs_only_its_own_event(self):
        one, other = concluded(
            a_draft(a_value("employees", -5)), a_draft(a_value(), number=2), validate=refuses("employees")
        )
        assert (len(one.values), len(other.values)) == (0, 1)

    def test_an_enrichment_whose_only_value_is_bad_is_not_called_enriched(self):
        (found,) = concluded(a_draft(a_value()), validate=refuses("title"))
        assert found.outcome is Outcome.UNCHANGED
        assert found.outbox.fill == {}

    def test_a_micro_batch_is_validated_in_one_call(self):
        calls = []
        concluded(a_draft(a_value()), a_draft(a_value(), number=2), validate=lambda c: calls.append(len(c)) or good(c))
        assert calls == [2]

    def test_a_long_bad_value_is_cut(self):
        (found,) = concluded(a_draft(a_value(value="x" * 5_000)), validate=refuses("title"))
        assert len(found.rejected[0].raw) == 200


class TestOutcome:
    def test_everything_there_is_enriched(self):
        (found,) = concluded(a_draft(*EVERYTHING))
        assert (found.outcome, found.missing, found.reason) == (Outcome.ENRICHED, {}, "")

    def test_everything_there_before_is_unchanged(self):
        (found,) = concluded(a_draft(*EVERYTHING, known=set(WANTED)))
        assert found.outcome is Outcome.UNCHANGED

    def test_something_there_is_partial_and_lists_what_is_missing(self):
        (found,) = concluded(a_draft(a_value()))
        assert found.outcome is Outcome.PARTIAL
        assert set(found.missing) == {"email", "company_name", "employees"}

    def test_nothing_found_is_unchanged(self):
        (found,) = concluded(a_draft())
        assert (found.outcome, found.follow_up) == (Outcome.UNCHANGED, None)

    def test_providers_that_failed_make_it_failed(self):
        (found,) = concluded(down(a_draft()))
        assert (found.outcome, found.reason) == (Outcome.FAILED, "providers_failed")

    def test_a_rule_that_said_no_is_skipped_with_its_reason(self):
        (found,) = concluded(a_draft(skip_reason="personal_email"))
        assert (found.outcome, found.reason, found.follow_up) == (Outcome.SKIPPED, "personal_email", None)

    def test_a_fault_of_ours_is_failed_with_its_reason(self):
        (found,) = concluded(a_draft(fault="internal_error:KeyError"))
        assert (found.outcome, found.reason) == (Outcome.FAILED, "internal_error:KeyError")


class TestFollowUp:
    @pytest.mark.parametrize(("tries", "seconds"), [(0, 300), (1, 1_800)])
    def test_a_transient_failure_is_tried_again_on_the_plans_schedule(self, tries, seconds):
        draft = down(a_draft())
        draft.item = replace(draft.item, tries=tries)
        (found,) = concluded(draft)
        assert found.follow_up == FollowUp(START + timedelta(seconds=seconds), tries + 1)

    def test_the_schedule_ends(self):
        draft = down(a_draft())
        draft.item = replace(draft.item, tries=2)
        (found,) = concluded(draft)
        assert found.follow_up is None

    def test_a_partial_result_is_completed_later(self):
        (found,) = concluded(down(a_draft(a_value())))
        assert (found.outcome, found.follow_up is None) == (Outcome.PARTIAL, False)

    def test_a_fault_of_ours_is_tried_again(self):
        (found,) = concluded(a_draft(fault="internal_error:KeyError"))
        assert found.follow_up is not None

    @pytest.mark.parametrize("reason", [MissingReason.NO_DATA, MissingReason.POLICY, MissingReason.INVALID])
    def test_what_a_later_try_can_not_cure_is_not_tried_again(self, reason):
        draft = a_draft()
        draft.knowledge.obstruct(WANTED, reason)
        (found,) = concluded(draft)
        assert found.follow_up is None

    @pytest.mark.parametrize("filled", [False, True])
    def test_what_a_stop_left_empty_is_tried_again(self, filled):
        """Policy like other rules that forbid asking, but an operator takes a stop back."""
        draft = a_draft(*(EVERYTHING if filled else ()))
        draft.knowledge.obstruct(WANTED, MissingReason.POLICY)
        add_step(draft, Step(ScriptedLookup().name, "refused", reason="spending_stopped"))
        (found,) = concluded(draft)
        assert (found.follow_up is None) == filled


class TestOutbox:
    def test_only_what_was_bought_is_owed_and_the_status_with_it(self):
        draft = a_draft(a_value(), a_value("company_name", "Acme"), known={"company_name"})
        (found,) = concluded(draft)
        assert found.outbox.fill == {"p_title": "CTO"}
        assert found.outbox.assign == {"status": "partial", "missing": "email,employees"}
        assert found.outbox.ref == draft.item.event.subject

    def test_the_same_effect_has_the_same_id_in_every_process(self):
        one, again = concluded(a_draft(a_value()))[0], concluded(a_draft(a_value(value="CEO")))[0]
        assert one.outbox.outbox_id == again.outbox.outbox_id
        assert concluded(a_draft(number=2))[0].outbox.outbox_id != one.outbox.outbox_id

    def test_a_skipped_event_is_told_to_the_record_as_well(self):
        (found,) = concluded(a_draft(skip_reason="personal_email"))
        assert (found.outbox.fill, found.outbox.assign["status"]) == ({}, "skipped")

    def test_a_record_that_does_not_exist_is_not_written_to(self):
        (found,) = concluded(a_draft(skip_reason="record_not_found"))
        assert found.outbox is None

    def test_a_kind_of_record_that_is_not_configured_is_not_written_to(self):
        (found,) = concluded(a_draft(a_value()), mapper=PlainMapper(kinds=()))
        assert found.outbox is None
