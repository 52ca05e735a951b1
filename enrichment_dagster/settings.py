"""Settings: ``enrichment.yaml`` plus the environment, read once, checked as a whole.

Environment: ``ENRICHMENT_CONFIG`` (path of the file, default ``enrichment.yaml``), ``ENRICHMENT_HOME`` (where stores
live, default ``.enrichment``), ``ENRICHMENT_STORE_URL`` (a Postgres URL instead of SQLite files),
``ENRICHMENT_CATALOG_URL`` (the same for the warehouse's catalog), ``ENRICHMENT_PUBLIC_URL`` (overrides where senders
reach the gateway), ``ENRICHMENT_LOCAL_CALLBACKS`` (``1``: callers may name callback URLs on this machine),
``<PROVIDER>_BASE_URL`` and the secrets that the file names.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from pydantic import SecretStr, ValidationError

from enrichment_dagster.domain.config import EnrichmentConfig
from enrichment_dagster.domain.config_checks import Problem
from enrichment_dagster.errors import ConfigurationError

CONFIG_VARIABLE = "ENRICHMENT_CONFIG"
HOME_VARIABLE = "ENRICHMENT_HOME"
STORE_URL_VARIABLE = "ENRICHMENT_STORE_URL"
CATALOG_URL_VARIABLE = "ENRICHMENT_CATALOG_URL"
PUBLIC_URL_VARIABLE = "ENRICHMENT_PUBLIC_URL"
LOCAL_CALLBACKS_VARIABLE = "ENRICHMENT_LOCAL_CALLBACKS"

# Every run of Dagster and every command reads the file; without the C library that alone takes it 0.1 s.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that the composition roots need. ``secret`` reads a secret by its variable's name."""

    config: EnrichmentConfig
    home: Path
    config_path: Path
    environment: Mapping[str, SecretStr] = field(default_factory=dict, repr=False)

    def secret(self, name: str) -> SecretStr | None:
        """Return the secret in this variable, or None where it is unset or blank."""
        return self.environment.get(name)

    def base_url(self, system: str, configured: Any) -> str:
        """Return where a provider or CRM is reached, without a trailing slash."""
        override = self.secret(f"{system.upper()}_BASE_URL")
        return (override.get_secret_value() if override else str(configured)).rstrip("/")

    @property
    def store_url(self) -> str | None:
        """Return the URL of a Postgres operational store, or None for the SQLite files under ``home``."""
        url = self.secret(STORE_URL_VARIABLE)
        return url.get_secret_value() if url else None

    @property
    def catalog_url(self) -> str | None:
        """Return the URL of a Postgres warehouse catalog, or None for the SQLite file under ``home``."""
        url = self.secret(CATALOG_URL_VARIABLE)
        return url.get_secret_value() if url else None

    def public_url(self, path: str, configured: Any) -> str:
        """Return the URL under which a sender calls ``path``: it is part of what some senders sign."""
        override = self.secret(PUBLIC_URL_VARIABLE)
        return f"{override.get_secret_value().rstrip('/')}{path}" if override else str(configured)

    @property
    def gateway_url(self) -> str:
        """Return where the outside reaches the gateway, without a trailing slash; empty where nobody says."""
        override, hubspot = self.secret(PUBLIC_URL_VARIABLE), self.config.intake.hubspot
        if override:
            return override.get_secret_value().rstrip("/")
        if hubspot:
            parts = urlsplit(str(hubspot.public_url))
            return f"{parts.scheme}://{parts.netloc}"
        return ""

    def callback_url(self, provider: str, token: str) -> str:
        """Return the URL under which a provider answers later; empty where nobody outside can reach the gateway."""
        return f"{self.gateway_url}/callbacks/{provider}/{token}" if self.gateway_url else ""

    @property
    def local_callbacks(self) -> bool:
        """Say whether callers may name callback URLs on this machine, unencrypted: for trying out only."""
        found = self.secret(LOCAL_CALLBACKS_VARIABLE)
        return found is not None and found.get_secret_value() == "1"

    @property
    def journal_path(self) -> Path:
        """Return the file of received events."""
        return self.home / "journal.db"

    @property
    def ops_path(self) -> Path:
        """Return the file of work, attempts, results and outbox."""
        return self.home / "ops.db"

    @property
    def catalog_path(self) -> Path:
        """Return the warehouse's catalog: what analysts open."""
        return self.home / "warehouse" / "catalog.sqlite"

    @property
    def lake_path(self) -> Path:
        """Return the folder of the warehouse's Parquet files."""
        return self.home / "warehouse" / "data"

    @property
    def dagster_home(self) -> Path:
        """Return Dagster's own storage."""
        return self.home / "dagster"

    @property
    def log_path(self) -> Path:
        """Return the folder of the processes' logs."""
        return self.home / "logs"


Check = Callable[[Any], Iterable[Problem]]
"""Finds what else is wrong with the file, which comes as it stands there."""


def _nothing_else(_raw: Any) -> Iterable[Problem]:
    return ()


def load_settings(environ: Mapping[str, str] | None = None, check: Check = _nothing_else) -> Settings:
    """Read the configuration file and the environment. ``check`` looks for more than the file's own form tells.

    Raises:
        ConfigurationError: the file is missing or wrong; lists every problem.
    """
    env = os.environ if environ is None else environ
    path = Path(env.get(CONFIG_VARIABLE) or "enrichment.yaml").resolve()
    home = Path(env.get(HOME_VARIABLE) or ".enrichment").resolve()
    secrets = {name: SecretStr(value) for name, value in env.items() if value.strip()}
    return Settings(config=parse_config(_read(path), check), home=home, config_path=path, environment=secrets)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(
            [f"{path}: can't be read ({error.strerror}); set {CONFIG_VARIABLE} to your enrichment.yaml"]
        ) from error


@lru_cache(maxsize=8)  # it is frozen: whoever reads the same text may share it
def parse_config(text: str, check: Check = _nothing_else) -> EnrichmentConfig:
    """Parse and check the text of an ``enrichment.yaml``.

    Raises:
        ConfigurationError: lists every problem in the file's order, each with the place and the line.
    """
    try:
        root = yaml.compose(text, _Loader)
        raw = yaml.load(text, _Loader)  # noqa: S506 - it is a safe one
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {min(mark.line, text.count(chr(10))) + 1}: " if mark else ""  # the end is on no line
        raise ConfigurationError([f"{where}not YAML: {getattr(error, 'problem', error)}"]) from error
    lines, problems = _lines(root)
    problems += [_problem(place, message, lines) for place, message in check(raw)]
    try:
        config = EnrichmentConfig.model_validate(raw)
    except ValidationError as error:
        problems += [_problem(item["loc"], item["msg"], lines) for item in error.errors()]
    if problems:
        told = dict.fromkeys(sorted(problems, key=lambda problem: problem[0]))
        raise ConfigurationError([f"line {line}: {text}" if line < _NO_LINE else text for line, text in told])
    return config


_NO_LINE = 10**9


def _problem(location: Sequence[int | str], message: str, lines: Mapping[tuple[str, ...], int]) -> tuple[int, str]:
    """Return the line of a problem, as far as there is one, and its text."""
    place = tuple(str(part) for part in location)
    line = next((lines[place[:n]] for n in range(len(place), 0, -1) if place[:n] in lines), _NO_LINE)
    return line, f"{'.'.join(place) or 'enrichment.yaml'}: {message}"


def _lines(root: yaml.Node | None) -> tuple[dict[tuple[str, ...], int], list[tuple[int, str]]]:
    """Return the line of every key and list entry in the file, and the keys that stand there twice."""
    found: dict[tuple[str, ...], int] = {}
    twice: list[tuple[int, str]] = []

    def walk(node: yaml.Node, place: tuple[str, ...]) -> None:
        found.setdefault(place, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            keys = set()
            for key, value in node.value:
                here, line = (*place, str(key.value)), key.start_mark.line + 1
                if here in keys:  # YAML would silently take the last one
                    twice.append((line, f"{'.'.join(here)}: stands here for the second time"))
                keys.add(here)
                found[here] = line
                walk(value, here)
        elif isinstance(node, yaml.SequenceNode):
            for index, value in enumerate(node.value):
                walk(value, (*place, str(index)))

    if root is not None:
        walk(root, ())
    return found, twice


def missing_secrets(settings: Settings) -> list[str]:
    """Return, in words, every secret that the configuration names and the environment lacks."""
    config = settings.config
    names: dict[str, str] = {p.api_key_env: f"providers.{n}" for n, p in config.providers.items() if p.enabled}
    if config.crm.hubspot:
        names[config.crm.hubspot.access_token_env] = "crm.hubspot"
    if config.crm.salesforce:
        names[config.crm.salesforce.client_id_env] = "crm.salesforce"
        names[config.crm.salesforce.client_secret_env] = "crm.salesforce"
    for name, sender in config.intake.senders.items():
        if sender.enabled is True:
            names.setdefault(sender.secret_names[0], f"intake.{name}")
    if config.intake.enrich:
        callers = config.intake.enrich.callers
        names.update({caller.api_key_envs[0]: f"intake.enrich.callers.{name}" for name, caller in callers.items()})
    return [
        f"set the environment variable {name} ({place} needs it)"
        for name, place in names.items()
        if settings.secret(name) is None
    ]


def waiting_senders(settings: Settings) -> dict[str, str]:
    """Return the senders with ``enabled: auto`` that are not served, each with the variable that it waits for."""
    return {
        name: sender.secret_names[0]
        for name, sender in settings.config.intake.senders.items()
        if sender.enabled == "auto" and not any(settings.secret(variable) for variable in sender.secret_names)
    }
