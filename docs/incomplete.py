"""Draws missing.png, deconvolved.png and labelled.png: fits to missing values, errors and labels.

Usage: python docs/incomplete.py
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Ellipse
from PIL import Image

from fastem import GaussianMixture
from fastem.datasets import load_faithful, load_xu

HERE = Path(__file__).parent
BLUE, ORANGE, BLACK, GREY = "#0072B2", "#D55E00", "#222222", "#8C8C8C"
OPTIONS = {"n_components": 2, "tol": 1e-9, "max_iter": 2000, "random_state": 0}
FAITHFUL = {"xlabel": "eruption, minutes", "ylabel": "wait for the next, minutes"}


def ellipse(mean, covariance, n_sd=2.0, **style):
    """Ellipse at `n_sd` standard deviations of a normal distribution."""
    values, vectors = np.linalg.eigh(covariance)
    width, height = 2.0 * n_sd * np.sqrt(values)
    angle = np.degrees(np.arctan2(vectors[1, 0], vectors[0, 0]))
    return Ellipse(mean, width, height, angle=angle, **{"fill": False, "zorder": 3, **style})


def outline(ax, model, **style):
    """Draw a mixture: two standard deviations of each component."""
    for mean, covariance in zip(model.means_, model.covariances_, strict=True):
        ax.add_patch(ellipse(mean, covariance, **{"lw": 1.8, **style}))


def line(label, **style):
    """Entry of a legend."""
    return Line2D([], [], label=label, **{"lw": 1.8, **style})


def dots(label, **style):
    """Entry of a legend."""
    return Line2D([], [], label=label, **{"ls": "", "marker": "o", "ms": 4, **style})


def weights_of(model):
    """Weights of the components, that of short eruptions first."""
    return ", ".join(f"{weight:.2f}" for weight in model.weights_[model.means_[:, 0].argsort()])


def save(figure, name):
    """Write a picture with few colours, so that the file is small."""
    figure.savefig(HERE / name, dpi=90)
    with Image.open(HERE / name) as image:
        image.convert("RGB").quantize(64).save(HERE / name, optimize=True)


def missing():
    """Old Faithful with missing values: anywhere, or mostly waits after long eruptions."""
    X = load_faithful().values
    generator = np.random.default_rng(0)
    anywhere = X.copy()
    anywhere.flat[generator.choice(X.size, round(0.3 * X.size), replace=False)] = np.nan
    waits = X.copy()
    waits[generator.random(len(X)) < np.where(X[:, 0] > 3.0, 0.8, 0.2), 1] = np.nan
    every = GaussianMixture(**OPTIONS).fit(X)
    figure, panels = plt.subplots(1, 3, figsize=(14, 5), layout="constrained")
    titles = "values missing anywhere", "waits missing, mostly of long eruptions"
    for ax, holes, title in zip(panels[:2], (anywhere, waits), titles, strict=True):
        there = ~np.isnan(holes)
        complete = there.all(axis=1)
        fit = GaussianMixture(missing="marginalize", **OPTIONS).fit(holes)
        dropped = GaussianMixture(**OPTIONS).fit(X[complete])
        part = there.any(axis=1) & ~complete
        draws = fit.impute(holes[part], n_draws=1)[0]
        ax.plot(*X[complete].T, "o", color=GREY, ms=3.5, mew=0)
        ax.plot(*draws.T, "o", mfc="none", mec=BLUE, ms=3.5, mew=0.7, alpha=0.6)
        for axis, transform in enumerate((ax.get_xaxis_transform(), ax.get_yaxis_transform())):
            known = part & there[:, axis]
            ends = np.full(known.sum(), 0.012)
            x, y = (X[known, 0], ends) if axis == 0 else (ends, X[known, 1])
            ax.plot(x, y, "|_"[axis], color=BLUE, ms=7, mew=0.8, transform=transform)
        outline(ax, every, color=BLACK, ls="--", lw=1.4)
        outline(ax, dropped, color=ORANGE)
        outline(ax, fit, color=BLUE)
        neither = (~there).all(axis=1).sum()
        entries = [
            line(f"all values: weights {weights_of(every)}", color=BLACK, ls="--", lw=1.4),
            line(f"values that are there: {weights_of(fit)}", color=BLUE),
            line(f"complete rows only: {weights_of(dropped)}", color=ORANGE),
            dots(f"{complete.sum()} complete rows", color=GREY, mew=0),
            dots(f"{part.sum()} rows with one value (ticks), imputed", mfc="none", mec=BLUE),
        ]
        if neither:
            entries.append(dots(f"{neither} rows without any", marker=""))
        ax.legend(handles=entries, loc="upper left", fontsize=8.5, frameon=False)
        ax.set(title=f"{title}: {1 - there.mean():.0%}", xlim=(1.1, 5.6), ylim=(33, 125), **FAITHFUL)
    ax, wait = panels[2], np.linspace(33, 110, 300)
    for model, style in ((every, {"color": BLACK, "ls": "--"}), (dropped, {"color": ORANGE}), (fit, {"color": BLUE})):
        ax.plot(wait, np.exp(model.marginal([1]).score_samples(wait[:, None])), lw=1.8, **style)
    ax.set(title="all waits, by the fits in the middle", xlabel=FAITHFUL["ylabel"], ylabel="density", xlim=(33, 110))
    ax.set_ylim(bottom=0, top=0.062)
    entries = [
        line("all values", color=BLACK, ls="--"),
        line("values that are there", color=BLUE),
        line("complete rows only", color=ORANGE),
    ]
    ax.legend(handles=entries, loc="upper left", fontsize=8.5, frameon=False)
    save(figure, "missing.png")


def deconvolved():
    """Old Faithful with simulated errors: three ways to measure, each with its own covariance."""
    X = load_faithful().values
    generator = np.random.default_rng(0)
    ways = np.array([[[0.5, 0.0], [0.0, 1.0]], [[0.05, 0.0], [0.0, 14.0]], [[0.5, 0.0], [8.0, 2.0]]])
    way = generator.integers(len(ways), size=len(X))
    covariances = ways @ np.swapaxes(ways, 1, 2)
    observed = X + np.einsum("nij,nj->ni", ways[way], generator.normal(size=X.shape))
    exact = GaussianMixture(**OPTIONS).fit(X)
    naive = GaussianMixture(**OPTIONS).fit(observed)
    fit = GaussianMixture(**OPTIONS).fit(observed, noise=covariances[way])
    figure, panels = plt.subplots(1, 2, figsize=(11, 5.2), sharex=True, sharey=True, layout="constrained")
    left, right = panels
    left.plot(*observed.T, "o", color=GREY, ms=3.5, mew=0)
    for row in range(0, len(X), 9):
        style = {"n_sd": 1.0, "color": GREY, "lw": 0.7, "alpha": 0.8, "zorder": 1}
        left.add_patch(ellipse(observed[row], covariances[way[row]], **style))
    right.plot(*X.T, "o", color=GREY, ms=3.5, mew=0)
    for ax in panels:
        outline(ax, naive, color=ORANGE)
    outline(right, exact, color=BLACK, ls="--", lw=1.4)
    outline(right, fit, color=BLUE)
    observations = [
        dots("272 measurements, and the error (1 sd) of every ninth", color=GREY, mew=0),
        line("fit that ignores the errors (2 sd)", color=ORANGE),
    ]
    values = [
        dots("272 values without errors, used by the dashed fit only", color=GREY, mew=0),
        line("fit of the values without errors", color=BLACK, ls="--", lw=1.4),
        line("fit of the measurements with their errors", color=BLUE),
        line("fit that ignores the errors", color=ORANGE),
    ]
    for ax, entries, title in zip(
        panels, (observations, values), ("measurements", "the values behind them"), strict=True
    ):
        ax.legend(handles=entries, loc="upper left", fontsize=8.5, frameon=False)
        ax.set(title=title, xlim=(0.2, 6.2), ylim=(15, 140), **FAITHFUL)
    save(figure, "deconvolved.png")


def labelled():
    """Two overlapping groups of points, of which some are labelled."""
    xu = load_xu()
    X, labels = xu.values, xu.labels
    known = labels >= 0
    start = {**OPTIONS, "means_init": [[-1, -1], [1, 1]], "reg_covar": 0.0}
    without = GaussianMixture(**start).fit(X[~known])
    only = GaussianMixture(**start).fit(X[known], labels=labels[known])
    both = GaussianMixture(**start).fit(X, labels=labels)
    figure, panels = plt.subplots(1, 3, figsize=(14, 5), layout="constrained")
    colours = BLUE, ORANGE
    for ax, model in zip(panels[:2], (without, both), strict=True):
        ax.plot(*X[~known].T, "o", color=GREY, ms=3, mew=0, alpha=0.6)
        for mean, covariance, colour in zip(model.means_, model.covariances_, colours, strict=True):
            ax.add_patch(ellipse(mean, covariance, color=colour, lw=1.8))
        ax.set(xlim=(-4, 4), ylim=(-4, 4.6))
    zoom = panels[2]
    x, y = np.linspace(-2, 2, 200), np.linspace(-2, 1.2, 160)
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    for model, style in ((without, "--"), (only, ":"), (both, "-")):
        share = model.predict_proba(grid)[:, 1].reshape(len(y), len(x))
        zoom.contour(x, y, share, levels=[0.5], colors=BLACK, linestyles=style, linewidths=1.5)
    for ax in panels[1:]:
        for k, colour in enumerate(colours):
            ax.plot(*X[labels == k].T, "o", color=colour, ms=4.5, mec="white", mew=0.4)
    across = np.flatnonzero(known & (without.predict(X) != labels))
    zoom.plot(*X[across].T, "o", mfc="none", mec=BLACK, ms=10, mew=1)
    for row, share in zip(across, without.predict_proba(X[across]), strict=True):
        zoom.annotate(f"{share[labels[row]]:.2f}", X[row], (7, 6), textcoords="offset points", fontsize=8.5)
    legends = (
        [
            dots("1000 points without labels", color=GREY, mew=0),
            line(f"component 0, weight {without.weights_[0]:.3f}", color=BLUE),
            line(f"component 1, weight {without.weights_[1]:.3f}", color=ORANGE),
        ],
        [
            dots(f"{(labels == 0).sum()} points labelled 0", color=BLUE, mew=0),
            dots(f"{(labels == 1).sum()} points labelled 1", color=ORANGE, mew=0),
            line(f"component 0, weight {both.weights_[0]:.3f}", color=BLUE),
            line(f"component 1, weight {both.weights_[1]:.3f}", color=ORANGE),
        ],
        [
            line("1000 points without labels", color=BLACK, ls="--", lw=1.5),
            line("100 labelled points only", color=BLACK, ls=":", lw=1.5),
            line("all 1100 points", color=BLACK, lw=1.5),
            dots("labels of the other side, and their\nprobability without labels", mfc="none", mec=BLACK, ms=9),
        ],
    )
    titles = "without labels", "with fixed labels", "where the components are equally probable"
    for ax, entries, title in zip(panels, legends, titles, strict=True):
        ax.legend(handles=entries, loc="upper left", fontsize=8.5, frameon=False)
        ax.set(title=title, xlabel="x1", ylabel="x2")
    zoom.set(xlim=(-2, 2), ylim=(-2, 2.6))
    save(figure, "labelled.png")


def main():
    """Draw all three."""
    plt.switch_backend("agg")
    for draw in (missing, deconvolved, labelled):
        draw()


if __name__ == "__main__":
    main()
