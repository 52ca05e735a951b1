"""What is particular to each lookup of the registry: the contract suite runs the same scenarios on all of them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
from support.loopback import Act, Loopback, reply, sample
from support.remote import KEYS, PERSONAL, assert_nothing_secret, told

from enrichment_dagster.errors import ProviderError
from enrichment_dagster.ports import Answer, Lookup, Pending, Query

QUERY = Query(
    email=PERSONAL,
    domain="northwind-parts.com",
    company_name="Northwind Parts",
    first_name="Dana",
    last_name="Reyes",
    known={"company_name": "Northwind Parts", "employees": 640},
)
CALLBACK = "https://enrich.example.com/callbacks/apollo/unguessable-token-4717"
REQUEST_ID = "1039995589705121900"
NOBODY, NO_DOMAIN, NAMELESS = replace(QUERY, email=None), replace(QUERY, domain=None), replace(QUERY, last_name=None)


@dataclass(frozen=True)
class Case:
    """What is particular to one lookup."""

    documented: Any  # a reply's body
    expected: dict[str, Any]  # a part of what it holds
    misses: tuple[Act, ...]
    wrong_types: Any
    partial: Any
    partial_fields: set[str]
    empty_query: Query
    malformed: tuple[Any, ...]  # bodies whose main part is of another type
    request_id: str = ""
    units: int = 1
    ids: Mapping[str, str] | None = None
    before: tuple[Act, ...] = ()  # replies to the calls that come before the one with the values
    polled: bool = False  # the values come later: the reply is that to a poll
    meaning: dict[int, tuple[str, bool]] | None = None  # statuses with a meaning of this vendor's own


def body(name: str) -> Any:
    return json.loads(sample(name))


PERSON = {"first_name": "Dana", "last_name": "Reyes", "title": "VP Operations", "city": "Oakland", "email": PERSONAL}
COMPANY = {"company_name": "Northwind Parts", "company_domain": "northwind-parts.com", "employees": 640}
ORGANIZATION_ID, PERSON_ID = "5e66b6381e05b4008c8331b8", "64a7ff0cc4dfae00013df1a5"
ENTRY = {"name": "Dana Reyes", "title": "VP Operations", "seniority": "vp", "email": PERSONAL,
         "linkedin_url": "http://www.linkedin.com/in/dana-reyes-example"}  # fmt: skip
FOUND = {
    "people": [{"id": PERSON_ID, "first_name": "Dana", "last_name_obfuscated": "Re***s"}, {"id": "b"}, {"id": "c"}]
}
MATCHED = {
    "status": "success",
    "missing_records": 1,
    "matches": [
        body("apollo-people-match-response")["person"],
        None,
        {"id": "c", "first_name": "Lee", "last_name": "P"},
    ],
}
ARTICLE = {"title": "Northwind Parts wins a contract", "url": "https://news.example.com/1",
           "published_at": "2026-09-01T08:00:00.000Z", "event_categories": ["contract"], "snippet": "x"}  # fmt: skip
_PEOPLE = Case(
    documented=MATCHED,
    expected={},
    misses=(reply(200, {"status": "success", "matches": [None]}), reply(200, {"status": "success", "matches": []})),
    wrong_types={"matches": [{"id": 4, "name": ["x"], "email": True}, {"name": "Lee Park", "title": 4}]},
    partial={"matches": [{"first_name": "Lee", "email": "email_not_unlocked@domain.com", "organization": None}]},
    partial_fields=set(),
    empty_query=NO_DOMAIN,
    malformed=({"matches": "none"}, {"matches": None}, {}),
    units=2,
    before=(reply(200, FOUND),),
)
_NOT_FOUND = reply(404, sample("pdl-error-404"))


def chat(summary: str, finish_reason: str = "stop", **more: Any) -> dict[str, Any]:
    """A chat completion with such a summary, which cites what QUERY says."""
    citations = [{"field": "employees", "quote": "640"}] if summary else []
    message = {"content": json.dumps({"summary": summary, "citations": citations})}
    return {"choices": [{"message": message, "finish_reason": finish_reason}], **more}


_TAKEN = {"status": "ok"}  # what Clay says of a row

CASES = {
    "apollo.person": Case(
        documented=body("apollo-people-match-response"),
        expected={**PERSON, **COMPANY, "annual_revenue": 120000000.0, "tech_stack": ["Salesforce", "HubSpot"],
                  "seniority": "vp", "linkedin_url": "http://www.linkedin.com/in/dana-reyes-example"},
        misses=(reply(200, {"person": None, "request_id": 1}), reply(200, {}), reply(200, {"person": {}})),
        wrong_types={"person": {"email": True, "first_name": 4, "title": ["x"], "organization": "a string"}},
        partial={"person": {"title": "CEO", "organization": None, "email": "email_not_unlocked@domain.com"}},
        partial_fields={"title"},
        empty_query=NOBODY,
        malformed=({"person": [1]},),
        request_id="-7039995589705121900",
        ids={"apollo.organization": ORGANIZATION_ID, "apollo.person": PERSON_ID},
    ),
    "apollo.company": Case(
        documented=body("apollo-organization-enrich-response"),
        expected={**COMPANY, "company_phone": "+1 415-555-0100", "founded_year": 2009, "company_city": "Oakland"},
        misses=(reply(200, {"organization": None}), reply(200, {}), reply(200, {"organization": {}})),
        wrong_types={"organization": {"name": 4, "estimated_num_employees": "many", "technology_names": {"a": 1}}},
        partial={"organization": {"industry": "retail", "primary_phone": [], "total_funding": 5e6,
                                  "latest_funding_stage": "Series B"}},
        partial_fields={"industry", "total_funding", "funding_stage"},
        empty_query=NO_DOMAIN,
        malformed=({"organization": "Northwind"},),
        ids={"apollo.organization": ORGANIZATION_ID},
    ),
    "apollo.executives": replace(
        _PEOPLE, expected={"executives": [ENTRY, {"name": "Lee P"}]}, partial_fields={"executives"}
    ),
    "apollo.contacts": replace(
        _PEOPLE, expected={"account_contacts": [ENTRY, {"name": "Lee P"}]}, partial_fields={"account_contacts"}
    ),
    "apollo.news": Case(
        documented={"news_articles": [ARTICLE, {"url": "https://news.example.com/2"}]},
        expected={"news": [{"title": ARTICLE["title"], "url": ARTICLE["url"],
                            "published_at": ARTICLE["published_at"], "category": "contract"}]},
        misses=(reply(200, {"news_articles": []}),),
        wrong_types={"news_articles": [{"title": 4}, {"title": "Headline", "url": [], "event_categories": "hires"}, 4]},
        partial={"news_articles": [{"title": "Headline", "published_at": None}]},
        partial_fields={"news"},
        empty_query=NO_DOMAIN,
        malformed=({"news_articles": {"a": 1}}, {}),
        units=2,
        ids={"apollo.organization": ORGANIZATION_ID},
        before=(reply(200, sample("apollo-organization-enrich-response")),),
    ),
    "apollo.phone": Case(
        documented=body("apollo-phone-webhook-result"),
        expected={"phone": "+14155550132"},
        misses=(
            reply(200, {"webhook_result": {"people": []}}),
            reply(200, {"webhook_result": {"people": [{"id": "a", "phone_numbers": []}]}}),
            reply(200, {"webhook_result": {"people": [{"id": "a", "phone_numbers": None}, None]}}),
        ),
        wrong_types={"webhook_result": {"people": [{"phone_numbers": [{"raw_number": 4, "confidence_cd": ["x"]}]}]}},
        partial={"people": [{"phone_numbers": [{}, {"raw_number": "+1 415-555-0132"}]}]},
        partial_fields={"phone"},
        empty_query=NOBODY,
        malformed=({"webhook_result": "x"}, {"webhook_result": {"people": 4}}, {}),
        request_id=REQUEST_ID,
        polled=True,
    ),
    "clearbit.combined": Case(
        documented=body("clearbit-combined-response"),
        expected={**PERSON, **COMPANY, "industry": "Machinery", "company_phone": "+1 415-555-0100",
                  "linkedin_url": "https://www.linkedin.com/in/dana-reyes-example",
                  "company_linkedin_url": "https://www.linkedin.com/company/northwind-parts"},
        misses=(reply(404, {"error": {"type": "unknown_record"}}), reply(200, {"person": None, "company": None})),
        wrong_types={"person": {"email": True, "name": "Dana", "geo": [], "linkedin": {"handle": 3}}, "company": None},
        partial={"person": None, "company": {"name": "Northwind Parts"}},
        partial_fields={"company_name"},
        empty_query=NOBODY,
        malformed=({"person": "x", "company": None}, {"person": None, "company": [1]}),
    ),
    "clearbit.person": Case(
        documented=body("clearbit-combined-response")["person"],
        expected={**PERSON, "company_name": "Northwind Parts", "company_domain": "northwind-parts.com"},
        misses=(reply(404, {"error": {"type": "unknown_record"}}), reply(200, {})),
        wrong_types={"email": True, "name": "Dana", "geo": [], "linkedin": {"handle": 3}},
        partial={"name": {"givenName": "Dana"}, "employment": None},
        partial_fields={"first_name"},
        empty_query=NOBODY,
        malformed=(),
    ),
    "clearbit.company": Case(
        documented=body("clearbit-combined-response")["company"],
        expected={**COMPANY, "industry": "Machinery", "company_phone": "+1 415-555-0100"},
        misses=(reply(404, {"error": {"type": "unknown_record"}}), reply(200, {})),
        wrong_types={"name": 4, "metrics": "many", "tech": {"a": 1}, "linkedin": []},
        partial={"category": {"industry": "Machinery"}, "metrics": {"employees": None}},
        partial_fields={"industry"},
        empty_query=NO_DOMAIN,
        malformed=(),
    ),
    "zerobounce.verification": Case(
        documented=body("zerobounce-validate-response"),
        expected={"email_status": "invalid"},
        misses=(),
        wrong_types={"status": "valid", "sub_status": 4, "mx_found": []},
        partial={"status": "greylisted by someone"},
        partial_fields={"email_status"},
        empty_query=NOBODY,
        malformed=({"status": 5}, {}),
        meaning={403: ("throttled", True)},
    ),
    "people_data_labs.person": Case(
        documented=body("pdl-person-enrich-response"),
        expected={**PERSON, "company_name": "Northwind Parts", "company_domain": "northwind-parts.com",
                  "seniority": "vp", "phone": "+14155550132", "country": "United States",
                  "linkedin_url": "https://linkedin.com/in/dana-reyes-example"},
        misses=(_NOT_FOUND, reply(200, {"status": 200, "data": {}})),
        wrong_types={"data": {"first_name": 4, "job_title": ["x"], "job_title_levels": "vp", "work_email": ["x"]}},
        partial={"likelihood": "high", "data": {"work_email": True, "mobile_phone": True, "location_locality": False,
                                                "job_title": "cto", "job_company_size": "501-1000"}},
        partial_fields={"title"},
        empty_query=NOBODY,
        malformed=({"data": "x"}, {"data": [1]}),
    ),
    "people_data_labs.company": Case(
        documented={"status": 200, "likelihood": 9, "name": "northwind parts", "website": "northwind-parts.com",
                    "size": "501-1000", "employee_count": 640, "founded": 2009, "industry": "industrial automation",
                    "location": {"locality": "oakland", "region": "california", "country": "united states"},
                    "linkedin_url": "linkedin.com/company/northwind-parts", "inferred_revenue": "$100M-$250M",
                    "employee_growth_rate": {"12_month": 0.12}, "total_funding_raised": 12_000_000,
                    "latest_funding_stage": "series_b"},
        expected={**COMPANY, "company_city": "Oakland", "company_country": "United States", "funding_stage": "Series B",
                  "employee_growth": 0.12, "total_funding": 12_000_000,
                  "company_linkedin_url": "https://linkedin.com/company/northwind-parts"},
        misses=(_NOT_FOUND, reply(200, {"status": 200}), reply(200, {"status": 200, "data": {}})),
        wrong_types={"name": 4, "location": "oakland", "employee_growth_rate": [1], "employee_count": "many"},
        partial={"data": {"display_name": "Northwind Parts", "size": "501-1000", "inferred_revenue": "$1M-$10M"}},
        partial_fields={"company_name"},
        empty_query=NO_DOMAIN,
        malformed=({"data": "x"},),
    ),
    "hunter.email": Case(
        documented=body("hunter-email-finder-response"),
        expected={"email": PERSONAL},
        misses=(
            reply(404, {"errors": [{"id": "not_found", "code": 404, "details": "No email address was found"}]}),
            reply(200, {"data": {"email": None, "score": 0}}),
            reply(200, {"data": None}),
        ),
        wrong_types={"data": {"email": 4, "score": "high"}},
        partial={"data": {"email": PERSONAL}},
        partial_fields={"email"},
        empty_query=NAMELESS,
        malformed=({"data": [1]},),
        meaning={403: ("throttled", True)},
    ),
    "hunter.verification": Case(
        documented=body("hunter-email-verifier-response"),
        expected={"email_status": "accept_all"},
        misses=(),
        wrong_types={"data": {"status": "valid", "score": "x", "smtp_check": []}},
        partial={"data": {"status": "something new"}},
        partial_fields={"email_status"},
        empty_query=NOBODY,
        malformed=({"data": [1]}, {"data": {"status": 4}}, {}),
        meaning={403: ("throttled", True)},
    ),
    "ai.research": Case(
        documented=chat("Northwind Parts has 640 people.", id="chatcmpl-7"),
        expected={"research_summary": "Northwind Parts has 640 people.", "research_sources": ["employees"]},
        misses=(
            reply(200, chat("")),
            reply(200, {"choices": [{"message": {"content": None, "refusal": "I can't"}}]}),
            reply(200, chat("anything", "content_filter")),
        ),
        wrong_types=chat("Northwind Parts has 640 people.", usage=[], created="yesterday"),
        partial=chat("640 people."),
        partial_fields={"research_summary", "research_sources"},
        empty_query=NO_DOMAIN,
        malformed=({}, {"choices": "x"}, {"choices": [{"message": {"content": {}}}]}, chat("x", "length")),
        request_id="chatcmpl-7",
    ),
    "clay.table": Case(
        documented=_TAKEN,
        expected={},
        misses=(),
        wrong_types=_TAKEN,
        partial=_TAKEN,
        partial_fields=set(),
        empty_query=NOBODY,
        malformed=(),
    ),
    "competitors.company": Case(
        documented={"request_id": "req-7", "data": [{"name": "Acme"}, {"name": None}, {"id": 3}, {"name": "Globex"}]},
        expected={"competitors": ["Acme", "Globex"]},
        misses=(reply(404, {"message": "unknown"}), reply(200, {"data": []}), reply(200, {})),
        wrong_types={"data": [{"name": 4}, {"name": ["x"]}], "request_id": {"a": 1}},
        partial={"data": [{"name": "Acme"}]},
        partial_fields={"competitors"},
        empty_query=NO_DOMAIN,
        malformed=(),
        request_id="req-7",
    ),
}  # fmt: skip

_LATER = "its answer comes to the callback URL: test_clay.py reads it"
_SPECIAL = "test_special_lookups_against_the_sandbox.py runs it, at its own path"
_TAKEN_ANYHOW = "any 2xx says that the row was taken, whatever comes with it"
WAIVERS: Mapping[str, Mapping[str, str]] = {
    "404 means that the address is wrong": {
        "clearbit.combined": "404 is Clearbit's word for nothing found",
        "clearbit.person": "404 is Clearbit's word for nothing found",
        "clearbit.company": "404 is Clearbit's word for nothing found",
        "people_data_labs.person": "404 is People Data Labs' word for nothing found",
        "people_data_labs.company": "404 is People Data Labs' word for nothing found",
        "hunter.email": "404 is the finder's word for nothing found",
        "competitors.company": "404 is nothing found, unless its description says otherwise",
    },
    "a miss is an answer": {
        "zerobounce.verification": "it has a verdict on every address",
        "hunter.verification": "it has a verdict on every address",
        "clay.table": _LATER,
    },
    "the reply holds the values": {"clay.table": _LATER},
    "a reply that is no object is malformed": {
        "clay.table": _TAKEN_ANYHOW,
        "competitors.company": "a description may be of a list",
    },
    "a broken body is a failure": {"clay.table": _TAKEN_ANYHOW},
    "an error that comes with 200 is no answer": {"clay.table": _TAKEN_ANYHOW},
    "the emulator answers it": {"ai.research": _SPECIAL, "clay.table": _SPECIAL},
}
"""Rule -> lookup -> why the rule is not for it."""

QUOTAS = {
    "apollo": (
        {"x_rate_limit_minute": "1000", "x_minute_requests_left": "997"},
        {"x_rate_limit_minute": "", "x_minute_requests_left": ""},
    ),
    "clearbit": (
        {"x_ratelimit_limit": "600", "x_ratelimit_remaining": "599", "x_ratelimit_reset": "soon"},
        {"x_ratelimit_limit": "-1"},
    ),
    "people_data_labs": (
        {"x_ratelimit_limit": '{"minute": 1000, "day": 5}', "x_ratelimit_remaining": "{'day': 4, 'minute': 999}"},
        {"x_ratelimit_limit": '{"minute": "many"}', "x_ratelimit_remaining": "999"},
    ),
}
"""Provider -> rate-limit headers as documented, and garbage."""

every_lookup = pytest.mark.parametrize("name", CASES)


def every_lookup_but_waived(rule: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("name", [name for name in CASES if name not in WAIVERS[rule]])


async def ask(lookup: Lookup, query: Query = QUERY, timeout_seconds: float = 3.0) -> Answer | Pending:
    return await lookup.fetch(query, timeout_seconds, CALLBACK)


async def answer_to(act: Act, lookup: Lookup, case: Case, vendor: Loopback) -> Answer | Pending:
    """Let the vendor say this in the reply that is to hold the values."""
    vendor.answer(*case.before, act)
    return await lookup.poll(REQUEST_ID, QUERY, 3.0) if case.polled else await ask(lookup)


async def failure(lookup: Lookup, query: Query = QUERY, timeout_seconds: float = 3.0) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await ask(lookup, query, timeout_seconds)
    assert_nothing_secret(told(caught.value), CALLBACK)
    return caught.value


def by_field(answer: Answer | Pending) -> dict[str, Any]:
    assert isinstance(answer, Answer)
    return {raw.field: raw.value for raw in answer.values}


def key_of(lookup: Lookup) -> str:
    return KEYS["CLAY_WEBHOOK_TOKEN" if lookup.provider == "clay" else f"{lookup.provider.upper()}_API_KEY"]
