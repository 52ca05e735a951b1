"""``enrichment config``: the configuration as it takes effect."""

from __future__ import annotations

import re
from typing import Any

import click
import yaml

from enrichment_dagster.cli.command import command
from enrichment_dagster.cli.lookups import load_checked
from enrichment_dagster.cli.output import print_json
from enrichment_dagster.settings import Settings, load_settings

_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+(?=@)")
_VARIABLES = ("_env", "_envs")


@command("config", wrong_use="wrong usage, or the configuration is wrong: all problems are listed")
@click.option("--check", is_flag=True, help="Only say whether the file is right.")
def config(*, check: bool, as_json: bool) -> None:
    """Show the configuration as it takes effect: defaults, overrides and paths, without secrets.

    For each secret that it names it says whether the environment has it, never what it is.
    """
    if check:
        _say_right(load_checked(), as_json=as_json)
        return
    settings = load_settings()  # the check loads the vendors' adapters, which takes its time
    effective = build_effective(settings)
    if as_json:
        print_json(effective)
    else:
        click.echo(yaml.safe_dump(effective, sort_keys=False, allow_unicode=True, width=120), nl=False)


def _say_right(settings: Settings, *, as_json: bool) -> None:
    if as_json:
        print_json({"valid": True, "config_path": str(settings.config_path)})
    else:
        click.echo(f"{settings.config_path} is right; `enrichment doctor` checks the rest")


def build_effective(settings: Settings) -> dict[str, Any]:
    """Return the effective configuration, free of secrets."""
    written = settings.config.model_dump(mode="json")
    return {
        "config_path": str(settings.config_path),
        "home": str(settings.home),
        "store": _without_credentials(settings.store_url or f"SQLite files in {settings.home}"),
        "urls": _urls(settings),
        "secrets": {name: "set" if settings.secret(name) else "missing" for name in sorted(_variables(written))},
        "config": _masked(written),
    }


def _urls(settings: Settings) -> dict[str, str]:
    """Return where everything is reached, overrides of the environment included."""
    config, crm = settings.config, settings.config.crm
    found = {name: settings.base_url(name, provider.base_url) for name, provider in config.providers.items()}
    if crm.hubspot:
        found["hubspot"] = settings.base_url("hubspot", crm.hubspot.base_url)
    if crm.salesforce:
        found["salesforce"] = settings.base_url("salesforce", crm.salesforce.base_url)
    from enrichment_dagster.intake.registry import sender_urls

    found.update({f"{name}_webhooks": url for name, url in sender_urls(settings).items()})
    return {name: _without_credentials(url) for name, url in found.items()}


def _variables(node: Any) -> set[str]:
    """Return the environment variables that the configuration names."""
    if not isinstance(node, dict):
        return set()
    found: set[str] = set()
    for key, value in node.items():
        if key.endswith(_VARIABLES):
            found |= {value} if isinstance(value, str) else set(value)
        else:
            found |= _variables(value)
    return found


def _masked(node: Any) -> Any:
    """Mask credentials that someone wrote into a URL."""
    if isinstance(node, dict):
        return {key: _masked(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_masked(value) for value in node]
    return _without_credentials(node) if isinstance(node, str) else node


def _without_credentials(text: str) -> str:
    return _CREDENTIALS.sub("***", text)
