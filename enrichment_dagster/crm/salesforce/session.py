"""The access token: asked for once, used by all calls, asked for again when Salesforce ends the session.

Source: OAuth 2.0 client credentials flow, Connect REST API quickstart. There is no refresh token and no ``expires_in``;
an ended session answers 401 INVALID_SESSION_ID. The flow works at the My Domain URL only, which is the base URL here:
``instance_url`` is the same and not followed, so that a reply can't send our token elsewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from pydantic import SecretStr

from enrichment_dagster.crm.salesforce.errors import code_of
from enrichment_dagster.errors import CrmError
from enrichment_dagster.http import Call, RemoteClient, Reply, Text

_TOKEN_PATH = "/services/oauth2/token"  # noqa: S105 - a path
Texts = Mapping[str, Text]
_NONE: Texts = MappingProxyType({})
_OK = range(200, 300)
_NO_SESSION = 401  # whatever the body says: without a new token no call of this process would succeed again
_UNAUTHORIZED = frozenset({400, 401, 403})  # the token endpoint says invalid_client with any of these


@dataclass(frozen=True, slots=True)
class Credentials:
    """The connected app's key and secret."""

    client_id: SecretStr
    client_secret: SecretStr


class SalesforceSession:
    """Makes calls with the current token."""

    def __init__(self, client: RemoteClient, credentials: Credentials, timeout_seconds: float) -> None:
        self.client = client
        self._credentials = credentials
        self._timeout_seconds = timeout_seconds
        self._token: SecretStr | None = None
        self._renewal = asyncio.Lock()

    async def call(
        self, method: str, path: str, *, params: Texts = _NONE, json: Any = None, headers: Texts = _NONE
    ) -> Reply:
        """Make a call and return its reply, whatever its status; an ended session is renewed once.

        Raises:
            CrmError: there was no reply, or no token.
        """
        token = await self._current(None)
        call = Call(method, path, self._timeout_seconds, params, headers, json)
        reply = await self.client.exchange(_signed(call, token))
        if reply.status != _NO_SESSION and code_of(reply) != "INVALID_SESSION_ID":
            return reply
        return await self.client.exchange(_signed(call, await self._current(token)))

    async def _current(self, ended: SecretStr | None) -> SecretStr:
        """Return a token other than the one that has ended; callers that come at the same time share one request."""
        if self._token is None or self._token is ended:
            async with self._renewal:
                if self._token is None or self._token is ended:
                    self._token = await self._request()
        return self._token

    async def _request(self) -> SecretStr:
        form: Texts = {
            "grant_type": "client_credentials",
            "client_id": self._credentials.client_id,
            "client_secret": self._credentials.client_secret,
        }
        reply = await self.client.exchange(Call("POST", _TOKEN_PATH, self._timeout_seconds, form=form))
        token = reply.body.get("access_token") if isinstance(reply.body, dict) else None
        if reply.status in _OK and isinstance(token, str) and token:
            return SecretStr(token)
        raise self._no_token(reply)

    def _no_token(self, reply: Reply) -> CrmError:
        if reply.status in _OK:
            return CrmError("malformed", "the token reply has no token", transient=True, http_status=reply.status)
        plain = self.client.refusal(reply)
        refused = reply.status in _UNAUTHORIZED
        return CrmError(
            "unauthorized" if refused else plain.reason,
            plain.detail,
            transient=plain.transient,
            http_status=reply.status,
            retry_after_seconds=plain.retry_after_seconds,
        )


def _signed(call: Call, token: SecretStr) -> Call:
    return replace(call, headers={**call.headers, "authorization": SecretStr(f"Bearer {token.get_secret_value()}")})
