"""The gateway's wiring of late answers: with the lookups of every provider that has its key."""

from __future__ import annotations

import pytest
from support.clock import ManualClock
from support.empty_stores import put_empty_stores
from support.environment import SANDBOX_KEYS

from enrichment_dagster.composition import open_stores
from enrichment_dagster.engine.late import CallbackResult
from enrichment_dagster.gateway.services import open_late_answers


@pytest.fixture
def service(make_settings):
    opened = []

    def build(**environment):
        settings = make_settings(**environment)
        put_empty_stores(settings.home)
        stores = open_stores(settings, ManualClock())
        opened.append((stores, open_late_answers(settings, stores)))
        return opened[-1][1]

    yield build
    for stores, late in opened:
        late.close()
        stores.close()


async def test_it_knows_every_lookup_that_can_be_asked_and_answers(service):
    late = service()
    assert late.lookups == 2
    assert await late.answers.standing("forged", "apollo") is CallbackResult.UNKNOWN
    assert (await late.answers.poll_due(10), await late.answers.expire()) == (0, 0)
    await late.aclose()


def test_a_provider_without_its_key_does_not_keep_the_others_away(service):
    assert "APOLLO_API_KEY" in SANDBOX_KEYS
    assert service(APOLLO_API_KEY="").lookups == 1
    assert service(APOLLO_API_KEY="", CLEARBIT_API_KEY="").lookups == 0
