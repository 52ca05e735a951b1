"""The supervisor's end of the guardian (see ``guardian``): starts it, tells it what to end if we die."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Collection
from contextlib import suppress

_STOP_SECONDS = 5.0


class Guard:
    """A guardian process; started anew when it falls."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._told: set[int] = set()

    def start(self) -> None:
        """Start the guardian; it knows of nothing yet."""
        self._told.clear()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "enrichment_dagster.supervise.guardian"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # what ends our group must not end the guardian first
        )

    def protect(self, groups: Collection[int]) -> None:
        """Have these process groups end with us. To be called again and again: a new guardian is told all of them."""
        if self._process is None or self._process.poll() is not None:
            self._drop()
            self.start()
        new = set(groups) - self._told
        if new and self._process is not None and self._process.stdin is not None:
            with suppress(BrokenPipeError):  # it fell just now: the next call starts another
                self._process.stdin.write(b"".join(b"%d\n" % group for group in sorted(new)))
                self._process.stdin.flush()
                self._told |= new

    @property
    def pid(self) -> int:
        """Return the guardian's process id, 0 when there is none."""
        return self._process.pid if self._process is not None else 0

    def abandon(self) -> None:
        """Close the pipe, as the kernel does when we die: the guardian ends everything that it guards."""
        self._drop()

    def stop(self) -> None:
        """Let it go: everything that it guarded has ended."""
        if self._process is not None:
            self._process.terminate()
            self._drop()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_STOP_SECONDS)
            self._process = None

    def _drop(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.close()
