"""Processes that get ready one after the other and then all begin at the same moment.

As a program it is their parent: it imports a file once and forks, which costs a tenth of an interpreter for each.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Work = Callable[[Any, Callable[[], None]], Any]


def at_once(work: Work, jobs: Sequence[Any]) -> list[Any]:
    """Call ``work(job, wait)`` in a process for each job, and return the results, in the order of their ends.

    ``work`` is a function of a file that can be imported anew; it calls ``wait`` when it is ready to begin.
    """
    command = [sys.executable, __file__, work.__code__.co_filename, work.__name__, json.dumps(jobs)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as parent:
        assert parent.stdout is not None
        try:
            begun = [parent.stdout.readline() for _ in jobs]
            output, errors = parent.communicate("go\n", timeout=120)
        finally:
            parent.kill()
    assert (begun, errors) == (["ready\n"] * len(jobs), ""), errors
    return [json.loads(line) for line in output.splitlines()]


def main() -> None:
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(sys.argv[1]).parent)]
    work = _function(sys.argv[1], sys.argv[2])
    gate, opener = os.pipe()

    def wait() -> None:
        os.write(1, b"ready\n")  # in one piece: all processes share the pipe
        os.read(gate, 1)  # until the parent closes its end

    children = []
    for job in json.loads(sys.argv[3]):
        children.append(os.fork())
        if children[-1] == 0:
            os.close(opener)
            os._exit(_do(work, job, wait))
    sys.stdin.readline()
    os.close(opener)
    for child in children:
        os.waitpid(child, 0)


def _function(file: str, name: str) -> Work:
    spec = importlib.util.spec_from_file_location(Path(file).stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Work = getattr(module, name)
    return found


def _do(work: Work, job: Any, wait: Callable[[], None]) -> int:
    try:
        os.write(1, f"{json.dumps(work(job, wait))}\n".encode())
    except BaseException:  # noqa: BLE001 - a child must not go on as its parent
        os.write(2, traceback.format_exc().encode())
        return 1
    return 0


if __name__ == "__main__":
    main()
