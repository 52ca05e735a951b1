"""Which page a call of Segment's is of, and who made it.

Source: segment.com/docs, "Spec: Common fields". The page stands in ``properties`` of a page call, else in
``context.page``; the address in ``traits`` of an identify call, else in ``context.traits``, or a track call names it
as a property.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from enrichment_dagster.intake.elements import Element, child, text
from enrichment_dagster.intake.subjects import clean_email

_MAX_URL, _MAX_EMAIL = 1_000, 320


def read_page(element: Element) -> Mapping[str, Any]:
    """Return ``page``, a path without query, and ``url``; blank where the event names none."""
    here, page = child(element, "properties"), child(child(element, "context"), "page")
    url = text(here, "url", _MAX_URL) or text(page, "url", _MAX_URL)
    path = text(here, "path", _MAX_URL) or text(page, "path", _MAX_URL) or _path_of(url)
    return {"page": path.partition("?")[0].partition("#")[0], "url": url}


def read_email(element: Element, user: str) -> str:
    """Return the address of whoever made the call; blank where nobody says. Some sites use it as the user's id."""
    places = (element, "traits"), (child(element, "context"), "traits"), (element, "properties")
    said = (text(child(place, name), "email", _MAX_EMAIL) for place, name in places)
    found = next((email for email in said if "@" in email), user if "@" in user else "")
    return clean_email(found) if found else ""


def _path_of(url: str) -> str:
    try:
        return urlsplit(url).path
    except ValueError:
        return ""
