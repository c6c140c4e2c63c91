"""Random combinations of all arguments of a fit, compared with a reference in extended precision.

Options in `conftest.py` say how many are tried and for how long, or choose one of them.
"""

import time
from collections import defaultdict
from dataclasses import replace
from typing import NamedTuple

import exact
import numpy as np
import pytest
from combinations import combination, matrices_of
from exact import L
from variants import N_VARIANTS, seeds

from fastem import Incremental, Sparse, Stepwise

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(np.finfo(L).eps > 1e-18, reason="long double is no longer than double here"),
]
N_ITER = 10
TOLERANCE = {"float64": 1e-9, "float32": 1e-4}
ROUNDING = {"float64": 1e-10, "float32": 1e-5}  # of a bound, relative


class Outcome(NamedTuple):
    """A step and the densities after it; `unit` is the relative rounding error of its numbers."""

    bound: float
    mixture: exact.Mixture
    densities: np.ndarray
    probabilities: np.ndarray
    unit: float


def fitted_outcome(case):
    model = case.fitted()
    known = {name: case.given[name] for name in ("noise", "projection") if name in case.given}
    densities, probabilities = model.score_samples(case.X, **known), model.predict_proba(case.X, **known)
    unit = np.finfo(model.weights_.dtype).eps
    return Outcome(L(model.lower_bounds_[0]), mixture_of(case, model), densities, probabilities, unit)


def exact_outcome(case):
    bound, mixture, _ = case.step()
    return Outcome(bound, mixture, *densities_of(case, mixture), 0.0)


def densities_of(case, mixture):
    return exact.score_samples(case.rows, mixture), exact.predict_proba(case.rows, mixture)


def mixture_of(case, model):
    """The fitted parameters as a mixture of the reference."""
    family, weights = case.variant.family, model.weights_.astype(L)
    if family == "poisson":
        return exact.Mixture(family, weights, model.rates_.astype(L))
    covariances = matrices_of(family, model.covariances_, *model.means_.shape)
    return exact.Mixture(family, weights, model.means_.astype(L), covariances)


def errors(case, found, expected):
    """Errors by name: of bound and mixture from the expected ones, and of densities from those of the found mixture.

    Errors of weights and rates are relative to themselves (or a millionth of a count), of means to the standard
    deviation of their component, of covariances to the product of two standard deviations, of probabilities to one.
    Bounds and log-densities are sums of one term for each column: errors are relative to their size plus the number of
    columns. The rounding of the result is left out.
    """
    terms = case.rows.values.shape[1]
    (bound, mixture), after = expected, found.mixture
    densities, probabilities = densities_of(case, after)
    pairs = {
        "bound": (found.bound, bound, terms + abs(bound)),
        "weights": (after.weights, mixture.weights, mixture.weights),
        "score_samples": (found.densities, densities, terms + abs(densities)),
        "predict_proba": (found.probabilities, probabilities, 1),
    }
    if case.variant.family == "poisson":
        pairs["rates"] = (after.means, mixture.means, np.maximum(mixture.means, 1e-6))
    else:
        deviations = np.sqrt(np.einsum("kii->ki", mixture.covariances))
        pairs["means"] = (after.means, mixture.means, deviations)
        products = deviations[:, :, None] * deviations[:, None, :]
        pairs["covariances"] = (after.covariances, mixture.covariances, products)
    return {name: off(*pair, found.unit) for name, pair in pairs.items()}


def off(found, expected, scale, unit):
    """Largest difference in units of `scale`, less the rounding of the found values."""
    with np.errstate(invalid="ignore"):
        error = np.maximum(abs(found - expected) - 2 * unit * abs(expected), 0) / scale
    return float(np.max(np.where(found == expected, 0, error)))


def wrong(case, found):
    """The errors that are too large."""
    return {name: f"{value:.1e}" for name, value in found.items() if not value < TOLERANCE[case.variant.dtype]}


def well_defined(before, after, shares):
    """Whether every component has some rows and some width, and no covariance is singular: else rounding decides."""
    if not (shares > 1e-6).all() or after.covariances is None:
        return bool((shares > 1e-6).all())
    old, new = (np.einsum("kii->ki", mixture.covariances) for mixture in (before, after))
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        correlations = after.covariances / np.sqrt(new[:, :, None] * new[:, None, :])
    finite = np.isfinite(correlations).all() and (new > 1e-3 * old).all()
    return bool(finite and (np.linalg.eigvalsh(correlations.astype(float)) > 1e-3).all())


@pytest.fixture
def combinations(request, tmp_path):
    """Random combinations and their expected steps, as many and for as long as the options say."""
    number, seconds, seed = (request.config.getoption(name) for name in ("combinations", "seconds", "seed"))
    return among(seeds(number) if seed is None else [seed], time.monotonic() + seconds, tmp_path)


def among(chosen, deadline, folder):
    """Combinations of these seeds whose expected step is well defined, until a deadline."""
    for seed in chosen:
        if time.monotonic() > deadline:
            return
        with np.errstate(all="ignore"):
            case = combination(seed, folder)
            *expected, shares = case.step()
            defined = well_defined(case.start, expected[1], shares)
        if defined:
            yield case, expected


def report(failures, n_tried):
    """Fail with the first failures, if there are any."""
    assert n_tried, "no combination was tried whose step is well defined"
    lines = "\n".join(failures[:20])
    assert not failures, f"{len(failures)} of {n_tried} combinations, each to be tried again by --seed:\n{lines}"


def test_a_step_and_densities_are_those_of_the_reference(combinations):
    failures, worst, n_tried = [], defaultdict(float), 0
    for case, expected in combinations:
        n_tried += 1
        try:
            found = errors(case, fitted_outcome(case), expected)
        except Exception as error:  # a failure of this combination; the others are still tried
            failures.append(f"{case}: {error!r}")
            continue
        for name, value in found.items():
            key = (case.variant.family, case.variant.dtype, case.variant.seen, name)
            worst[key] = max(worst[key], value)
        if wrong(case, found):
            failures.append(f"{case}: {wrong(case, found)}")
    print(f"{n_tried} combinations; the largest errors:")  # with -s
    for key in sorted(worst):
        print(*key, f"{worst[key]:.1e}")
    report(failures, n_tried)


def test_bounds_never_fall_and_are_reached(combinations):
    """For every algorithm that guarantees it. An accelerated fit reports the best bound that it has seen."""
    failures, n_tried = [], 0
    for case, _ in combinations:
        case = climbing(case)
        try:
            model = case.fitted(N_ITER)
        except ValueError as error:  # a collapsed component is no failure; messages differ for incomplete rows
            collapsed = "ill-defined" in str(error) or "overflow float32" in str(error)
            if not (collapsed or ("density zero" in str(error) and case.variant.seen != "complete")):
                failures.append(f"{case}: {error!r}")
            continue
        with np.errstate(all="ignore"):
            final, end, shares = replace(case, start=mixture_of(case, model)).step()
        if not well_defined(case.start, end, shares):
            continue
        n_tried += 1
        bounds = np.array(model.lower_bounds_)
        slack = ROUNDING[case.variant.dtype] * (1 + abs(bounds[-1]))
        fall = -np.diff(bounds).min(initial=0.0)
        lost = bounds[-1] - final if case.variant.dtype == "float64" else 0.0  # attributes in float32 are rounded
        if fall > slack or lost > slack:
            failures.append(f"{case}: falls by {fall:.1e} and ends {lost:.1e} below its last bound")
    report(failures, n_tried)


def climbing(case):
    """The same with random options of its algorithm, and without `reg_covar`, which may lower bounds."""
    rng = np.random.default_rng(case.seed)
    options = case.options
    if "reg_covar" in options:
        options = {**options, "reg_covar": 0.0}
    algorithm = options.get("algorithm")
    large = case.variant.family == "poisson" and np.nanmax(case.rows.values) > 2**17
    if large:  # bounds between full passes lose their digits, see docs/decisions/large-counts.md
        return case if algorithm is None else replace(case, options={**options, "algorithm": "em"})
    if algorithm == "incremental" or isinstance(algorithm, Stepwise):
        blocks, order = int(rng.choice([1, 2, 3, 7])), str(rng.choice(["cyclic", "random"]))
        order = "cyclic" if case.variant.layout == "source" else order
        options = {**options, "algorithm": Incremental(blocks, order)}
    elif algorithm == "sparse":
        options = {**options, "algorithm": Sparse(float(rng.choice([0, 0.01, 0.1])), int(rng.choice([0, 1, 4])))}
    return replace(case, options=options, known=replace(case.known, reg_covar=0.0))


# The power of the comparison: small mistakes in the reference are detected


def test_a_small_mistake_in_any_term_would_be_seen(tmp_path):
    seen = {name: [] for name in MISTAKES}
    for case, expected in among(range(3 * N_VARIANTS), np.inf, tmp_path):
        if len(case.rows.values) < 300 and case.variant.dtype == "float64":
            for name, make in MISTAKES.items():
                mistaken = make(case)
                if mistaken is not None:
                    seen[name].append(bool(wrong(case, errors(case, exact_outcome(mistaken), expected))))
    assert {name: len(found) > 2 and np.mean(found) > 0.9 for name, found in seen.items()} == dict.fromkeys(seen, True)


def of_rows(name, change, applies=lambda case: True):
    """A mistake in a field of the rows."""
    return lambda case: (
        replace(case, rows=replace(case.rows, **{name: change(getattr(case.rows, name))})) if applies(case) else None
    )


def of_known(name, change, applies):
    return lambda case: (
        replace(case, known=replace(case.known, **{name: change(getattr(case.known, name))})) if applies(case) else None
    )


def first_more(array):
    """The array with its first row multiplied by 1.0001."""
    return np.concatenate([array[:1] * L(1.0001), array[1:]])


def of_prior(name):
    return of_known(
        "conjugate",
        lambda prior: replace(prior, **{name: getattr(prior, name) * 1.000001}),
        lambda case: case.known.conjugate is not None,
    )


MISTAKES = {
    "a weight": of_rows("weights", first_more),
    "a noise": of_rows("noise", first_more, lambda case: case.rows.noise.any() and case.rows.noise[0].any()),
    "covariances of errors": of_rows(
        "noise",
        lambda noise: noise * np.eye(noise.shape[1]),
        lambda case: (case.rows.noise != case.rows.noise * np.eye(case.rows.noise.shape[1])).any(),
    ),
    "a projection": of_rows("projection", first_more, lambda case: "projection" in case.given),
    "plausibilities": of_rows(
        "plausible", lambda p: p ** L(1.00001), lambda case: case.variant.labelled and (case.rows.plausible % 1).any()
    ),
    "a background's density": of_rows(
        "log_widths", lambda widths: widths * 1.000001, lambda case: case.variant.background
    ),
    "reg_covar": of_known("reg_covar", lambda value: 0.999999 * value, lambda case: case.known.reg_covar > 0),
    "concentration": of_known(
        "concentration",
        lambda value: value * 1.0001,
        lambda case: case.known.concentration != 1 and len(case.start.weights) > 1,
    ),
    **{f"the prior's {name}": of_prior(name) for name in ("mean", "strength", "degrees", "scale")},
}
