"""Publishes the dashboard of asv: measurements of commits from the whole history, kept in docs/performance/history."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
HISTORY = Path(__file__).with_name("history")
LINK = (
    'The <a href="dashboard/index.html">dashboard</a> of asv has every point and its commit. Like all pages of asv it\n'
    "loads scripts from public servers.\n"
)
NONE = "This site was built from files without a history of commits, which the dashboard of asv needs.\n"


def commits() -> list[str]:
    """Commits that have been measured, from the oldest."""
    found = [json.loads(path.read_text()) for path in HISTORY.glob("*/*-*.json")]
    return [one["commit_hash"] for one in sorted(found, key=lambda one: one["date"])]


def in_history() -> bool:
    """Whether these files are a checkout whose history has all measured commits."""
    names = "\n".join(f"{name}^{{commit}}" for name in commits())
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
    with tempfile.TemporaryDirectory() as temporary:
        settings = {
            "version": 1,
            "project": "fastem",
            "project_url": "../index.html",
            "repo": str(ROOT),
            "branches": ["HEAD"],
            "benchmark_dir": str(ROOT / "asv_benchmarks" / "history"),
            "results_dir": str(HISTORY),
            "html_dir": str(folder),
            "env_dir": f"{temporary}/env",
        }
        path = Path(temporary) / "asv.conf.json"
        path.write_text(json.dumps(settings))
        command = [sys.executable, "-m", "asv", "--config", str(path), "publish"]
        run = subprocess.run(command, cwd=temporary, text=True, capture_output=True)
    if run.returncode or not (folder / "index.json").exists():
        raise RuntimeError(f"asv publish failed:\n{run.stdout}{run.stderr}")
