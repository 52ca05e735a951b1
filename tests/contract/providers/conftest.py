"""A vendor on the loopback address, and every lookup of the registry led to it."""

import pytest
from lookup_cases import CASES
from support.loopback import loopback
from support.remote import settings_for

from enrichment_dagster.http import RemoteClients
from enrichment_dagster.providers.registry import build_lookups


@pytest.fixture
async def vendor():
    async with loopback() as server:
        yield server


@pytest.fixture
async def lookups(vendor):
    async with RemoteClients() as clients:
        yield build_lookups(settings_for(vendor.url), clients)


@pytest.fixture
def lookup(lookups, name):
    return lookups[name]


@pytest.fixture
def case(name):
    return CASES[name]
