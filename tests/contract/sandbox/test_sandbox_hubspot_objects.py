"""HubSpot companies, deals, searches and associations."""

import json

import pytest

V3, V4 = "/hubspot/crm/v3/objects", "/hubspot/crm/v4"
LABEL = [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 1}]


@pytest.fixture
def company_ids(sandbox):
    return [sandbox.state.accounts.companies["hubspot", index] for index in range(3)]


async def search(client, kind="contacts", **body):
    return await client.call("POST", f"{V3}/{kind}/search", json=body)


def in_list(name, *values):
    return {"filters": [{"propertyName": name, "operator": "IN", "values": list(values)}]}


async def test_companies_and_deals_are_there_from_the_start(client, sandbox, company_ids):
    deal = sandbox.state.accounts.deals["hubspot", 0]
    for kind, record_id, name in (("companies", company_ids[0], "domain"), ("deals", deal, "dealname")):
        asked = {"properties": [name, "nope"], "inputs": [{"id": record_id}, {"id": "1"}]}
        status, body, _ = await client.call("POST", f"{V3}/{kind}/batch/read", json=asked)
        assert (status, body["numErrors"]) == (207, 1)
        [found] = body["results"]
        assert set(found["properties"]) == {name, "createdate", "hs_object_id", "hs_lastmodifieddate"}
    assert found["properties"]["dealname"].startswith(sandbox.world.all_companies[0].name)


@pytest.mark.parametrize(
    ("name", "value", "code"), [("industry", "Robots", "INVALID_OPTION"), ("jobtitle", "x", "PROPERTY_DOESNT_EXIST")]
)
async def test_companies_have_fields_and_choices_of_their_own(client, company_ids, name, value, code):
    update = {"inputs": [{"id": company_ids[0], "properties": {name: value}}]}
    status, body, _ = await client.call("POST", f"{V3}/companies/batch/update", json=update)
    assert (status, body["errors"][0]["code"]) == (400, code)
    update["inputs"][0]["properties"] = {"industry": "COMPUTER_SOFTWARE", "numberofemployees": 640}
    assert (await client.call("POST", f"{V3}/companies/batch/update", json=update))[0] == 200
    assert {(write["kind"], write["field"]) for write in await client.writes()} == {
        ("company", "industry"), ("company", "numberofemployees"),
    }  # fmt: skip


class TestSearch:
    async def test_the_documented_request_is_answered_in_the_documented_shape(self, client, sample):
        made = await client.create("hubspot/contacts", person=0)
        asked = sample("hubspot-crm-search-request")
        asked["filterGroups"] = [in_list("email", made["email"])]
        status, body, headers = await search(client, **asked)
        documented = sample("hubspot-crm-search-response")
        assert (status, body["total"]) == (200, 1)
        assert set(body["results"][0]) == set(documented["results"][0])
        assert not [name for name in headers if "ratelimit" in name.lower()]

    async def test_in_compares_with_texts_in_lower_case(self, client, sandbox):
        domain = sandbox.world.all_companies[5].domain
        for value, total in ((domain, 1), (domain.upper(), 0)):
            _, body, _ = await search(client, "companies", filterGroups=[in_list("domain", value)])
            assert body["total"] == total

    async def test_groups_are_alternatives_and_filters_conditions(self, client, sandbox):
        one, two = (sandbox.world.all_companies[index] for index in (3, 4))
        by_name = {"propertyName": "name", "operator": "EQ", "value": one.name}
        both = {"filters": [by_name, {"propertyName": "domain", "operator": "EQ", "value": two.domain}]}
        _, body, _ = await search(client, "companies", filterGroups=[both])
        assert body["total"] == 0
        _, body, _ = await search(client, "companies", filterGroups=[both, in_list("domain", two.domain)])
        assert [item["properties"]["domain"] for item in body["results"]] == [two.domain]

    async def test_numbers_are_found_by_their_digits(self, client):
        made = await client.create(
            "hubspot/contacts", properties={"email": "a@b.example", "phone": "+1 (415) 555-0132"}
        )
        name = "hs_searchable_calculated_phone_number"
        _, body, _ = await search(client, filterGroups=[in_list(name, "4155550132")])
        assert [item["id"] for item in body["results"]] == [made["id"]]

    async def test_pages_follow_each_other(self, client, sandbox):
        seen, after = [], "0"
        while after:
            sorts = [{"propertyName": "name", "direction": "ASCENDING"}]
            _, body, _ = await search(client, "companies", limit=200, after=after, sorts=sorts)
            seen += [item["properties"]["name"] for item in body["results"]]
            after = body.get("paging", {}).get("next", {}).get("after", "")
        assert seen == sorted(company.name for company in sandbox.world.all_companies)

    @pytest.mark.parametrize(
        "body",
        [
            {"limit": 201},
            {"after": "9900", "limit": 200},
            {"filterGroups": [in_list("name", "x")] * 6},
            {"filterGroups": [{"filters": [{"propertyName": "name", "operator": "LIKE", "value": "x"}]}]},
            {"filterGroups": [in_list("name", *("x" * 50 for _ in range(80)))]},
            {"filterGroups": ["x"]},
        ],
    )
    async def test_what_the_documentation_forbids_is_400(self, client, body):
        status, answer, _ = await search(client, "companies", **body)
        assert (status, answer["category"]) == (400, "VALIDATION_ERROR")


class TestAssociations:
    async def test_the_first_company_is_primary_and_read_in_the_documented_shape(self, client, sample, company_ids):
        made = await client.create("hubspot/contacts", person=0)
        base = f"{V4}/objects/contacts/{made['id']}/associations"
        assert (await client.call("GET", f"{base}/companies"))[1] == {"results": []}
        status, body, _ = await client.call("PUT", f"{base}/default/companies/{company_ids[0]}")
        assert (status, body["status"]) == (200, "COMPLETE")
        _, body, _ = await client.call("GET", f"{base}/companies")
        documented = sample("hubspot-associations-v4-read-response")
        documented["results"][0]["toObjectId"] = int(company_ids[0])
        assert body == documented
        assert [(w["kind"], w["field"], w["new"]) for w in await client.writes()] == [
            ("contact", "company", company_ids[0])
        ]

    async def test_repeating_an_association_changes_nothing(self, client, company_ids):
        made = await client.create("hubspot/contacts", person=0, associate=True)
        path = f"{V4}/objects/contacts/{made['id']}/associations/default/companies/{made['company_id']}"
        assert made["company_id"] == company_ids[0]
        assert (await client.call("PUT", path))[0] == 200
        assert await client.writes() == []

    async def test_the_label_moves_the_primary_company(self, client, company_ids):
        made = await client.create("hubspot/contacts", person=0, associate=True)
        base = f"{V4}/objects/contacts/{made['id']}/associations"
        await client.call("PUT", f"{base}/default/companies/{company_ids[1]}")
        assert await client.writes() == []
        status, _, _ = await client.call("PUT", f"{base}/companies/{company_ids[1]}", json=LABEL)
        assert status == 201
        _, body, _ = await client.call("GET", f"{base}/companies")
        labels = {str(to["toObjectId"]): [one["typeId"] for one in to["associationTypes"]] for to in body["results"]}
        assert labels == {company_ids[0]: [279], company_ids[1]: [1, 279]}
        [write] = await client.writes()
        assert (write["old"], write["new"]) == (company_ids[0], company_ids[1])
        _, record, _ = await client.call("GET", f"/_sandbox/crm/hubspot/records/{made['id']}")
        assert record["company"] == company_ids[1]

    async def test_a_batch_names_the_records_without_a_company(self, client, company_ids):
        linked = await client.create("hubspot/contacts", person=0, associate=True)
        alone = await client.create("hubspot/contacts", person=1)
        inputs = {"inputs": [{"id": linked["id"]}, {"id": alone["id"]}]}
        status, body, _ = await client.call("POST", f"{V4}/associations/contacts/companies/batch/read", json=inputs)
        assert (status, body["numErrors"]) == (207, 1)
        assert [(item["from"]["id"], item["to"][0]["toObjectId"]) for item in body["results"]] == [
            (linked["id"], int(company_ids[0]))
        ]
        [error] = body["errors"]
        assert error["subCategory"] == "crm.associations.NO_ASSOCIATIONS_FOUND"
        assert error["context"]["fromObjectId"] == [alone["id"]]

    async def test_deals_are_associated_as_well(self, client, company_ids):
        made = await client.create("hubspot/deals", company=2)
        asked = {"inputs": [{"id": made["id"]}]}
        _, body, _ = await client.call("POST", f"{V4}/associations/deals/companies/batch/read", json=asked)
        assert body["results"][0]["to"][0]["toObjectId"] == int(company_ids[2]) == int(made["company_id"])

    @pytest.mark.parametrize(("contact", "company"), [("1", None), (None, "1")])
    async def test_records_that_do_not_exist_are_404(self, client, company_ids, contact, company):
        made = await client.create("hubspot/contacts", person=0)
        ends = f"{contact or made['id']}/associations/default/companies/{company or company_ids[0]}"
        assert (await client.call("PUT", f"{V4}/objects/contacts/{ends}"))[0] == 404

    async def test_nonsense_is_400(self, client, company_ids):
        made = await client.create("hubspot/contacts", person=0)
        path = f"{V4}/objects/contacts/{made['id']}/associations/companies/{company_ids[0]}"
        assert (await client.call("PUT", path, data=json.dumps({"x": 1})))[0] == 400
        many = {"inputs": [{"id": str(number)} for number in range(1001)]}
        for body in (many, {"inputs": 1}):
            assert (await client.call("POST", f"{V4}/associations/contacts/companies/batch/read", json=body))[0] == 400
