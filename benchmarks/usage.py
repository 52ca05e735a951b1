"""Processor time and memory of a tree of processes, the ended ones included.

Processor time is utime + stime of every living process of the tree, plus its cutime + cstime: what its ended children
used, counted by the kernel once the parent has waited for them. Dagster's code server is the parent of all runs, so
its children's time is the runs' time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import psutil

ENDED_RUNS = "runs that ended"
_ROLES = {
    "gateway": "enrichment_dagster.gateway.main",
    "webserver": "dagster_webserver",
    "daemon": "dagster._daemon",
    "code server": "dagster api grpc",
    "sandbox": "enrichment_dagster.sandbox",
    "supervisor": "enrichment_dagster.cli",
    "supervisor's guardian": "enrichment_dagster.supervise.guardian",
    "run": "multiprocessing.spawn",
    "helper of multiprocessing": "multiprocessing.resource_tracker",
}


def role_of(command_line: Iterable[str]) -> str:
    """Return what a process is, from its command line."""
    words = " ".join(command_line)
    return next((role for role, mark in _ROLES.items() if mark in words), "other")


def tree(pid: int) -> list[psutil.Process]:
    """Return a process and all that descend from it."""
    root = psutil.Process(pid)
    return [root, *root.children(recursive=True)]


def cpu_seconds(pid: int) -> dict[str, float]:
    """Return the processor seconds of a tree since its start, by role."""
    found: dict[str, float] = {}
    for process in tree(pid):
        try:
            times, role = process.cpu_times(), _role(process)
        except psutil.NoSuchProcess:
            continue
        ended_role = ENDED_RUNS if role == "code server" else role
        found[role] = found.get(role, 0.0) + times.user + times.system
        found[ended_role] = found.get(ended_role, 0.0) + times.children_user + times.children_system
    return found


def _role(process: psutil.Process) -> str:
    try:
        return role_of(process.cmdline())
    except psutil.ZombieProcess:  # ended, and not yet waited for
        return ENDED_RUNS


def runs_alive(pid: int) -> bool:
    """Say whether a run's process is there, or has ended and not been waited for."""
    for process in tree(pid):
        try:
            if _role(process) in ("run", ENDED_RUNS):
                return True
        except psutil.NoSuchProcess:
            continue
    return False


def cpu_between(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """Return the processor seconds by role that were used between two looks, most first."""
    used = {role: round(seconds - before.get(role, 0.0), 3) for role, seconds in after.items()}
    return dict(sorted(used.items(), key=lambda item: -item[1]))


def memory_mb(pid: int) -> dict[str, dict[str, float]]:
    """Return resident and proportional memory by role, in MB; pages that processes share count once in the latter."""
    found: dict[str, dict[str, float]] = {}
    for process in tree(pid):
        try:
            info, role = process.memory_full_info(), _role(process)
        except psutil.NoSuchProcess:
            continue
        entry = found.setdefault(role, {"rss": 0.0, "pss": 0.0})
        entry["rss"] = round(entry["rss"] + info.rss / 1e6, 1)
        entry["pss"] = round(entry["pss"] + info.pss / 1e6, 1)
    return found
