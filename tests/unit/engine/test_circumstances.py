"""Whether a subject may be enriched, and what is known of it beside its record: status, consent, lists, freshness."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from support.builders import COMPANY, EMAIL, PERSON, a_plan, a_value, an_item
from support.clock import START
from support.ports import ScriptedLookup

from enrichment_dagster.domain.eligibility import Rules, Standing
from enrichment_dagster.domain.event import RecordRef
from enrichment_dagster.domain.fields import Level
from enrichment_dagster.engine.circumstances import Circumstances, circumstances_of, identify
from enrichment_dagster.engine.draft import start_draft
from enrichment_dagster.engine.plan import UNLISTED
from enrichment_dagster.ports import Recollection, WorkItem, WorkKind

GIVES = frozenset({"title", "company_name", "employees"})
RECORD = "hubspot:contact:1"
ACCOUNT = Rules(needs="domain")


def lookups(*names: str) -> list[ScriptedLookup]:
    return [ScriptedLookup(name, gives=GIVES) for name in names or ("apollo.person",)]


def draft(item: WorkItem | None = None, known=None, circumstances=None, rules=None, **plan):
    found = a_plan(*lookups(), rules=rules, **plan)
    item = item or an_item()
    return start_draft(
        item, known or {}, found, START, known_from="hubspot", circumstances=circumstances or Circumstances()
    )


def reason(**given) -> str:
    return draft(**given).skip_reason


class TestRefusals:
    def test_a_suppressed_subject_is_left_alone_before_anything_else_is_looked_at(self):
        bad = an_item(attributes={"email": "no address"})
        assert reason(item=bad, circumstances=Circumstances(suppressed=True)) == "suppressed"

    @pytest.mark.parametrize("listed", [RECORD, PERSON, COMPANY])
    def test_a_record_a_person_and_a_whole_company_can_be_suppressed(self, listed):
        item = an_item()
        recalled = Recollection(suppressed=frozenset({listed}))
        assert circumstances_of(item, identify(item, {}), recalled, None).suppressed

    def test_a_record_that_refuses_is_left_alone(self):
        assert reason(circumstances=Circumstances(Standing(refuses=True))) == "no_consent"

    def test_a_listed_domain_is_skipped_by_the_address_as_by_the_record(self):
        rules = Rules(skip_domains=frozenset({"acme.com"}))
        assert reason(rules=rules) == "skipped_domain"
        elsewhere = {"email": "jo@gmx.example", "company_domain": "www.acme.com"}
        assert reason(rules=rules, known=elsewhere) == "skipped_domain"
        assert reason(rules=rules, known={"email": "jo@other.com"}) == ""

    def test_a_complete_record_is_not_enriched_again(self):
        rules = Rules(only_status=frozenset({"blank", "pending"}))
        assert reason(rules=rules, circumstances=Circumstances(Standing("Complete"))) == "status"
        assert reason(rules=rules, circumstances=Circumstances(Standing("Pending"))) == ""
        assert reason(rules=rules) == "", "nobody read a record: a request names none"

    @pytest.mark.parametrize("kind", [WorkKind.GAP_FILL, WorkKind.ANSWER, WorkKind.REFRESH])
    def test_follow_ups_and_replays_are_not_kept_back_by_what_was_done_before(self, kind):
        rules = Rules(only_status=frozenset({"blank"}), fresh=timedelta(days=1))
        fresh = tuple(a_value(name, "x") for name in ("title", "company_name"))
        seen = Circumstances(Standing("Complete"), fresh=fresh)
        assert reason(item=an_item(kind=kind), rules=rules, circumstances=seen, wanted=("title", "company_name")) == ""
        assert reason(item=an_item(kind=kind), circumstances=replace(seen, suppressed=True)) == "suppressed"


class TestWhomItIsAbout:
    """Accounts are known by a domain; people by an address."""

    def test_an_account_needs_no_address(self):
        item = an_item(attributes={"domain": "acme.com"}, subject=RecordRef("account", "domain", "acme.com"))
        found = draft(item=item, rules=ACCOUNT)
        assert found.skip_reason == ""
        assert (found.query().domain, found.query().email) == ("acme.com", None)
        assert found.subject_keys == (COMPANY,)
        assert found.subject_key(Level.CONTACT, None) is None, "a company has no title"

    def test_a_contact_of_an_account_may_have_a_personal_address(self):
        known = {"email": "jo@gmail.com", "company_domain": "acme.com"}
        assert draft(known=known, rules=ACCOUNT).query().domain == "acme.com"
        assert reason(known={"email": "jo@gmail.com"}, item=an_item(attributes={}), rules=ACCOUNT) == "personal_email"

    @pytest.mark.parametrize(
        ("attributes", "expected"),
        [({}, "no_domain"), ({"email": "nonsense"}, "invalid_email"), ({"domain": "localhost"}, "no_domain")],
    )
    def test_nobody_knows_which_company(self, attributes, expected):
        assert reason(item=an_item(attributes=attributes), rules=ACCOUNT) == expected

    def test_a_person_without_an_address_is_nobody(self):
        assert reason(item=an_item(attributes={"domain": "acme.com"})) == "no_email"


class TestFreshness:
    FRESH = Rules(fresh=timedelta(days=30))

    def test_what_was_bought_not_long_ago_is_not_wanted_again(self):
        seen = Circumstances(fresh=(a_value("title", "CTO"),))
        found = draft(circumstances=seen, rules=self.FRESH)
        assert found.skip_reason == ""
        assert "title" not in found.knowledge.missing()
        assert found.knowledge.values["title"].value == "CTO"

    def test_where_all_is_fresh_there_is_no_enrichment(self):
        """``email`` is wanted as well, but nobody in the plan gives it."""
        fresh = tuple(
            a_value(name, value) for name, value in (("title", "CTO"), ("company_name", "A"), ("employees", 9))
        )
        assert reason(circumstances=Circumstances(fresh=fresh), rules=self.FRESH) == "fresh"

    def test_values_of_another_company_make_nothing_fresh(self):
        """The contact moved to another account since."""
        fresh = tuple(a_value(name, "x", subject_key="domain:old.com") for name in ("company_name", "employees"))
        given = {
            "circumstances": Circumstances(fresh=fresh),
            "rules": self.FRESH,
            "wanted": ("company_name", "employees"),
        }
        assert reason(**given) == ""

    def test_a_fresh_value_stands_where_this_plan_puts_its_provider(self):
        """It came from a lookup that another plan trusts more, or less."""
        plan = a_plan(*lookups("clearbit.combined", "apollo.person"))
        seen = Circumstances(fresh=(a_value("title", "CTO", "apollo", precedence=7), a_value("title", "CEO", "hunter")))
        found = start_draft(an_item(), {}, plan, START, known_from="hubspot", circumstances=seen)
        assert {v.provider: v.precedence for v in found.knowledge.candidates.values() if v.field == "title"} == {
            "apollo": 2,
            "hunter": UNLISTED - 1,
        }


def test_everything_that_may_be_stored_of_a_subject_is_asked_for():
    known = {"email": "Jo+x@Acme.com", "company_domain": "https://www.acme-group.com"}
    assert identify(an_item(attributes={}), known).keys == (
        RECORD,
        "email:jo@acme.com",
        "domain:acme-group.com",
        "domain:acme.com",
    )
    assert EMAIL not in identify(an_item(attributes={}), {}).keys
