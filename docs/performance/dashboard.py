"""Publishes the dashboard of asv: measurements of commits from the whole history, kept in docs/performance/history."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
HISTORY = Path(__file__).with_name("history")
LINK = (
    'The <a href="dashboard/index.html">dashboard</a> of asv has every point and its commit. Like all pages of asv it\n'
    "loads scripts from public servers.\n"
)
NONE = "This site was built from files without a history of commits, which the dashboard of asv needs.\n"


def measured() -> list[dict[str, Any]]:
    """Results of the commits that have been measured, from the oldest."""
    found = [json.loads(path.read_text()) for path in HISTORY.glob("*/*-*.json")]
    return sorted(found, key=lambda commit: commit["date"])


@functools.cache
def in_history() -> bool:
    """Whether these files are a checkout whose history has all measured commits."""
    names = "\n".join(f"{commit['commit_hash']}^{{commit}}" for commit in measured())
    try:
        found = subprocess.run(
            ["git", "cat-file", "--batch-check"], input=names, cwd=ROOT, text=True, capture_output=True
        )
    except FileNotFoundError:
        return False
    return found.returncode == 0 and "missing" not in found.stdout


def publish(folder: Path) -> None:
    """Write the dashboard into a folder.

    Raises
    ------
    RuntimeError
        If asv has not published all commits.
    """
    asv = [sys.executable, "-m", "asv", "--config", "history.conf.json"]
    command = [*asv, "publish", "--no-pull", "--html-dir", str(folder.resolve())]
    run = subprocess.run(command, cwd=ROOT / "asv_benchmarks", text=True, capture_output=True)
    if run.returncode or not (folder / "index.json").exists():
        raise RuntimeError(f"asv publish failed:\n{run.stdout}{run.stderr}")
