"""The same suite for every lookup of the registry: a new vendor adds a row to the cases and has to pass."""

from dataclasses import replace

import pytest
from lookup_cases import (
    CASES,
    QUERY,
    QUOTAS,
    WAIVERS,
    answer_to,
    ask,
    by_field,
    every_lookup,
    every_lookup_but_waived,
    failure,
    key_of,
)
from support.loopback import reply
from support.remote import CONFIG, FAULTS, PERSONAL, assert_failed_as, every_fault, settings_for, timeout_for

from enrichment_dagster.domain.fields import FIELDS
from enrichment_dagster.domain.normalise import InvalidValueError, normalise
from enrichment_dagster.errors import ConfigurationError, ProviderError
from enrichment_dagster.http import RemoteClients
from enrichment_dagster.providers.registry import VENDORS, build_lookups
from enrichment_dagster.settings import parse_config


def test_every_lookup_of_the_registry_and_every_described_one_has_a_case():
    built_in = {f"{name}.{lookup}" for name, vendor in VENDORS.items() for lookup in vendor.lookups}
    shipped = parse_config(CONFIG.read_text(encoding="utf-8")).providers.items()
    described = {f"{name}.{lookup}" for name, config in shipped if config.api == "http" for lookup in config.lookups}
    assert built_in | described == set(CASES)


def test_waivers_name_lookups_and_say_why():
    for waived in WAIVERS.values():
        assert set(waived) < set(CASES)
        assert all(waived.values())


@every_lookup
async def test_terms_come_from_the_configuration(lookup, name):
    assert lookup.name == name == f"{lookup.provider}.{lookup.purpose}"
    assert lookup.gives <= set(FIELDS)
    assert lookup.price_micros > 0
    assert lookup.timeout_seconds > 0
    assert lookup.max_units >= 1


@every_lookup_but_waived("the reply holds the values")
async def test_the_documented_reply_is_read(lookup, case, vendor):
    answer = await answer_to(reply(200, case.documented), lookup, case, vendor)
    found = by_field(answer)
    assert case.expected.items() <= found.items()
    assert len(answer.values) == len(found)
    assert set(found) <= lookup.gives
    assert (answer.request_id, answer.units, answer.ids) == (case.request_id, case.units, case.ids or {})
    assert answer.units <= lookup.max_units
    assert all(0 < raw.confidence <= 1 for raw in answer.values)
    for raw in answer.values:
        assert normalise(raw.field, raw.value) is not None


@every_lookup_but_waived("a miss is an answer")
async def test_a_miss_is_an_answer(lookup, case, vendor):
    assert case.misses
    for miss in case.misses:
        assert by_field(await answer_to(miss, lookup, case, vendor)) == {}


@every_lookup_but_waived("the reply holds the values")
async def test_a_part_of_the_reply_is_enough(lookup, case, vendor):
    assert set(by_field(await answer_to(reply(200, case.partial), lookup, case, vendor))) == case.partial_fields


@every_lookup_but_waived("the reply holds the values")
async def test_values_of_wrong_types_are_passed_on_and_refused_later(lookup, case, vendor):
    answer = await answer_to(reply(200, case.wrong_types), lookup, case, vendor)
    assert set(by_field(answer)) <= lookup.gives
    for raw in answer.values:
        try:
            normalise(raw.field, raw.value)
        except InvalidValueError:
            continue


@every_lookup_but_waived("a reply that is no object is malformed")
@pytest.mark.parametrize("body", [[], ["x"], "text", 4, True, None])
async def test_a_reply_that_is_no_object_is_malformed(lookup, case, vendor, body):
    vendor.answer(reply(200, body))
    error = await failure(lookup)
    assert (error.reason, error.transient) == ("malformed", False)
    with pytest.raises(ProviderError) as caught:
        await answer_to(reply(200, body), lookup, case, vendor)
    assert (caught.value.reason, caught.value.transient) == ("malformed", False)


@every_lookup_but_waived("an error that comes with 200 is no answer")
@pytest.mark.parametrize(
    "body",
    [
        {"error": "no key"},
        {"error": {"type": "auth", "message": "no key"}, "data": None},
        {"error_code": "API_INACCESSIBLE", "error_message": "no key"},
        {"errors": [{"id": "wrong_params", "details": "no key"}]},
    ],
)
async def test_an_error_that_comes_with_200_is_no_miss(lookup, vendor, body):
    """As a miss it would be remembered for a day, and nobody would hear of it."""
    vendor.answer(reply(200, body))
    error = await failure(lookup)
    assert error.reason in {"error_in_reply", "malformed", "unauthorized"}
    assert not error.transient
    if error.reason == "error_in_reply":
        assert "no key" in error.detail


@every_lookup
async def test_a_main_part_of_another_type_is_malformed(lookup, case, vendor):
    for body in case.malformed:
        with pytest.raises(ProviderError) as caught:
            await answer_to(reply(200, body), lookup, case, vendor)
        assert (caught.value.reason, caught.value.transient) == ("malformed", False)


BROKEN_BODIES = {
    "malformed JSON", "an HTML page with 200", "slow drip", "100 MB, declared", "100 MB, not declared",
    "hangs up in the body",
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        (name, fault)
        for name in CASES
        for fault in FAULTS
        if fault not in BROKEN_BODIES or name not in WAIVERS["a broken body is a failure"]
    ],
)
async def test_faults(lookup, vendor, fault):
    vendor.answer(FAULTS[fault][0])
    error = await failure(lookup, timeout_seconds=timeout_for(fault))
    assert_failed_as(error, fault)
    assert len(vendor.requests) == 1  # the engine owns retries


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.before])
@every_fault
async def test_faults_of_the_second_call(lookup, case, vendor, fault):
    vendor.answer(*case.before, FAULTS[fault][0])
    error = await failure(lookup, timeout_seconds=timeout_for(fault))
    assert_failed_as(error, fault)
    assert len(vendor.requests) == 2


REFUSALS = {
    401: ("unauthorized", False), 402: ("out_of_credits", False), 403: ("forbidden", False),
    422: ("invalid_request", False), 429: ("throttled", True), 451: ("restricted", False),
}  # fmt: skip


@every_lookup
@pytest.mark.parametrize("status", REFUSALS)
async def test_refusals(lookup, case, vendor, status):
    vendor.answer(reply(status, f"key {key_of(lookup)} of {PERSONAL}".encode(), "text/plain"))
    error = await failure(lookup)
    assert (error.reason, error.transient) == (case.meaning or {}).get(status, REFUSALS[status])
    assert error.http_status == status


@every_lookup
async def test_the_vendor_message_is_kept_without_secrets(lookup, vendor):
    key = key_of(lookup)
    vendor.answer(reply(422, {"message": f"no credits for {PERSONAL} with {key}, see https://x.com/a?k=1"}))
    error = await failure(lookup)
    assert error.detail == "no credits for *** with ***, see https://x.com/a?***"


@every_lookup
async def test_retry_after_is_read(lookup, vendor):
    vendor.answer(reply(429, {"message": "slow down"}, retry_after="7"))
    assert (await failure(lookup)).retry_after_seconds == 7


@every_lookup_but_waived("404 means that the address is wrong")
async def test_404_means_that_the_address_is_wrong(lookup, vendor):
    vendor.answer(reply(404, b"<html>", "text/html"))
    error = await failure(lookup)
    assert (error.reason, error.transient) == ("not_found", False)


@every_lookup
async def test_a_refused_connection_is_surely_unsent(name):
    async with RemoteClients() as clients:
        lookup = build_lookups(settings_for("http://127.0.0.1:1"), clients)[name]
        error = await failure(lookup)
    assert (error.reason, error.transient, error.maybe_sent) == ("connect", True, False)


@every_lookup
async def test_an_incomplete_query_has_no_subject_and_is_not_sent(lookup, case, vendor):
    assert lookup.subject(QUERY)
    assert lookup.subject(case.empty_query) is None
    error = await failure(lookup, case.empty_query)
    assert (error.reason, error.maybe_sent) == ("incomplete_query", False)
    assert not vendor.requests


@every_lookup
async def test_keys_travel_where_the_vendor_wants_them(lookup, vendor):
    vendor.answer(reply(500))
    await failure(lookup)
    [seen] = vendor.requests
    places = {
        "apollo": seen.headers.get("x-api-key"),
        "clearbit": seen.headers.get("authorization", "").removeprefix("Bearer "),
        "zerobounce": seen.query.get("api_key"),
        "people_data_labs": seen.headers.get("x-api-key"),
        "hunter": seen.headers.get("x-api-key"),
        "ai": seen.headers.get("authorization", "").removeprefix("Bearer "),
        "clay": seen.headers.get("x-clay-webhook-auth"),
        "competitors": seen.headers.get("x-api-key"),
    }
    assert places[lookup.provider] == key_of(lookup)
    secrets = [text for text in (seen.path, *seen.query.values(), seen.body.decode()) if key_of(lookup) in text]
    assert len(secrets) == (lookup.provider == "zerobounce")


@every_lookup
async def test_what_a_lookup_does_not_offer_is_refused_without_a_call(lookup, vendor):
    if lookup.bulk_size == 1:
        with pytest.raises(ProviderError, match="no_bulk_call"):
            await lookup.fetch_many([QUERY], 3)
    if not lookup.calls_back:
        with pytest.raises(ProviderError, match="no_callback"):
            lookup.read_callback({})
    assert not vendor.requests


@every_lookup_but_waived("the reply holds the values")
async def test_the_quota_is_read_and_garbage_is_none(lookup, case, vendor):
    told, garbage = QUOTAS.get(lookup.provider, ({}, {}))
    answer = await answer_to(reply(200, case.documented, **told), lookup, case, vendor)
    assert (answer.quota is not None) == (lookup.provider in QUOTAS)
    if answer.quota is not None:
        assert answer.quota.limit > answer.quota.remaining > 500
        assert answer.quota.window_seconds == 60
    assert (await answer_to(reply(200, case.documented, **garbage), lookup, case, vendor)).quota is None


async def test_a_plus_in_an_address_survives_the_query(lookups, vendor):
    vendor.answer(reply(200, {"status": "valid"}))
    await ask(lookups["zerobounce.verification"], replace(QUERY, email="a+b%@c.example"))
    assert vendor.requests[0].query["email"] == "a+b%@c.example"


async def test_all_problems_of_the_configuration_are_told_at_once():
    settings = settings_for("http://127.0.0.1:1", APOLLO_API_KEY=" ", CLEARBIT_API_KEY=" ")
    providers = {**settings.config.providers, "nobody": settings.config.providers["apollo"]}
    settings = replace(settings, config=settings.config.model_copy(update={"providers": providers}))
    with pytest.raises(ConfigurationError) as caught:
        build_lookups(settings, RemoteClients())
    text = str(caught.value)
    assert all(
        part in text for part in ("APOLLO_API_KEY", "CLEARBIT_API_KEY", "nobody", "apollo, clearbit, zerobounce")
    )
