"""The shipped configuration with one provider left, enabled and led to a loopback vendor."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from support.remote import CONFIG, assert_nothing_secret, told

from enrichment_dagster.domain.config import ProviderConfig
from enrichment_dagster.errors import ProviderError
from enrichment_dagster.ports import Answer
from enrichment_dagster.settings import Settings, load_settings

ONE_KEY = "sandbox-key-of-one-4720"
REFUSALS = {
    401: ("unauthorized", False), 402: ("out_of_credits", False), 403: ("forbidden", False),
    422: ("invalid_request", False), 429: ("throttled", True), 451: ("restricted", False),
}  # fmt: skip


def with_provider(name: str, url: str, **changes: Any) -> Settings:
    """``changes`` replace parts of the provider's entry in the file."""
    environment = {"ENRICHMENT_CONFIG": str(CONFIG), f"{name.upper()}_BASE_URL": url}
    settings = load_settings(environment)
    entry = settings.config.providers[name].model_dump(mode="json") if name in settings.config.providers else {}
    provider = ProviderConfig.model_validate({**entry, "enabled": True, **changes})
    return replace(
        load_settings({**environment, provider.api_key_env: f"{ONE_KEY}\n"}),
        config=settings.config.model_copy(update={"providers": {name: provider}}),
    )


def by_field(answer: Answer) -> dict[str, Any]:
    return {raw.field: raw.value for raw in answer.values}


def assert_shows_nothing(error: ProviderError, *more: str) -> None:
    assert_nothing_secret(told(error), ONE_KEY, *more)
