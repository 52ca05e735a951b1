"""Ends what a supervisor leaves behind when it dies without a word (kill -9, out of memory): nothing keeps a port.

A process of its own that holds one end of a pipe. The supervisor writes the process groups that it starts, one per
line; the kernel closes the pipe when the supervisor dies, however it dies. Groups, not processes: the runs that a code
server started belong to its group, also when that code server is gone.

Imports nothing but the standard library: it has to be there before anything else is.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Iterator

_LOOK_SECONDS = 2.0
_GRACE_SECONDS = 8.0
_PAUSE_SECONDS = 0.1
_CHUNK = 4_096


def group_lives(group: int) -> bool:
    """Say whether any process of the group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return False  # not one of ours: the number was given to somebody else
    return True


def end_groups(groups: set[int], grace_seconds: float = _GRACE_SECONDS) -> None:
    """Ask all processes of the groups to end, and end what is left after the grace."""
    _signal_all(groups, signal.SIGTERM)
    give_up = time.monotonic() + grace_seconds
    while at_work(groups) and time.monotonic() < give_up:
        time.sleep(_PAUSE_SECONDS)
    _signal_all(groups, signal.SIGKILL)


def at_work(groups: set[int]) -> bool:
    """Say whether any process of the groups has not ended.

    One that has ended is there until its parent takes note, and an orphan's may be slow at it (the first process of a
    container, say). Where the system has no list of processes in ``/proc``, such a one is waited for.
    """
    left = {group for group in groups if group_lives(group)}
    if not left or not os.path.isdir("/proc/self"):
        return bool(left)
    return any(group in left and state not in "ZX" for group, state in _processes())


def _processes() -> Iterator[tuple[int, str]]:
    """Yield the group and the state of every process."""
    for name in os.listdir("/proc"):
        if name.isdecimal():
            try:
                with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                    state, _parent, group = file.read().rpartition(")")[2].split()[:3]
            except OSError:  # it is gone by now
                continue
            yield int(group), state


def _signal_all(groups: set[int], number: signal.Signals) -> None:
    for group in groups:
        if group_lives(group):
            try:
                os.killpg(group, number)
            except (ProcessLookupError, PermissionError):
                continue


def watch(pipe: int) -> set[int]:
    """Read groups from the pipe until its other end is closed; returns those that still live."""
    groups: set[int] = set()
    text = b""
    while True:
        ready, _, _ = select.select([pipe], [], [], _LOOK_SECONDS)
        if ready:
            data = os.read(pipe, _CHUNK)
            if not data:
                return {group for group in groups if group_lives(group)}
            *lines, text = (text + data).split(b"\n")
            groups.update(int(line) for line in lines)
        else:  # a number that is free again must not be kept: it may become somebody else's
            groups = {group for group in groups if group_lives(group)}


def main() -> None:
    """Watch the pipe on standard input, then end what is left."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_groups(watch(sys.stdin.fileno()))


if __name__ == "__main__":
    main()
