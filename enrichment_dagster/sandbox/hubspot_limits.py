"""Who may call the emulated HubSpot, and what its answers say of the limits, which all calls of a key share."""

from enrichment_dagster.sandbox.config import SandboxConfig
from enrichment_dagster.sandbox.hubspot_errors import throttled_search, unauthorized
from enrichment_dagster.sandbox.windows import FixedWindow
from enrichment_dagster.sandbox.wire import Header, Request, Response, bearer

PER_TEN_SECONDS = 190
PER_DAY = 625_000


class HubSpotLimits:
    """Counts the calls of each key. Source: HubSpot's usage guidelines, and its search guide."""

    def __init__(self, config: SandboxConfig) -> None:
        self._config = config
        self._window = FixedWindow(10)
        self._day = FixedWindow(86_400)
        self._searches = FixedWindow(1)

    def refused(self, request: Request) -> Response | None:
        """The answer to a key that this account does not know."""
        return None if self._config.accepts_key(bearer(request)) else unauthorized()

    def refused_search(self, request: Request) -> Response | None:
        """The answer to a key that searches too often. Searches count as calls too; their answers do not say so."""
        self.headers(request)
        most = self._config.searches_per_second
        return throttled_search() if self._searches.add(bearer(request)) > most else None

    def headers(self, request: Request) -> tuple[Header, ...]:
        """The rate-limit headers of all answers but those of searches."""
        key = bearer(request)
        left, left_today = PER_TEN_SECONDS - self._window.add(key), PER_DAY - self._day.add(key)
        return (
            (b"x-hubspot-ratelimit-max", b"%d" % PER_TEN_SECONDS),
            (b"x-hubspot-ratelimit-remaining", b"%d" % max(0, left)),
            (b"x-hubspot-ratelimit-interval-milliseconds", b"10000"),
            (b"x-hubspot-ratelimit-daily", b"%d" % PER_DAY),
            (b"x-hubspot-ratelimit-daily-remaining", b"%d" % max(0, left_today)),
        )
