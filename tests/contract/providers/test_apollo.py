"""What is Apollo's own: requests as documented, units of the price, ids for its other lookups."""

import json

import pytest
from lookup_cases import ARTICLE, FOUND, MATCHED, ORGANIZATION_ID, PERSON_ID, QUERY, ask, body, by_field, failure
from support.loopback import reply, sample
from support.remote import PERSONAL

from enrichment_dagster.errors import ProviderError
from enrichment_dagster.ports import Query


async def test_people_match_is_sent_as_documented(lookups, vendor):
    vendor.answer(reply(200, {}))
    await lookups["apollo.person"].fetch(QUERY, 3)
    [seen] = vendor.requests
    assert (seen.method, seen.path) == ("POST", "/api/v1/people/match")
    assert seen.json == json.loads(sample("apollo-people-match-request"))


async def test_it_says_how_sure_it_is_of_an_address(lookups, vendor):
    vendor.answer(
        reply(200, {"person": {"email": PERSONAL, "email_status": "verified"}}),
        reply(200, {"person": {"email": PERSONAL, "email_status": ["odd"]}}),
    )
    sure = await lookups["apollo.person"].fetch(QUERY, 3)
    unsure = await lookups["apollo.person"].fetch(QUERY, 3)
    assert sure.values[0].confidence > 0.9 > unsure.values[0].confidence


@pytest.mark.parametrize(
    ("name", "seniorities", "most"),
    [
        ("apollo.executives", ["owner", "founder", "c_suite", "vp"], 5),
        ("apollo.contacts", ["director", "head", "manager", "senior"], 10),
    ],
)
async def test_people_are_searched_and_those_found_are_matched(lookup, vendor, seniorities, most):
    vendor.answer(reply(200, FOUND), reply(200, MATCHED))
    answer = await ask(lookup)
    search, match = vendor.requests
    assert (search.method, search.path) == ("POST", "/api/v1/mixed_people/api_search")
    assert search.json == {
        "q_organization_domains_list": ["northwind-parts.com"],
        "person_seniorities": seniorities,
        "page": 1,
        "per_page": most,
    }
    assert (match.method, match.path) == ("POST", "/api/v1/people/bulk_match")
    assert match.json == {"details": [{"id": PERSON_ID}, {"id": "b"}, {"id": "c"}], "reveal_personal_emails": False}
    assert (lookup.max_units, answer.units) == (most, 2)


@pytest.mark.parametrize("people", [[], [None, "x", {"id": None}, {"first_name": "Dana"}]])
async def test_when_nobody_is_found_nobody_is_paid_for(lookups, vendor, people):
    vendor.answer(reply(200, {"people": people}, x_rate_limit_minute="50"))
    answer = await ask(lookups["apollo.executives"])
    assert by_field(answer) == {}
    assert answer.quota.limit == 50
    assert len(vendor.requests) == 1


async def test_no_more_people_are_matched_than_were_reserved_for(lookups, vendor):
    """A search that ignores per_page must not make the call dearer than the budget allowed."""
    vendor.answer(reply(200, {"people": [{"id": str(n)} for n in range(40)]}), reply(200, MATCHED))
    await ask(lookups["apollo.executives"])
    assert len(vendor.requests[1].json["details"]) == 5


async def test_somebody_who_is_matched_twice_is_one(lookups, vendor):
    row = MATCHED["matches"][0]
    vendor.answer(reply(200, FOUND), reply(200, {"matches": [row, row]}))
    answer = await ask(lookups["apollo.executives"])
    assert (len(by_field(answer)["executives"]), answer.units) == (1, 1)


async def test_a_locked_address_is_left_out_of_an_entry(lookups, vendor):
    row = {**MATCHED["matches"][0], "email": "Email_not_unlocked@domain.com"}
    vendor.answer(reply(200, FOUND), reply(200, {"matches": [row]}))
    [entry] = by_field(await ask(lookups["apollo.executives"]))["executives"]
    assert "email" not in entry
    assert entry["name"] == "Dana Reyes"


KNOWN = Query(domain="northwind-parts.com", ids={"apollo.organization": ORGANIZATION_ID})


async def test_news_of_a_known_organization_cost_one_unit(lookups, vendor):
    vendor.answer(reply(200, {"news_articles": [ARTICLE]}))
    answer = await ask(lookups["apollo.news"], KNOWN)
    [seen] = vendor.requests
    assert (seen.method, seen.path) == ("POST", "/api/v1/news_articles/search")
    assert seen.json == {"organization_ids": [ORGANIZATION_ID], "page": 1, "per_page": 25}
    assert (answer.units, answer.is_hit) == (1, True)


async def test_an_unknown_organization_is_found_first_and_costs_a_unit_more(lookups, vendor):
    vendor.answer(reply(200, body("apollo-organization-enrich-response")), reply(200, {"news_articles": [ARTICLE]}))
    answer = await ask(lookups["apollo.news"])
    assert [(seen.method, seen.path) for seen in vendor.requests] == [
        ("GET", "/api/v1/organizations/enrich"),
        ("POST", "/api/v1/news_articles/search"),
    ]
    assert vendor.requests[0].query == {"domain": "northwind-parts.com"}
    assert vendor.requests[1].json["organization_ids"] == [ORGANIZATION_ID]
    assert answer.units == 2


async def test_without_an_organization_there_are_no_news(lookups, vendor):
    for organization in (None, {"name": "no id"}):
        vendor.answer(reply(200, {"organization": organization}))
        assert by_field(await ask(lookups["apollo.news"])) == {}
    assert len(vendor.requests) == 2


async def test_news_that_were_not_sent_for_do_not_make_the_organization_unpaid(lookups, vendor, monkeypatch):
    """The first call was served: the engine must not take the failure of the second for "nothing was sent"."""
    news, known = lookups["apollo.news"], []
    request = type(news.client).request

    async def unreachable_at_last(client, method, path, **options):
        if "news" not in path:
            return await request(client, method, path, **options)
        known.append(path)
        raise ProviderError("connect", transient=True, maybe_sent=False)

    monkeypatch.setattr(type(news.client), "request", unreachable_at_last)
    vendor.answer(reply(200, body("apollo-organization-enrich-response")))
    error = await failure(news)
    assert (error.reason, error.maybe_sent, len(known)) == ("connect", True, 1)
    assert not (await failure(news, KNOWN)).maybe_sent
