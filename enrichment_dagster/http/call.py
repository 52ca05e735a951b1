"""One call as a value. Its secrets stay wrapped until the request is built, so that no log or traceback shows them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any
from urllib.parse import quote_plus, urlencode

import httpx
import orjson
from pydantic import SecretStr

from enrichment_dagster.http.egress import Origin

Text = str | SecretStr
"""A header, parameter or form value."""

NO_TEXTS: Mapping[str, Text] = MappingProxyType({})
_NOWHERE = httpx.URL("https://nowhere.invalid/")
_CONNECT_SHARE = 0.9  # of the deadline; a connection later than that is of no use, and its failure is surely unsent


@dataclass(frozen=True, slots=True)
class Call:
    """What is sent, and how long its answer may take."""

    method: str
    path: str
    timeout_seconds: float
    params: Mapping[str, Text] = field(default_factory=lambda: NO_TEXTS)
    headers: Mapping[str, Text] = field(default_factory=lambda: NO_TEXTS)
    json: Any = field(default=None, repr=False)
    form: Mapping[str, Text] | None = field(default=None, repr=False)

    def build(
        self, origin: Origin, headers: Mapping[str, Text], params: Mapping[str, Text], fields: Mapping[str, Text]
    ) -> httpx.Request:
        """Return the request, with the client's own headers, parameters and fields of a JSON object.

        Raises:
            EgressRefusedError: the path leads away from the origin.
        """
        query = urlencode(revealed({**params, **self.params}))
        content, content_type = self._content(fields)
        # Given as a stream and a URL of nowhere, httpx does not look for headers and parts that nobody needs (80 us).
        request = httpx.Request(
            self.method,
            _NOWHERE,
            headers=revealed({**headers, **content_type, **self.headers}),
            stream=httpx.ByteStream(content),
            extensions={"timeout": {"pool": self.timeout_seconds * _CONNECT_SHARE}},
        )
        request.url = origin.url(self.path, query)
        request.read()
        return request

    def secrets(self) -> Iterator[str]:
        """Return every secret that this call carries."""
        return secret_texts(self.params, self.headers, self.form or NO_TEXTS)

    def _content(self, fields: Mapping[str, Text]) -> tuple[bytes, Mapping[str, str]]:
        if self.form is not None:
            return urlencode(revealed(self.form)).encode(), {"content-type": "application/x-www-form-urlencoded"}
        if self.json is not None:
            content = {**revealed(fields), **self.json} if isinstance(self.json, dict) else self.json
            return orjson.dumps(content), {"content-type": "application/json"}
        return b"", {}


def revealed(values: Mapping[str, Text]) -> dict[str, str]:
    """Return the values as they go over the wire."""
    return {k: v.get_secret_value() if isinstance(v, SecretStr) else v for k, v in values.items()}


def secret_texts(*groups: Mapping[str, Text]) -> Iterator[str]:
    """Return every secret in the groups, also as it stands in a URL, and the token alone of each ``Bearer <token>``."""
    for value in (value for group in groups for value in group.values() if isinstance(value, SecretStr)):
        secret = value.get_secret_value()
        yield from (secret, quote_plus(secret), secret.rpartition(" ")[2])
