"""Who may call the API: keys compared in constant time, and what signs the answers that are posted later."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from enrichment_dagster.domain.config import EnrichApiConfig
from enrichment_dagster.errors import ConfigurationError, SignatureError
from enrichment_dagster.http.standard_webhooks import read_secret
from enrichment_dagster.settings import Settings

_BEARER = "bearer "


@dataclass(frozen=True, slots=True)
class Caller:
    """One caller. ``callback_key`` None: its answers can't be signed, so none are posted."""

    name: str
    callback_key: bytes | None = field(default=None, repr=False)


class Callers:
    """All callers by their keys, of which only hashes are kept."""

    def __init__(self, keys: Sequence[tuple[str, Caller]]) -> None:
        self._keys = tuple((_digest(key.encode()), caller) for key, caller in keys)
        self._by_name = {caller.name: caller for _, caller in keys}

    def identify(self, headers: Mapping[str, str]) -> Caller:
        """Return who calls, by ``Authorization: Bearer`` or ``X-API-Key``.

        Raises:
            SignatureError: no key, or none of ours; the answer does not say which.
        """
        bearer = headers.get("authorization", "")
        given = bearer[len(_BEARER) :] if bearer.lower().startswith(_BEARER) else headers.get("x-api-key", "")
        digest = _digest(given.strip().encode("latin-1", "replace"))
        found = [caller for key, caller in self._keys if hmac.compare_digest(key, digest)]  # all of them, always
        if not found:
            raise SignatureError("unauthorized", "send a valid key as 'Authorization: Bearer ...' or 'X-API-Key: ...'")
        return found[0]

    def named(self, name: str) -> Caller | None:
        """Return a caller by its name in the configuration."""
        return self._by_name.get(name)


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


def build_callers(settings: Settings, config: EnrichApiConfig) -> Callers:
    """Read the keys of all callers.

    Raises:
        ConfigurationError: a caller without a key, two with the same, or a secret that is none; lists all of them.
    """
    keys, problems = dict[str, Caller](), list[str]()
    for name, caller_config in config.callers.items():
        place = f"intake.enrich.callers.{name}"
        caller = Caller(name, _callback_key(settings, caller_config.callback_secret_env, place, problems))
        names = caller_config.api_key_envs
        found = [secret.get_secret_value().strip() for env in names if (secret := settings.secret(env))]
        if not found:
            problems.append(f"set the environment variable {' or '.join(names)} ({place} needs it)")
        if any(keys.get(key, caller) is not caller for key in found):
            problems.append(f"{place}: has the key of another caller; give each one of its own")
        keys.update(dict.fromkeys(found, caller))
    if problems:
        raise ConfigurationError(problems)
    return Callers(list(keys.items()))


def _callback_key(settings: Settings, name: str | None, place: str, problems: list[str]) -> bytes | None:
    secret = settings.secret(name) if name else None
    if secret is None:
        return None
    try:
        return read_secret(secret.get_secret_value().strip())
    except ValueError as error:
        problems.append(f"{name}: {error} ({place} signs its callbacks with it)")
        return None
