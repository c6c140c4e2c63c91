"""The lower bound of variational Bayes written from the textbook: slow, plain, for full covariances.

C. M. Bishop (2006), Pattern recognition and machine learning, Springer, section 10.2. A posterior is any object with
`concentration`, `mean_precision` and `degrees_of_freedom`; a prior has `mean` and `covariance` as well.
"""

import numpy as np
from scipy.special import digamma, gammaln, multigammaln


def terms(values, log_weights, posterior, means, covariances):
    """E[log pi_k] + E[log N(x_n | mu_k, Lambda_k)] (n, K) of full covariances, by inverses and digamma functions."""
    d = values.shape[1]
    columns = []
    for k, (mean, covariance) in enumerate(zip(means, covariances, strict=True)):
        nu = posterior.degrees_of_freedom[k]
        scale = np.linalg.inv(nu * covariance)
        log_determinant = digamma((nu - np.arange(d)) / 2).sum() + d * np.log(2) + np.linalg.slogdet(scale)[1]
        residual = values - mean
        squares = nu * np.einsum("ni,ij,nj->n", residual, scale, residual) + d / posterior.mean_precision[k]
        columns.append(0.5 * (log_determinant - d * np.log(2 * np.pi) - squares))
    return np.stack(columns, axis=1) + log_weights


def log_wishart(scale, nu):
    """Logarithm of a Wishart distribution's normalising constant B (Bishop, B.79)."""
    d = len(scale)
    return -0.5 * nu * np.linalg.slogdet(scale)[1] - 0.5 * nu * d * np.log(2) - multigammaln(0.5 * nu, d)


def bound(values, responsibilities, prior, posterior, means, covariances):
    """The bound of full covariances term by term (Bishop, 10.71 to 10.77), under a Dirichlet distribution."""
    d, beta_0, nu_0 = values.shape[1], prior.mean_precision, prior.degrees_of_freedom
    scale_0, alpha = np.linalg.inv(prior.covariance), posterior.concentration
    log_weights = digamma(alpha) - digamma(alpha.sum())
    alpha_0 = np.full(len(alpha), prior.concentration)
    total = (responsibilities * terms(values, 0.0, posterior, means, covariances)).sum()
    total += (responsibilities * (log_weights - np.log(np.maximum(responsibilities, 1e-300)))).sum()
    for concentration, sign in ((alpha_0, 1), (alpha, -1)):
        constant = gammaln(concentration.sum()) - gammaln(concentration).sum()
        total += sign * (constant + ((concentration - 1) * log_weights).sum())
    for k, mean in enumerate(means):
        nu, beta = posterior.degrees_of_freedom[k], posterior.mean_precision[k]
        scale = np.linalg.inv(nu * covariances[k])
        log_lambda = digamma((nu - np.arange(d)) / 2).sum() + d * np.log(2) + np.linalg.slogdet(scale)[1]
        pull = mean - prior.mean
        squares = d * beta_0 / beta + beta_0 * nu * pull @ scale @ pull
        total += 0.5 * (d * np.log(beta_0 / (2 * np.pi)) + log_lambda - squares)
        total += log_wishart(scale_0, nu_0) + 0.5 * (nu_0 - d - 1) * log_lambda
        total -= 0.5 * nu * np.trace(prior.covariance @ scale)
        total -= 0.5 * log_lambda + 0.5 * d * np.log(beta / (2 * np.pi)) - 0.5 * d
        total += -log_wishart(scale, nu) - 0.5 * (nu - d - 1) * log_lambda + 0.5 * nu * d
    return total


def constant_of_bound(prior, n_rows, n_components):
    """Terms that the bounds of fastem and scikit-learn omit: they depend on the prior and the number of rows only."""
    d, alpha = len(prior.mean), np.full(n_components, prior.concentration)
    normal_wishart = 0.5 * d * np.log(prior.mean_precision) + log_wishart(
        np.linalg.inv(prior.covariance), prior.degrees_of_freedom
    )
    # `multigammaln` includes a power of pi, which fastem's bound leaves out
    pi = 0.25 * d * (d - 1) * np.log(np.pi)
    weights = gammaln(alpha.sum()) - gammaln(alpha).sum()
    return n_components * (normal_wishart + pi) + weights - 0.5 * n_rows * d * np.log(2 * np.pi)


def step_with_missing(values, weights, model):
    """Attributes after one more iteration of a model with full covariances on rows with NaN for missing values."""
    n_components, d = model.means_.shape
    prior_mean, beta_0, nu_0 = model.mean_prior_, model.mean_precision_prior_, model.degrees_of_freedom_prior_
    joint = np.zeros((len(values), n_components))
    completed = np.zeros((len(values), n_components, d))
    spread = np.zeros((len(values), n_components, d, d))
    for k in range(n_components):
        nu, mean, covariance = model.degrees_of_freedom_[k], model.means_[k], model.covariances_[k]
        excess = digamma((nu - np.arange(d)) / 2).sum() + d * np.log(2 / nu) - d / model.mean_precision_[k]
        for n, row in enumerate(values):
            seen = ~np.isnan(row)
            within = covariance[np.ix_(seen, seen)]
            gain = covariance[:, seen] @ np.linalg.inv(within)
            residual = row[seen] - mean[seen]
            squares = residual @ np.linalg.solve(within, residual)
            joint[n, k] = 0.5 * (excess - seen.sum() * np.log(2 * np.pi) - np.linalg.slogdet(within)[1] - squares)
            completed[n, k] = mean + gain @ residual
            spread[n, k] = covariance - gain @ covariance[seen]
    alpha = model.weight_concentration_
    joint += digamma(alpha) - digamma(alpha.sum())
    resp = np.exp(joint - np.logaddexp.reduce(joint, axis=1, keepdims=True)) * weights[:, None]
    mass = resp.sum(axis=0)
    beta, nu = beta_0 + mass, nu_0 + mass
    means = (beta_0 * prior_mean + np.einsum("nk,nkd->kd", resp, completed)) / beta[:, None]
    covariances = []
    for k in range(n_components):
        residuals, pull = completed[:, k] - means[k], means[k] - prior_mean
        scatter = (resp[:, k] * residuals.T) @ residuals + np.einsum("n,nij->ij", resp[:, k], spread[:, k])
        scatter += model.covariance_prior_ + beta_0 * np.outer(pull, pull) + mass[k] * model.reg_covar * np.eye(d)
        covariances.append(scatter / nu[k])
    return {
        "weight_concentration_": model.weight_concentration_prior_ + mass,
        "mean_precision_": beta,
        "degrees_of_freedom_": nu,
        "means_": means,
        "covariances_": np.array(covariances),
    }
