"""Every error of the product, in one tree.

::

    EnrichmentError
    ├── ConfigurationError      the operator must change a file or an environment variable
    ├── IntakeError             a request at our door is refused
    │   ├── SignatureError          not proven to come from the sender
    │   └── PayloadError            proven, but it can't be read
    ├── RemoteError             a vendor or CRM did not do what we asked
    │   ├── ProviderError
    │   └── CrmError
    ├── LeaseLost               another worker owns this batch now
    ├── Overloaded              too much at once; come again
    └── StoreError              a store can't be used as it is (schema too old, wrong place)

Values are kept as attributes; ``reason`` is a stable code for machines.
"""

from __future__ import annotations

from collections.abc import Sequence


class EnrichmentError(Exception):
    """Base of all errors that this product raises on purpose."""


class ConfigurationError(EnrichmentError):
    """Something has to be changed first. ``problems`` lists ALL of it, each in words that say what; ``where`` it is."""

    def __init__(self, problems: Sequence[str], where: str = "in the configuration") -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        noun = "problem" if count == 1 else "problems"
        super().__init__(f"{count} {noun} {where}:\n" + "\n".join(f"  - {p}" for p in self.problems))


class IntakeError(EnrichmentError):
    """A request is refused at the door. ``reason`` is a stable code, ``status`` the HTTP answer."""

    status = 400

    def __init__(self, reason: str, detail: str) -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(f"{reason}: {detail}")


class SignatureError(IntakeError):
    """The request is not proven to come from the sender (missing, wrong, stale or future-dated signature)."""

    status = 401


class PayloadError(IntakeError):
    """The request is from the sender, but its body can't be read; the caller keeps the body."""


class RemoteError(EnrichmentError):
    """A call to a vendor or CRM failed.

    ``reason`` is a stable code (``timeout``, ``throttled``, ``unauthorized``, ``malformed`` ...), ``transient`` says
    whether a later try may succeed, ``retry_after_seconds`` is what the vendor asked for, and ``maybe_sent`` is False
    only when it is certain that the request never left this machine.
    """

    def __init__(
        self,
        reason: str,
        detail: str = "",
        *,
        transient: bool,
        http_status: int | None = None,
        retry_after_seconds: float | None = None,
        maybe_sent: bool = True,
    ) -> None:
        self.reason = reason
        self.detail = detail
        self.transient = transient
        self.http_status = http_status
        self.retry_after_seconds = retry_after_seconds
        self.maybe_sent = maybe_sent
        super().__init__(f"{reason}: {detail}" if detail else reason)


class ProviderError(RemoteError):
    """A data provider did not answer as documented."""


class CrmError(RemoteError):
    """A CRM did not read or write as asked."""


class LeaseLost(EnrichmentError):  # noqa: N818 - a state of the world, named as operators see it in logs
    """The batch was taken over by another run; this one must stop and write nothing more."""

    def __init__(self, batch_id: str) -> None:
        self.batch_id = batch_id
        super().__init__(f"batch {batch_id} is no longer leased to this run")


class Overloaded(EnrichmentError):  # noqa: N818 - a state of the world, as the HTTP answer names it
    """Too many requests are being worked on and wait; nothing was done for this one."""


class StoreError(EnrichmentError):
    """A store can't be used as it is; the message says what to do."""
