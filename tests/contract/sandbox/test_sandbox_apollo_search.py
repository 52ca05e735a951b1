"""Apollo's people search and news: filters, pages, what is free."""

import json
from datetime import date, timedelta

import pytest

from enrichment_dagster.sandbox import SandboxConfig
from enrichment_dagster.sandbox.apollo_news import ApolloNews
from enrichment_dagster.sandbox.apollo_search import obfuscated
from enrichment_dagster.sandbox.apollo_wire import ApolloAccount
from enrichment_dagster.sandbox.wire import Request

SEARCH = "/apollo/api/v1/mixed_people/api_search"
NEWS = "/apollo/api/v1/news_articles/search"


def staffed(world):
    """A company at which Apollo knows an executive by their level, and somebody else too."""
    for company in world.all_companies:
        levels = [p.apollo.level.apollo for p in world.people_at(company) if p.apollo and p.apollo.level]
        if {"c_suite", "vp"} & set(levels) and {"manager", "senior", "entry"} & set(levels):
            return company
    raise AssertionError("no such company")


async def search(client, **body):
    status, answer, _ = await client.call("POST", SEARCH, json=body)
    assert status == 200, answer
    return answer


async def news(client, **body):
    status, answer, _ = await client.call("POST", NEWS, json=body)
    assert status == 200, answer
    return answer


async def test_executives_of_a_company(client, sandbox):
    company = staffed(sandbox.world)
    domains, levels = [company.domain], ["c_suite", "vp"]
    found = await search(client, q_organization_domains_list=domains, person_seniorities=levels, page=1, per_page=100)
    everybody = await search(client, q_organization_domains_list=domains)
    executives = {person.key for person in sandbox.world.executives(company)}
    assert {person["id"] for person in found["people"]} <= executives
    assert 0 < found["total_entries"] < everybody["total_entries"]
    assert {person["organization"]["name"] for person in everybody["people"]} == {company.name}


async def test_a_free_search_tells_neither_names_nor_addresses(client, sandbox):
    found = await search(client, q_organization_domains_list=["northwind-parts.com"])
    assert set(found) == {"total_entries", "people", "pagination"}
    dana = next(person for person in found["people"] if person["id"] == sandbox.world.person(0).key)
    assert dana == {
        "id": sandbox.world.person(0).key,
        "first_name": "Dana",
        "last_name_obfuscated": "Re***s",
        "title": "VP Operations",
        "has_email": True,
        "organization": {"name": "Northwind Parts"},
    }
    assert (await client.counters())["billed_total"] == 0


async def test_a_found_person_can_be_matched_by_id(client):
    found = await search(client, q_organization_domains_list=["northwind-parts.com"])
    _, body, _ = await client.call("POST", "/apollo/api/v1/people/match", json={"id": found["people"][0]["id"]})
    assert body["person"]["id"] == found["people"][0]["id"]


async def test_an_unheard_of_seniority_finds_nobody(client):
    assert (await search(client, person_seniorities=["emperor"]))["total_entries"] == 0
    of_company = {"q_organization_domains_list": ["northwind-parts.com"], "person_seniorities": ["emperor"]}
    assert (await search(client, **of_company))["total_entries"] == 0


async def test_pages_of_a_search_follow_each_other(client, sandbox):
    known = sum(person.apollo_knows for person in sandbox.world.all_people)
    pages = [await search(client, page=page, per_page=100) for page in (1, 2)]
    ids = [person["id"] for page in pages for person in page["people"]]
    assert len(set(ids)) == 200
    assert pages[1]["pagination"] == {
        "page": 2, "per_page": 100, "total_entries": known, "total_pages": -(-known // 100),
    }  # fmt: skip


@pytest.mark.parametrize("body", [{"per_page": 101}, {"per_page": 0}, {"page": 0}, {"page": "x"}])
async def test_a_search_refuses_pages_that_do_not_exist(client, body):
    status, answer, _ = await client.call("POST", SEARCH, json=body)
    assert (status, set(answer)) == (422, {"error"})


@pytest.mark.parametrize(("name", "shown"), [("Reyes", "Re***s"), ("Voss", "Vo***s")])
def test_obfuscated_names(name, shown):
    assert obfuscated(name) == shown


async def test_news_have_their_documented_fields(client, sandbox):
    company = sandbox.world.all_companies[0]
    found = await news(client, organization_ids=[company.key], page=1)
    assert set(found) == {"pagination", "news_articles"}
    assert found["pagination"] == {"page": 1, "per_page": 25, "total_entries": 30, "total_pages": 2}
    article = found["news_articles"][0]
    assert set(article) == {
        "id", "title", "url", "domain", "snippet", "published_at", "event_categories", "organization_id",
        "organization_ids",
    }  # fmt: skip
    assert (article["organization_id"], article["organization_ids"]) == (company.key, [company.key])
    assert article["event_categories"][0] in {"hires", "investment", "contract"}
    assert company.name in article["title"]


async def test_news_are_paged_newest_first_and_a_page_is_one_credit(client, sandbox):
    company = sandbox.world.all_companies[0]
    pages = [(await news(client, organization_ids=[company.key], page=page))["news_articles"] for page in (1, 2, 3)]
    assert [len(page) for page in pages] == [25, 5, 0]
    days = [article["published_at"][:10] for page in pages for article in page]
    assert days == sorted(days, reverse=True)
    assert len({article["id"] for page in pages for article in page}) == 30
    assert (await client.counters())["billed"] == {"apollo.news_search": 2}


async def test_news_can_be_filtered(client, sandbox):
    company = sandbox.world.all_companies[0]
    every = (await news(client, organization_ids=[company.key]))["news_articles"]
    middle = every[12]["published_at"][:10]
    later = await news(client, organization_ids=[company.key], published_at={"min": middle})
    assert later["pagination"]["total_entries"] < 30
    assert all(article["published_at"][:10] >= middle for article in later["news_articles"])
    hires = await news(client, organization_ids=[company.key], categories=["hires"])
    assert {article["event_categories"][0] for article in hires["news_articles"]} == {"hires"}


async def test_some_companies_have_no_news_and_the_unknown_have_none(client, sandbox):
    known = [company for company in sandbox.world.all_companies[1:] if company.apollo_knows][:60]
    totals = [(await news(client, organization_ids=[company.key]))["pagination"]["total_entries"] for company in known]
    assert 12 < totals.count(0) < 40
    unknown = next(company for company in sandbox.world.all_companies if not company.apollo_knows)
    assert (await news(client, organization_ids=[unknown.key]))["news_articles"] == []


@pytest.mark.parametrize("body", [{}, {"organization_ids": []}, {"organization_ids": ["x"], "page": 0}])
async def test_news_without_sense_are_422(client, body):
    status, answer, _ = await client.call("POST", NEWS, json=body)
    assert (status, set(answer)) == (422, {"error"})


def published(world, until):
    config = SandboxConfig(news_until=until)
    emulator = ApolloNews(ApolloAccount(config), config, world)
    body = {"organization_ids": [world.all_companies[0].key]}
    answer = json.loads(emulator.search(Request("POST", "", b"", (), json.dumps(body).encode())).body)
    return [date.fromisoformat(article["published_at"][:10]) for article in answer["news_articles"]]


def test_news_end_on_the_day_they_are_set_to(sandbox):
    earlier, later = (published(sandbox.world, date(2026, 9, day)) for day in (11, 21))
    assert max(later) <= date(2026, 9, 21)
    assert [day + timedelta(10) for day in earlier] == later
