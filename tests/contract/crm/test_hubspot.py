"""HubSpot: documented requests and replies, partial success, batches that one record spoils."""

import json

import pytest
from support.clock import ManualClock
from support.loopback import loopback, reply, sample
from support.remote import settings_for

from enrichment_dagster.crm.registry import build_crms
from enrichment_dagster.domain.event import RecordRef
from enrichment_dagster.errors import CrmError
from enrichment_dagster.http import RemoteClients
from enrichment_dagster.ports import CrmFailure, CrmRecord, RecordUpdate, Search

DANA, OTHER = RecordRef("hubspot", "contact", "1246978"), RecordRef("hubspot", "contact", "1246965")


def ref(number):
    return RecordRef("hubspot", "contact", str(number))


@pytest.fixture
async def vendor():
    async with loopback() as server:
        yield server


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
async def hubspot(vendor, clock):
    async with RemoteClients() as clients:
        yield build_crms(settings_for(vendor.url), clients, clock)["hubspot"]


async def test_documented_read(hubspot, vendor):
    vendor.answer(reply(200, sample("hubspot-crm-batch-read-response")))
    properties = ["email", "firstname", "lastname", "company", "enrichment_status"]
    results = await hubspot.read([DANA, OTHER], properties)
    assert vendor.requests[0].json == json.loads(sample("hubspot-crm-batch-read-request"))
    assert vendor.requests[0].path == "/crm/v3/objects/contacts/batch/read"
    found = results[DANA]
    assert isinstance(found, CrmRecord)
    assert found.properties["email"] == "dana.reyes@northwind-parts.com"
    assert results[OTHER] == CrmFailure("not_found", transient=False)


async def test_documented_write(hubspot, vendor):
    vendor.answer(reply(200, {"status": "COMPLETE", "results": [{"id": "1246978"}]}))
    [documented] = json.loads(sample("hubspot-crm-batch-update-request"))["inputs"]
    assert await hubspot.write([RecordUpdate(DANA, documented["properties"])]) == {DANA: None}
    [sent] = vendor.requests[0].json["inputs"]
    assert sent == {**documented, "objectWriteTraceId": DANA.record_id}


async def test_values_are_sent_as_text(hubspot, vendor):
    vendor.answer(reply(200, {"results": [{"id": "1246978"}]}))
    await hubspot.write([RecordUpdate(DANA, {"a": 640, "b": 120000000.0, "c": ["x", "y"], "d": True, "e": None})])
    sent = vendor.requests[0].json["inputs"][0]["properties"]
    assert sent == {"a": "640", "b": "120000000", "c": "x;y", "d": "true", "e": ""}


async def test_a_207_tells_which_records_failed(hubspot, vendor):
    errors = [
        {"category": "VALIDATION_ERROR", "message": "m", "context": {"objectWriteTraceId": ["2"]}},
        {"category": "OBJECT_NOT_FOUND", "message": "m", "context": {"ids": ["3"]}},
        {"category": "RATE_LIMITS", "errors": [{"context": {"objectWriteTraceId": ["4"]}}]},
    ]
    vendor.answer(reply(207, {"results": [{"id": "1"}], "numErrors": 3, "errors": errors}))
    results = await hubspot.write([RecordUpdate(ref(n), {"x": "1"}) for n in range(1, 6)])
    assert results[ref(1)] is None
    told = {r.record_id: (f.reason, f.transient) for r, f in results.items() if f}
    assert told == {
        "2": ("validation", False),
        "3": ("not_found", False),
        "4": ("throttled", True),
        "5": ("unconfirmed", True),
    }


async def test_a_207_of_a_read(hubspot, vendor):
    error = {"category": "OBJECT_NOT_FOUND", "message": "gone", "context": {"ids": ["1246965"]}}
    body = json.loads(sample("hubspot-crm-batch-read-response")) | {"numErrors": 1, "errors": [error]}
    vendor.answer(reply(207, body))
    results = await hubspot.read([DANA, OTHER], ["email"])
    assert isinstance(results[DANA], CrmRecord)
    assert results[OTHER] == CrmFailure("not_found", transient=False, detail="gone")


async def test_a_record_that_was_merged_away_is_read_as_what_it_became(hubspot, vendor):
    """Its old id is what the webhook said; HubSpot answers under the new one."""
    became = {"id": "900", "properties": {"email": "dana@b.example", "jobtitle": "typed by a person"}}
    unknown = {"category": "OBJECT_NOT_FOUND", "message": "gone", "context": {"ids": ["3"]}}

    def serve(writer):
        asked = [item["id"] for item in vendor.requests[-1].json["inputs"]]
        held = {"1": {"id": "1", "properties": {"email": "a@b.example"}}, "2": became}
        results = [held[record_id] for record_id in asked if record_id in held]
        errors = [unknown] if "3" in asked else []
        return reply(207 if errors else 200, {"results": results, "errors": errors})(writer)

    vendor.answer(serve)
    results = await hubspot.read([ref(1), ref(2), ref(3)], ["email", "jobtitle"])
    assert results[ref(2)] == CrmRecord(ref(2), became["properties"])
    assert results[ref(1)].properties["email"] == "a@b.example"
    assert results[ref(3)].reason == "not_found"


async def test_an_unknown_property_fails_its_records_only(hubspot, vendor):
    vendor.answer(
        reply(400, sample("hubspot-error-validation")), reply(200, {"results": [{"id": str(n)} for n in range(1, 10)]})
    )
    updates = [RecordUpdate(ref(n), {"jobtitle": "x"}) for n in range(1, 10)]
    results = await hubspot.write([RecordUpdate(ref(10), {"missing": "x"}), *updates])
    assert {r.record_id: f.reason for r, f in results.items() if f} == {"10": "validation"}
    assert "missing" in results[ref(10)].detail
    assert len(vendor.requests) == 2


async def test_a_refusal_without_a_name_is_isolated_by_halves(hubspot, vendor):
    def refuse_seven(writer):
        inputs = vendor.requests[-1].json["inputs"]
        bad = {"status": "error", "category": "VALIDATION_ERROR", "message": "Invalid"}
        fits = {"results": [{"id": item["id"]} for item in inputs]}
        return reply(400, bad)(writer) if any(i["id"] == "7" for i in inputs) else reply(200, fits)(writer)

    vendor.answer(refuse_seven)
    results = await hubspot.write([RecordUpdate(ref(n), {"x": "1"}) for n in range(100)])
    assert {r.record_id for r, f in results.items() if f} == {"7"}
    assert len(vendor.requests) <= 15


async def test_a_batch_in_which_all_is_wrong_does_not_burn_the_limit(hubspot, vendor):
    vendor.answer(reply(400, {"category": "VALIDATION_ERROR", "message": "Invalid"}))
    results = await hubspot.write([RecordUpdate(ref(n), {"x": "1"}) for n in range(100)])
    assert len(vendor.requests) <= 40
    assert {f.reason for f in results.values()} == {"validation", "batch_refused"}
    assert {f.transient for f in results.values() if f.reason == "batch_refused"} == {True}


@pytest.mark.parametrize(("kind", "named"), [("contact", {"email"}), ("company", set())])
async def test_a_conflict_of_contacts_is_one_of_addresses(hubspot, vendor, kind, named):
    """Another contact has the address: title and status are this one's all the same."""
    error = {"category": "CONFLICT", "message": "Contact already exists", "context": {"objectWriteTraceId": ["1"]}}
    vendor.answer(reply(207, {"results": [], "numErrors": 1, "errors": [error]}))
    record = RecordRef("hubspot", kind, "1")
    failure = (await hubspot.write([RecordUpdate(record, {"email": "a@b.example", "jobtitle": "x"})]))[record]
    assert (failure.reason, failure.properties) == ("conflict", named)


async def test_a_company_that_can_not_be_associated_is_no_fault_of_the_fields(hubspot, vendor):
    gone = {"status": "error", "category": "OBJECT_NOT_FOUND", "message": "no such company"}
    vendor.answer(reply(200, {"results": [{"id": "1"}]}), reply(404, gone))
    failure = (await hubspot.write([RecordUpdate(ref(1), {"jobtitle": "x", "@company": "9"})]))[ref(1)]
    assert (failure.reason, failure.properties) == ("not_found", {"@company"})


async def test_batches_hold_a_hundred_and_a_record_once(hubspot, vendor):
    vendor.answer(reply(200, {"results": []}))
    await hubspot.read([ref(n) for n in range(250)] + [ref(1)], ["email"])
    assert [len(seen.json["inputs"]) for seen in vendor.requests] == [100, 100, 50]


@pytest.mark.parametrize(
    ("status", "body", "reason", "transient", "wait"),
    [
        (423, {}, "locked", True, 2),
        (429, {"policyName": "DAILY"}, "daily_limit", True, 3600),
        (429, {"policyName": "TEN_SECONDLY_ROLLING"}, "throttled", True, 10),
        (429, {"policyName": "SECONDLY"}, "throttled", True, 1),
        (477, {}, "migrating", True, None),
        (521, {}, "unavailable", True, None),
        (523, {}, "unavailable", True, None),
        (524, {}, "unavailable", True, None),
        (401, {"category": "INVALID_AUTHENTICATION", "message": "no"}, "unauthorized", False, None),
        (400, {"message": "no category"}, "bad_request", False, None),
    ],
)
async def test_statuses(hubspot, vendor, status, body, reason, transient, wait):
    vendor.answer(reply(status, body))
    with pytest.raises(CrmError) as caught:
        await hubspot.write([RecordUpdate(DANA, {"x": "1"})])
    error = caught.value
    assert (error.reason, error.transient, error.retry_after_seconds) == (reason, transient, wait)


async def test_a_read_that_is_refused_for_its_content(hubspot, vendor):
    vendor.answer(reply(400, sample("hubspot-error-validation")))
    with pytest.raises(CrmError) as caught:
        await hubspot.read([DANA], ["email"])
    assert (caught.value.reason, caught.value.transient) == ("bad_request", False)


class TestAssociations:
    """Which company a contact belongs to."""

    OF_RECORDS = "/crm/v4/associations/contacts/companies/batch/read"

    @staticmethod
    def associated(*pairs, **more):
        documented = json.loads(sample("hubspot-associations-v4-read-response"))["results"]
        results = [{"from": {"id": record.record_id}, "to": to or documented} for record, to in pairs]
        return reply(207 if more else 200, {"status": "COMPLETE", "results": results, **more})

    async def test_documented_read(self, hubspot, vendor):
        none = {
            "category": "OBJECT_NOT_FOUND",
            "subCategory": "crm.associations.NO_ASSOCIATIONS_FOUND",
            "context": {"fromObjectId": [OTHER.record_id]},
        }
        contacts = {"results": [{"id": ref.record_id, "properties": {}} for ref in (DANA, OTHER)]}
        vendor.answer(reply(200, contacts), self.associated((DANA, None), numErrors=1, errors=[none]))
        results = await hubspot.read([DANA, OTHER], ["email", "@company"])
        assert [results[ref].properties["@company"] for ref in (DANA, OTHER)] == ["7654321", None]
        read, asked = vendor.requests
        assert read.json["properties"] == ["email"]
        assert (asked.path, asked.json) == (
            self.OF_RECORDS, {"inputs": [{"id": DANA.record_id}, {"id": OTHER.record_id}]},
        )  # fmt: skip

    @pytest.mark.parametrize(
        ("to", "company"),
        [
            ([{"toObjectId": 5}, {"toObjectId": "6", "associationTypes": [{"label": "Primary"}]}], "6"),
            ([{"toObjectId": 5}, {"toObjectId": 6}], "5"),
            ([{"toObjectId": "1/2"}, {"x": 1}, "x", {"toObjectId": 6, "associationTypes": "x"}], "6"),
            ("x", None),
        ],
    )
    async def test_of_several_companies_the_primary_one_counts(self, hubspot, vendor, to, company):
        vendor.answer(reply(200, {"results": [{"id": DANA.record_id, "properties": {}}]}), self.associated((DANA, to)))
        record = (await hubspot.read([DANA], ["@company"]))[DANA]
        assert record.properties["@company"] == company

    async def test_without_an_answer_for_all_of_them_the_read_fails(self, hubspot, vendor):
        contacts = reply(200, {"results": [{"id": DANA.record_id, "properties": {}}]})
        vendor.answer(contacts, self.associated(errors=[{"category": "RATE_LIMITS", "context": {}}]))
        with pytest.raises(CrmError) as caught:
            await hubspot.read([DANA], ["@company"])
        assert (caught.value.reason, caught.value.transient) == ("throttled", True)

    async def test_without_the_right_to_read_associations_contacts_have_none(self, hubspot, vendor):
        contacts = reply(200, {"results": [{"id": DANA.record_id, "properties": {"email": "a@b.example"}}]})
        vendor.answer(contacts, reply(403, {"category": "MISSING_SCOPES", "message": "no"}))
        record = (await hubspot.read([DANA], ["email", "@company"]))[DANA]
        assert record.properties == {"email": "a@b.example", "@company": None}

    async def test_documented_write(self, hubspot, vendor):
        vendor.answer(reply(200, {"status": "COMPLETE", "results": []}), reply(201, {"labels": ["Primary"]}))
        assert await hubspot.write([RecordUpdate(DANA, {"@company": "7654321"})]) == {DANA: None}
        base = f"/crm/v4/objects/contacts/{DANA.record_id}/associations"
        assert [(seen.method, seen.path) for seen in vendor.requests] == [
            ("PUT", f"{base}/default/companies/7654321"),
            ("PUT", f"{base}/companies/7654321"),
        ]
        assert vendor.requests[1].json == [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 1}]

    async def test_a_company_that_can_be_none_is_never_sent(self, hubspot, vendor):
        results = await hubspot.write([RecordUpdate(DANA, {"@company": "1/../2"})])
        assert (results[DANA].reason, vendor.requests) == ("invalid_id", [])

    async def test_when_hubspot_stops_answering_the_fields_stay_written(self, hubspot, vendor):
        fields = reply(200, {"status": "COMPLETE", "results": [{"id": DANA.record_id}, {"id": OTHER.record_id}]})
        vendor.answer(fields, reply(503))
        updates = [RecordUpdate(DANA, {"jobtitle": "CEO", "@company": "1"}), RecordUpdate(OTHER, {"jobtitle": "CTO"})]
        results = await hubspot.write(updates)
        assert (results[DANA].reason, results[DANA].transient, results[OTHER]) == ("unavailable", True, None)


class TestFinding:
    async def test_contacts_are_read_by_their_addresses(self, hubspot, vendor):
        vendor.answer(reply(200, sample("hubspot-crm-batch-read-response")))
        asked = ["Dana.Reyes@northwind-parts.com", "who@else.example"]
        found = await hubspot.find(Search("contact", "email", ("email",)), asked, ["firstname"])
        assert {value: [record.ref for record in records] for value, records in found.items()} == {asked[0]: [DANA]}
        [seen] = vendor.requests
        assert seen.path == "/crm/v3/objects/contacts/batch/read"
        assert seen.json == {
            "properties": ["email", "firstname"], "propertiesWithHistory": [], "idProperty": "email",
            "inputs": [{"id": value} for value in asked],
        }  # fmt: skip

    async def test_documented_search(self, hubspot, vendor):
        documented = json.loads(sample("hubspot-crm-search-response"))
        last = {"total": 1, "results": [{"id": "9", "properties": {"domain": "www.acme.com"}}]}
        vendor.answer(reply(200, documented), reply(200, last))
        found = await hubspot.find(Search("company", "domain", ("domain",)), ["acme.com", "beta.com"], ["name"])
        assert [record.ref.record_id for record in found["acme.com"]] == ["9"]
        first, second = (seen.json for seen in vendor.requests)
        assert vendor.requests[0].path == "/crm/v3/objects/companies/search"
        assert set(first) == set(json.loads(sample("hubspot-crm-search-request")))
        [group] = first["filterGroups"]
        assert group["filters"] == [
            {
                "propertyName": "domain", "operator": "IN",
                "values": ["acme.com", "www.acme.com", "beta.com", "www.beta.com"],
            }
        ]  # fmt: skip
        assert (first["after"], second["after"]) == ("0", documented["paging"]["next"]["after"])

    async def test_numbers_are_searched_for_in_all_their_forms(self, hubspot, vendor):
        vendor.answer(reply(200, {"results": []}))
        search = Search("contact", "phone", ("phone", "mobilephone"))
        assert await hubspot.find(search, ["+14155550132"], []) == {}
        filters = {
            f["propertyName"]: f["values"] for g in vendor.requests[0].json["filterGroups"] for f in g["filters"]
        }
        assert {"+14155550132", "(415) 555-0132", "4155550132"} <= set(filters["phone"])
        assert filters["hs_searchable_calculated_phone_number"] == ["4155550132"]

    async def test_searches_stay_within_the_documented_limits(self, hubspot, vendor):
        vendor.answer(reply(200, {"results": []}))
        domains = [f"a-rather-long-domain-of-company-{number}.example" for number in range(300)]
        await hubspot.find(Search("company", "domain", ("domain",)), domains, [f"property_{n}" for n in range(40)])
        assert max(len(seen.body) for seen in vendor.requests) <= 3_000
        assert len(vendor.requests) < 40

    COMPANIES = Search("company", "domain", ("domain",))
    BUSY = staticmethod(reply(429, {"policyName": "SECONDLY", "message": "You have reached your secondly limit."}))

    async def test_searches_keep_their_distance_and_the_first_one_goes_at_once(self, hubspot, vendor, clock):
        vendor.answer(reply(200, {"results": []}))
        begun = clock.monotonic()
        await hubspot.find(self.COMPANIES, ["acme.com"], [])
        assert clock.slept == []
        await hubspot.find(self.COMPANIES, [f"a-rather-long-domain-number-{n}.example" for n in range(200)], [])
        assert len(vendor.requests) > 5
        assert clock.monotonic() - begun == pytest.approx((len(vendor.requests) - 1) / 4)

    async def test_where_others_have_used_up_the_second_the_next_one_is_waited_for(self, hubspot, vendor, clock):
        found = {"results": [{"id": "9", "properties": {"domain": "acme.com"}}]}
        vendor.answer(self.BUSY, self.BUSY, reply(200, found))
        assert [*await hubspot.find(self.COMPANIES, ["acme.com"], [])] == ["acme.com"]
        assert clock.slept == [1, 1]

    async def test_that_is_not_waited_for_for_ever(self, hubspot, vendor):
        vendor.answer(self.BUSY)
        with pytest.raises(CrmError) as caught:
            await hubspot.find(self.COMPANIES, ["acme.com"], [])
        assert (caught.value.reason, caught.value.transient, len(vendor.requests)) == ("throttled", True, 4)

    async def test_the_limit_of_ten_seconds_is_not_waited_for(self, hubspot, vendor):
        vendor.answer(reply(429, {"policyName": "TEN_SECONDLY_ROLLING"}))
        with pytest.raises(CrmError):
            await hubspot.find(self.COMPANIES, ["acme.com"], [])
        assert len(vendor.requests) == 1

    async def test_a_property_that_hubspot_does_not_know_is_said(self, hubspot, vendor):
        vendor.answer(reply(400, sample("hubspot-error-validation")))
        with pytest.raises(CrmError) as caught:
            await hubspot.find(Search("company", "domain", ("nope",)), ["acme.com"], [])
        assert (caught.value.reason, caught.value.transient) == ("bad_request", False)
