"""The made-up vendor of competitors."""

from sandbox_skeleton import assert_shape

SHAPE = {
    "request_id": "1",
    "data": [{"name": "Bluefin Controls", "domain": "bluefin-controls.com", "similarity": 0.83}],
}


def path(domain):
    return f"/competitors/v1/companies/{domain}/competitors"


async def test_competitors_are_of_the_same_industry_and_the_closest_come_first(client, sandbox):
    status, body, _ = await client.call("GET", path("northwind-parts.com"))
    assert status == 200
    assert_shape(SHAPE, body)
    named = [sandbox.world.company_by_domain(entry["domain"]) for entry in body["data"]]
    assert len(named) == 5
    assert {company.industry.apollo for company in named} == {"industrial automation"}
    similar = [entry["similarity"] for entry in body["data"]]
    assert similar == sorted(similar, reverse=True)
    assert all(0.5 < value <= 1 for value in similar)
    assert (await client.counters())["billed_subjects"] == {
        "competitors.company_competitors": {"northwind-parts.com": 1}
    }


async def test_an_unknown_company_is_404_and_free(client, sandbox):
    coverage = sandbox.world.coverage
    company = next(c for c in sandbox.world.all_companies if not coverage.competitors_known(c))
    for domain in (company.domain, "elsewhere.example"):
        assert (await client.call("GET", path(domain)))[0] == 404
    assert (await client.counters())["billed_total"] == 0


async def test_a_foreign_key_is_401(client):
    assert (await client.call("GET", path("northwind-parts.com"), headers={"x-api-key": "foreign"}))[0] == 401


async def test_other_paths_are_404(client):
    for other in ("/competitors/v1/companies/northwind-parts.com", "/competitors/v1/companies/a/b/competitors"):
        status, body, _ = await client.call("GET", other)
        assert (status, body) == (404, "no such call")
