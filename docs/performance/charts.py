"""Draws results.json: charts and tables for the page on performance; as a script, the picture of README."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

RESULTS = Path(__file__).with_name("results.json")
COLOURS = {"fastem": "#0072B2", "scikit-learn": "#D55E00", "oneDAL": "#009E73"}


def _axes(height: float = 4.0, width: float = 8.0) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _label(case: dict[str, Any]) -> str:
    return f"{case['covariance_type']}\nd={case['n_features']}\nK={case['n_components']}"


def peers(results: dict[str, Any]) -> Figure:
    """Time of other libraries divided by that of fastem, for each case."""
    cases = results["peers"]["cases"]
    figure, axes = _axes(4.2, 9.0)
    for shift, library in ((-0.2, "scikit-learn"), (0.2, "oneDAL")):
        known = [(place, case) for place, case in enumerate(cases) if library in case["times"]]
        ratios = [case["times"][library] / case["times"]["fastem"] for _, case in known]
        bars = axes.bar(
            [place + shift for place, _ in known], ratios, width=0.38, color=COLOURS[library], label=library
        )
        axes.bar_label(bars, labels=[f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.1f}" for ratio in ratios], fontsize=8)
    axes.axhline(1.0, color=COLOURS["fastem"], linewidth=2, label="fastem")
    axes.set(yscale="log", ylabel="time over that of fastem", ylim=(0.8, 300))
    axes.set_xticks(range(len(cases)), [_label(case) for case in cases], fontsize=8)
    axes.legend(frameon=False, ncols=3, loc="upper right")
    return figure


def rows(results: dict[str, Any]) -> Figure:
    """Milliseconds of ten iterations by number of rows."""
    figure, axes = _axes()
    for library in ("fastem", "scikit-learn"):
        values = [(point["rows"], point[library]) for point in results["rows"]]
        axes.loglog(*zip(*values, strict=True), "o-", color=COLOURS[library], label=library)
    axes.set(xlabel="rows", ylabel="milliseconds of a fit")
    axes.legend(frameon=False)
    return figure


def start_up(results: dict[str, Any]) -> Figure:
    """Seconds until a first and a second fit have ended."""
    figure, axes = _axes(2.8)
    parts = {"import": "#9ecae1", "first fit": "#0072B2", "second fit": "#08306b"}
    runs = results["start_up"][::-1]
    names = [f"{run['library']}, {run['state']}".rstrip(", ") for run in runs]
    begins = [0.0] * len(runs)
    for part, colour in parts.items():
        widths = [run[part] for run in runs]
        axes.barh(names, widths, left=begins, color=colour, label=part)
        begins = [begin + width for begin, width in zip(begins, widths, strict=True)]
    axes.bar_label(axes.containers[-1], labels=[f"{end:.2f} s" for end in begins], padding=4)
    axes.set(xlabel="seconds of a process", xlim=(0, 1.15 * max(begins)))
    axes.legend(frameon=False, loc="lower right")
    return figure


def memory(results: dict[str, Any]) -> Figure:
    """MiB that a fit adds to the memory of a process, by number of rows."""
    figure, axes = _axes()
    for library in ("fastem", "scikit-learn"):
        values = [(point["rows"], point[library]) for point in results["memory"]]
        axes.plot(*zip(*values, strict=True), "o-", color=COLOURS[library], label=library)
    values = [(point["rows"], point["data"]) for point in results["memory"]]
    axes.plot(*zip(*values, strict=True), "--", color="#7f7f7f", label="the data themselves")
    axes.set(xscale="log", xlabel="rows", ylabel="MiB that a fit adds")
    axes.legend(frameon=False)
    return figure


def history(commits: list[dict[str, Any]]) -> Figure:
    """Times of a few benchmarks by commit, over those of the oldest."""
    figure, axes = _axes(4.6, 9.0)
    for name, label, style in (
        ("Fit.time_fit", "fit", "o-"),
        ("Fit.time_predict_proba", "predict_proba", "s:"),
        ("Process.time_import_and_fit", "a process: import, fit 150 x 4", "^--"),
    ):
        found = [commit["results"][f"history.{name}"] for commit in commits]
        shapes = found[0][1][0] if found[0][1] else [""]
        for place, shape in enumerate(shapes):
            times = np.array([result[0][place] for result in found])
            full_label = f"{label} {shape}".replace("'", "").strip()
            axes.plot(times / times[0], style, markersize=4, label=f"{full_label}: {_digits(1e3 * times[-1])} ms")
    axes.set(ylabel="time over that of the first", xlabel="commits, from the oldest")
    axes.set_ylim(bottom=0.0)
    axes.set_xticks(range(len(commits)), [commit["commit_hash"][:7] for commit in commits], rotation=60, fontsize=7)
    figure.legend(loc="outside lower center", frameon=False, fontsize=8, ncols=2)
    return figure


def _digits(number: float) -> str:
    return f"{number:.0f}" if number >= 100 else f"{number:.3g}"


def _grouped(number: int) -> str:
    return f"{number:_}".replace("_", " ")


def table_of_peers(results: dict[str, Any]) -> str:
    """Nanoseconds per row, component and iteration of all cases, as a Markdown table."""
    found = results["peers"]
    lines = [
        "| covariance | columns | rows | components | fastem | scikit-learn | oneDAL |",
        "|---|---|---|---|---|---|---|",
    ]
    for case in found["cases"]:
        times, ours = case["times"], case["times"]["fastem"]
        others = [
            f"{_digits(times[name])} ({_digits(times[name] / ours)})" if name in times else "—"
            for name in list(COLOURS)[1:]
        ]
        shape = case["n_features"], _grouped(case["n_rows"]), case["n_components"]
        lines.append(f"| {' | '.join(map(str, (case['covariance_type'], *shape, _digits(ours), *others)))} |")
    return "\n".join(lines) + f"\n\n{_machine(results)}\n"


def _machine(results: dict[str, Any]) -> str:
    found = results["peers"]
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    fits = f"medians of {found['rounds']} fits of {found['iterations']} iterations"
    return f"{found['processor']}, {found['threads']} threads on {found['cores']} cores; {versions}; {fits}."


def table_of_threads(results: dict[str, Any]) -> str:
    """Milliseconds by number of threads, as a Markdown table."""
    lines = ["| threads | milliseconds | speed-up |", "|---|---|---|"]
    first = results["threads"][0]["fastem"]
    lines += [f"| {run['threads']} | {run['fastem']:.1f} | {first / run['fastem']:.2f} |" for run in results["threads"]]
    return "\n".join(lines) + "\n"


def draw(folder: Path, commits: list[dict[str, Any]]) -> None:
    """Write charts as SVG and tables as Markdown."""
    results = json.loads(RESULTS.read_text())
    for chart in (peers, rows, start_up, memory):
        chart(results).savefig(folder / f"{chart.__name__}.svg", metadata={"Date": None})
    history(commits).savefig(folder / "history.svg", metadata={"Date": None})
    for table in (table_of_peers, table_of_threads):
        (folder / f"{table.__name__}.md").write_text(table(results))


if __name__ == "__main__":  # the picture of README
    peers(json.loads(RESULTS.read_text())).savefig(RESULTS.with_name("peers.svg"), metadata={"Date": None})
