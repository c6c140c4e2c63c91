"""Draws the diagrams of the architecture: layers, the path of X through a fit, slabs of rows, saved forms, and a
cluster.

Usage: python docs/diagrams.py FOLDER
"""

import sys
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

INK, PALE = "#222222", ("#dbe9f4", "#fbe3d3", "#d8efe6", "#f3e1ee", "#f6ecd0")

LAYERS = (
    ("cli  plotting", "the command, and pictures"),
    ("mixtures", "the estimators: GaussianMixture and the others"),
    ("persistence", "models as JSON, checkpoints"),
    ("em", "algorithms, starts, convergence, priors: the loop"),
    ("data", "rows, and where they come from: arrays, files, streams"),
    ("engine", "runs a pass over rows: slabs, threads, memory"),
    ("families", "densities, statistics and M-steps, a file each"),
    ("kernels", "compiled code over tiles; knows no family"),
    ("system  datasets", "files and signals; small data sets"),
)

WAY = (
    ("X", "array, data frame,\nParquet, source"),
    ("checks", "types, NaN, weights,\ndomain, origin"),
    ("start", "k-means on at most\n100 000 rows"),
    ("slabs", "a number fixed by\nthe shape of X"),
    ("tiles", "192 to 384 rows,\nfeature by feature"),
)

PASS = (
    ("log-densities", "of the family"),
    ("responsibilities", "of the posterior policy"),
    ("statistics", "summed by the family"),
)


def _box(axes: Axes, place: tuple[float, float, float, float], title: str, text: str, colour: str) -> None:
    x, y, width, height = place
    axes.add_patch(
        FancyBboxPatch((x, y), width, height, boxstyle="round,pad=0,rounding_size=0.08", fc=colour, ec=INK, lw=1)
    )
    middle = x + width / 2, y + height / 2
    lines = text.count("\n") + 1
    axes.text(
        middle[0], middle[1] + 0.12 * lines, title, ha="center", va="center", fontsize=11, weight="bold", color=INK
    )
    axes.text(middle[0], middle[1] - 0.16, text, ha="center", va="center", fontsize=8.5, color=INK)


def _arrow(axes: Axes, begin: tuple[float, float], end: tuple[float, float], text: str = "") -> None:
    axes.annotate("", end, begin, arrowprops={"arrowstyle": "-|>", "color": INK, "lw": 1.3, "shrinkA": 0, "shrinkB": 0})
    if text:
        axes.text((begin[0] + end[0]) / 2, (begin[1] + end[1]) / 2 + 0.12, text, ha="center", fontsize=8.5, color=INK)


def _canvas(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.set(xlim=(0, width), ylim=(0, height), aspect="equal")
    axes.set_axis_off()
    return figure, axes


def layers() -> Figure:
    """Folders of the package; each imports only from those below it."""
    figure, axes = _canvas(8, 5.4)
    for position, (name, text) in enumerate(LAYERS):
        y = 4.75 - 0.57 * position
        axes.add_patch(
            FancyBboxPatch(
                (0.3, y), 6.9, 0.46, boxstyle="round,pad=0,rounding_size=0.06", fc=PALE[position % 5], ec=INK, lw=0.8
            )
        )
        axes.text(0.5, y + 0.23, name, va="center", fontsize=11, weight="bold", color=INK)
        axes.text(2.5, y + 0.23, text, va="center", fontsize=9.5, color=INK)
    _arrow(axes, (7.55, 5.2), (7.55, 0.2))
    axes.text(7.72, 2.7, "imports", rotation=270, va="center", fontsize=9.5, color=INK)
    return figure


def way_of_x() -> Figure:
    """Way of X from the call of `fit` to the fitted attributes."""
    figure, axes = _canvas(11, 5.2)
    for position, (title, text) in enumerate(WAY):
        _box(axes, (0.1 + 2.2 * position, 3.8, 1.8, 1.1), title, text, PALE[0])
        if position:
            _arrow(axes, (2.2 * position - 0.3, 4.35), (2.2 * position + 0.1, 4.35))
    axes.add_patch(
        FancyBboxPatch((3.5, 1.75), 7.35, 1.5, boxstyle="round,pad=0,rounding_size=0.1", fc="none", ec=INK, ls="--")
    )
    axes.text(3.7, 3.02, "one pass: for each tile", fontsize=9, color=INK)
    for position, (title, text) in enumerate(PASS):
        _box(axes, (8.6 - 2.42 * position, 1.9, 2.1, 0.95), title, text, PALE[1])
        if position:
            _arrow(axes, (11.02 - 2.42 * position, 2.37), (10.7 - 2.42 * position, 2.37))
    _arrow(axes, (9.65, 3.8), (9.65, 2.85))
    _box(axes, (0.1, 1.9, 2.5, 0.95), "sums of slabs", "added in order", PALE[2])
    _arrow(axes, (3.76, 2.37), (2.6, 2.37))
    _box(axes, (0.1, 0.2, 2.5, 0.95), "M-step", "new parameters, plain numpy", PALE[2])
    _arrow(axes, (1.35, 1.9), (1.35, 1.15))
    _box(axes, (3.5, 0.2, 2.5, 0.95), "converged?", "else the next pass", PALE[3])
    _arrow(axes, (2.6, 0.67), (3.5, 0.67))
    _arrow(axes, (4.75, 1.15), (4.75, 1.75))
    _box(axes, (7.2, 0.2, 3.5, 0.95), "fitted attributes", "weights_, means_, covariances_, history_", PALE[4])
    _arrow(axes, (6.0, 0.67), (7.2, 0.67))
    return figure


def slabs() -> Figure:
    """Why the number of threads changes no bit: cuts and order depend on the shape of X only."""
    figure, axes = _canvas(9, 3.4)
    colours = ("#9ecae1", "#fdae6b", "#9ecae1", "#9ecae1", "#fdae6b", "#9ecae1")
    for position, colour in enumerate(colours):
        x = 0.2 + 1.45 * position
        axes.add_patch(
            FancyBboxPatch((x, 2.2), 1.3, 0.6, boxstyle="round,pad=0,rounding_size=0.05", fc=colour, ec=INK, lw=0.8)
        )
        axes.text(x + 0.65, 2.5, f"slab {position + 1}", ha="center", va="center", fontsize=9.5, color=INK)
        _arrow(axes, (x + 0.65, 2.2), (x + 0.65, 1.55))
        axes.text(x + 0.65, 1.35, f"S{position + 1}", ha="center", va="center", fontsize=11, color=INK)
    axes.text(
        0.2, 3.0, "rows of X; a thread (blue, orange) takes the next slab when it is free", fontsize=9.5, color=INK
    )
    axes.text(0.2, 0.75, "statistics = ((((S1 + S2) + S3) + S4) + S5) + S6", fontsize=11, color=INK, family="monospace")
    axes.text(0.2, 0.3, "always in this order, whichever thread computed them", fontsize=9.5, color=INK)
    return figure


def saving() -> Figure:
    """Forms in which models and unfinished fits can be saved."""
    figure, axes = _canvas(9, 3.2)
    _box(axes, (0.1, 1.9, 2.0, 1.0), "model", "fitted", PALE[1])
    _box(axes, (0.1, 0.2, 2.0, 1.0), "fit", "still running", PALE[3])
    targets = (
        ("JSON", "save, load: exact,\nreadable, checked"),
        ("scikit-learn", "to_sklearn,\nfrom_sklearn"),
        ("pickle", "joblib, cloudpickle"),
    )
    for position, (title, text) in enumerate(targets):
        x = 3.0 + 2.0 * position
        _box(axes, (x, 1.9, 1.8, 1.0), title, text, PALE[0])
    _arrow(axes, (2.1, 2.4), (3.0, 2.4))
    _box(axes, (3.0, 0.2, 3.8, 1.0), "checkpoint", "checkpoint=, resume=True: after kill -9 to the same bits", PALE[2])
    _arrow(axes, (2.1, 0.7), (3.0, 0.7))
    return figure


def cluster() -> Figure:
    """What travels in a pass over a cluster."""
    figure, axes = _canvas(10, 4.4)
    _box(axes, (0.1, 1.7, 2.0, 1.0), "client", "M-step,\nconvergence", PALE[3])
    for position in range(3):
        y = 3.2 - 1.5 * position
        axes.add_patch(
            FancyBboxPatch((4.0, y), 3.0, 1.1, boxstyle="round,pad=0,rounding_size=0.08", fc=PALE[0], ec=INK, lw=1)
        )
        axes.text(4.15, y + 0.86, f"worker {position + 1}", va="center", fontsize=10, weight="bold", color=INK)
        for place in range(3):
            x = 4.15 + 0.95 * place
            axes.add_patch(
                FancyBboxPatch((x, y + 0.12), 0.8, 0.5, boxstyle="round,pad=0,rounding_size=0.05", fc="white", ec=INK)
            )
            number = 3 * position + place + 1
            axes.text(x + 0.4, y + 0.37, f"X{number}", ha="center", va="center", fontsize=9, color=INK)
        _arrow(axes, (2.1, 2.2), (4.0, y + 0.55))
        _arrow(axes, (7.0, y + 0.55), (8.2, 2.2))
    axes.text(2.25, 3.45, "parameters,\nonce to each worker", fontsize=8.5, color=INK)
    axes.text(7.3, 3.45, "statistics of each partition,\nseveral in a message", fontsize=8.5, color=INK)
    _box(axes, (8.2, 1.7, 1.7, 1.0), "sum", "a tree in the order\nof the partitions", PALE[2])
    axes.plot([9.05, 9.05, 1.1], [1.7, 0.05, 0.05], color=INK, lw=1.3)
    _arrow(axes, (1.1, 0.05), (1.1, 1.7))
    return figure


def draw(folder: Path) -> None:
    """Write all diagrams as SVG."""
    for make in (layers, way_of_x, slabs, saving, cluster):
        make().savefig(folder / f"{make.__name__}.svg", metadata={"Date": None})


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
