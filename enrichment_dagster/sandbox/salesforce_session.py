"""Sessions of the Salesforce emulator: who may log in, which tokens are alive."""

from secrets import token_urlsafe
from time import monotonic
from typing import Any

from enrichment_dagster.sandbox.config import SandboxConfig
from enrichment_dagster.sandbox.wire import Request, bearer, now_ms

ORGANISATION = "00D5g0000000001EAA"
USER = "0055g00000XyZabAAF"


class Sessions:
    """Issued access tokens with their age and owner."""

    def __init__(self, config: SandboxConfig) -> None:
        self._config = config
        self._opened: dict[str, tuple[str, float]] = {}

    def accepts(self, client_id: str, client_secret: str) -> bool:
        """Whether these are the client credentials of the connected app."""
        expected = (self._config.salesforce_client_id, self._config.salesforce_client_secret)
        return (client_id, client_secret) == expected

    def open(self, client_id: str, host: str) -> dict[str, Any]:
        """A new session, as the token endpoint answers it. There is no refresh token and no expires_in."""
        token = f"{ORGANISATION[:15]}!{token_urlsafe(24)}"
        self._opened[token] = (client_id, monotonic())
        return {
            "access_token": token,
            "signature": "c2FuZGJveC1zaWduYXR1cmU=",
            "token_format": "opaque",
            "instance_url": f"http://{host}/salesforce",
            "id": f"https://login.salesforce.com/id/{ORGANISATION}/{USER}",
            "token_type": "Bearer",
            "issued_at": str(now_ms()),
        }

    def valid(self, token: str) -> bool:
        """Whether the token was issued here and has not expired."""
        opened = self._opened.get(token)
        return opened is not None and monotonic() - opened[1] < self._config.salesforce_session_seconds

    def owner(self, request: Request) -> str:
        """The client id behind the request's token, or the empty string."""
        return self._opened.get(bearer(request), ("", 0.0))[0]

    def expire_all(self) -> int:
        """End every session; returns how many there were."""
        count = len(self._opened)
        self._opened.clear()
        return count
