"""The installed ``enrichment`` command in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path


def run(env: Mapping[str, str], *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "enrichment"), *words]
    return subprocess.run(
        command, env={**os.environ, **env}, input=stdin, capture_output=True, text=True, timeout=60, check=False
    )
