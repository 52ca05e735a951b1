"""What must not be read in logs: e-mail addresses, phone numbers, credentials, and the secrets of this installation."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from enrichment_dagster.settings import Settings

MASK = "***"
_MIN_SECRET = 6  # masking a shorter text would make lines unreadable and hide nothing
_SECRET_VARIABLE = re.compile(r"SECRET|TOKEN|API_KEY|PASSWORD|CLIENT_ID|ROUTING_KEY|WEBHOOK_URL|STORE_URL|CATALOG_URL")

_PERSONAL_KEYS = frozenset({"email", "phone", "first_name", "last_name", "body", "headers"})
_SECRET_KEY = re.compile(
    r"(?:^|[_-])(?:api_?key|secret|token|password|passwd|authorization|signature)(?:$|[_-])", re.IGNORECASE
)
_PATTERNS = (
    # the token of a callback URL
    (re.compile(r"(/callbacks/[^\s/\"'<>]{1,100}/)[^\s/?\"'<>]+", re.IGNORECASE), rf"\1{MASK}"),
    # user:password@ in a URL; a password may have an @ of its own
    (re.compile(r"(?<=://)[^\s/@:]{1,100}:[^\s/]{1,200}(?=@)"), MASK),
    # keys that are known by their form: of webhooks, of OpenAI and its like
    (re.compile(r"\b(?:whsec_|sk-)[\w+/=-]{16,}"), MASK),
    (
        re.compile(r"[^\s@*<>\"'`,;:=()\[\]{}/\\|%&?]{1,64}(?:@|%40)[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}", re.IGNORECASE),
        MASK,
    ),
    (re.compile(r"\b(bearer|basic)\s+[\w.~+/=-]{6,}", re.IGNORECASE), rf"\1 {MASK}"),
    (
        re.compile(
            r"((?:api[_-]?key|access[_-]?token|refresh[_-]?token|client[_-]?secret|\btoken|\bsecret|password|passwd"
            r"|authorization|signature)\\{0,3}[\"']?\s{0,3}[=:]\s{0,3}(?:[bB]?\\{0,3}[\"'])?)(?!bearer\b|basic\b|\*)[^\s\"'&,;}\])]+",
            re.IGNORECASE,
        ),
        rf"\1{MASK}",
    ),
    # International numbers, and national ones with their usual separators; bare digits are ids and timestamps.
    (re.compile(r"(?<![\w+])\+\d(?:[ ().-]{0,2}\d){6,14}(?!\d)"), MASK),
    (re.compile(r"(?<![\w.-])(?:\(\d{3}\) ?|\d{3}[-. ])\d{3}[-. ]\d{4}(?![\w-])"), MASK),
)


class Masker:
    """Masks e-mail addresses, phone numbers, credentials and known secrets in whatever is logged."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        texts = {form for secret in secrets if len(secret) >= _MIN_SECRET for form in (secret, quote(secret, safe=""))}
        longest_first = sorted(texts, key=len, reverse=True)
        self._secrets = re.compile("|".join(map(re.escape, longest_first))) if texts else None

    def text(self, value: str) -> str:
        """Return the text with everything masked that must not be read."""
        if self._secrets is not None:
            value = self._secrets.sub(MASK, value)
        for pattern, replacement in _PATTERNS:
            value = pattern.sub(replacement, value)
        return value

    def value(self, value: Any) -> Any:
        """Return a value in loggable form, masked."""
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return self.mapping(value)
        if isinstance(value, list | tuple | set | frozenset):
            return [self.value(item) for item in value]
        return self.text(repr(value))

    def mapping(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """Return a mapping in loggable form, masked; entries with a telling name are masked whatever they hold."""
        return {self.text(str(key)): self._entry(str(key), item) for key, item in value.items()}

    def _entry(self, key: str, item: Any) -> Any:
        number = item is None or isinstance(item, bool | int | float)  # e.g. the token of a lease
        telling = key.lower() in _PERSONAL_KEYS or (not number and _SECRET_KEY.search(key))
        return MASK if item and telling else self.value(item)


def known_secrets(settings: Settings) -> list[str]:
    """Return the values of all environment variables that hold secrets: those that the configuration names, and others
    by their names.
    """
    named = set(_named_variables(settings.config.model_dump()))
    return [
        value.get_secret_value()
        for name, value in settings.environment.items()
        if name in named or _SECRET_VARIABLE.search(name)
    ]


def _named_variables(node: Any) -> Iterator[str]:
    for key, value in node.items() if isinstance(node, Mapping) else ():
        if str(key).endswith(("_env", "_envs")):
            yield from [value] if isinstance(value, str) else value or ()  # one may be left out
        else:
            yield from _named_variables(value)
