"""Variational Bayes by the loop of EM: posteriors in place of parameters, and a lower bound of the log-evidence."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fastem.data import Mixture, Sweep, validation
from fastem.em.initialization.start import Blocks, starting_statistics
from fastem.em.priors import INCOMPLETE_STEPS, scale_shape
from fastem.em.problem import Problem
from fastem.em.subsample import Sample
from fastem.families import ComponentError, Family
from fastem.families._contract import Float, Params, Prior
from fastem.families._gaussian import symmetric
from fastem.families._gaussian_host import improper, total_scatter
from fastem.families._variational import Hyperparameters, log_normalisers, mean_weights, moments, update


@dataclass(frozen=True)
class VariationalProblem(Problem):
    """The steps of variational Bayes for one family on one source; its mixtures are posteriors."""

    def maximise(self, sweep: Sweep, mixture: Mixture, *, kept: bool = False) -> Mixture:
        """M-step: the posterior of the parameters given the responsibilities of a sweep, see `Problem.maximise`."""
        self.check(sweep, mixture)
        return posterior_mixture(self.family, sweep, mixture.params, self.prior.conjugate)

    def bound(self, sweep: Sweep, before: Mixture, after: Mixture) -> float:
        """Lower bound of the log-evidence after both steps, without terms that depend only on the prior.

        The entropy of the latent variables is the log-density of the rows minus the expected complete log-density.
        """
        entropy = sweep.log_likelihood + self.base - self.complete(sweep, self.means(before), before)
        return entropy + log_normalisers(after.posterior, after.params)


def posterior_mixture(family: Family, sweep: Sweep, params: Params, prior: Hyperparameters) -> Mixture:
    """Mixture with the posterior given statistics about `params.means`."""
    posterior, params = update(family, sweep.mass, sweep.stats, params, prior)
    return Mixture(mean_weights(posterior.concentration), params, posterior)


def hyperparameters(given: Any, problem: Problem) -> Hyperparameters:
    """The prior that the parameters of an estimator define, with defaults from the data.

    Parameters
    ----------
    given : object
        An object with scikit-learn's parameters as attributes.
    problem : Problem
        Problem of the data, which are read once more for defaults of means and covariances.

    Raises
    ------
    ValueError
        If a shape is wrong, a value is invalid for such a distribution, or there are too few data for a default; with
        scikit-learn's messages where it has them.
    """
    n_features, form = problem.source.n_features, given.covariance_type
    concentration = given.weight_concentration_prior
    mean = covariance = None
    if given.mean_prior is not None:
        mean = validation.floats(given.mean_prior, (n_features,), "mean_prior", "means") - problem.source.origin
    degrees = given.degrees_of_freedom_prior
    if degrees is not None and not degrees > n_features - 1.0:
        raise ValueError(
            f"The parameter 'degrees_of_freedom_prior' should be greater than {n_features - 1}, but got {degrees:.3f}."
        )
    if given.covariance_prior is not None:
        covariance = validation.floats(
            given.covariance_prior, scale_shape(form, n_features), "covariance_prior", f"{form} covariance_prior"
        )
        complaint = improper(covariance, f"{form} precision", matrices=covariance.ndim == 2)
        if complaint is not None:
            raise ValueError(complaint)
    if mean is None or covariance is None:
        data_mean, scatter = data_moments(problem, form)
        mean = data_mean if mean is None else mean
        covariance = _unbiased(scatter, problem.source.total_weight) if covariance is None else covariance
    return Hyperparameters(
        form,
        given.weight_concentration_prior_type == "dirichlet_process",
        1.0 / given.n_components if concentration is None else float(concentration),
        mean,
        1.0 if given.mean_precision_prior is None else float(given.mean_precision_prior),
        n_features if degrees is None else degrees,
        covariance,
        float(given.reg_covar),
    )


def _unbiased(scatter: Float, total_weight: float) -> Float:
    """Unbiased estimate of a covariance from its scatter; weights count repetitions of rows."""
    if not total_weight > 1.0:
        raise ValueError(
            f"the default covariance_prior is the covariance of the data, which needs more than 1 row, but "
            f"sample_weight leaves {total_weight:.3g} rows: give covariance_prior"
        )
    return scatter / (total_weight - 1.0)


def data_moments(problem: Problem, covariance_type: str) -> tuple[Float, Float]:
    """Mean of the rows about the origin, and their scatter in the shape of covariances.

    For incomplete rows these are expectations under a single component that is fitted by EM.
    """
    family = problem.family
    plain = replace(problem.unrestricted(), prior=Prior())
    incomplete = family.finish is not None
    variances = problem.start_variances() if incomplete else None
    mixture = Mixture(np.ones(1), family.params_at(np.zeros((1, problem.source.n_features)), variances))
    sweep = plain.expect(mixture)
    try:
        for _ in range(INCOMPLETE_STEPS if incomplete else 0):
            mixture = plain.maximise(sweep, mixture)
            sweep = plain.expect(mixture)
    except ComponentError:
        raise ValueError(
            "the default covariance_prior is the covariance of the data, and that is not positive definite: give "
            "mean_prior and covariance_prior"
        ) from None
    mean, scatter = moments(family, covariance_type, sweep.mass, sweep.stats, mixture.params)
    return mean, symmetric(scatter) if scatter.ndim == 2 else scatter


def start_from(family: Family, sample: Sample, origin: Float, blocks: Blocks, prior: Hyperparameters) -> Mixture:
    """Mixture with the posterior given the responsibilities of a sample."""
    sweep, params = starting_statistics(family, sample, origin, blocks)
    partial = sweep.mass.sum() < (1.0 - 1e-12) * sample.total_weight
    if prior.covariance_type == "tied" and partial and sample.latent is None:
        scatter = total_scatter(sample.values, sample.given_or_unit_weights, sweep.mass, params.means + origin)
        sweep = replace(sweep, stats=np.append(np.zeros(sweep.stats.size - scatter.size), scatter))
    return posterior_mixture(sample.family(family), sweep, params, prior)
