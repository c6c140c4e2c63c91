"""Draws plots.png: the displays of fastem.plotting for mixtures of Old Faithful.

Usage: python docs/plots.py
"""

import warnings
from pathlib import Path

import matplotlib.pyplot as plt
from PIL import Image
from sklearn.exceptions import ConvergenceWarning

from fastem import GaussianMixture
from fastem.datasets import load_faithful
from fastem.plotting import ConvergenceDisplay, CriterionDisplay, MixtureDisplay, UncertaintyDisplay

PICTURE = Path(__file__).parent / "plots.png"
FORMS = ("full", "tied", "diag", "VEV")


def main():
    """Draw the displays that docs/plots.md describes."""
    faithful = load_faithful()
    X, names = faithful.values, faithful.columns
    options = {"random_state": 0, "tol": 1e-8, "max_iter": 2000}
    model = GaussianMixture(3, n_init=4, init_params="k-means++", **options).fit(X)
    models = [GaussianMixture(k, covariance_type=form, **options).fit(X) for form in FORMS for k in range(1, 7)]
    figure, ((first, second), (third, fourth)) = plt.subplots(2, 2, figsize=(11, 8.5), layout="constrained")
    MixtureDisplay.from_estimator(model, X, columns=names, ax=first)
    UncertaintyDisplay.from_estimator(model, X, columns=names, ax=second)
    CriterionDisplay.from_estimators(models, X, ax=third)
    ConvergenceDisplay.from_estimator(model, scale="gap", ax=fourth)
    figure.savefig(PICTURE, dpi=80)
    with Image.open(PICTURE) as image:
        image.convert("RGB").quantize(64).save(PICTURE, optimize=True)


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        main()
