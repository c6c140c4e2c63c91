"""Posterior policies: joint log-densities of a tile (K, b) into responsibilities (K, b), in place."""

import numpy as np

from fastem._jit import kernel
from fastem.kernels.vecmath import exp_nonpositive, log_positive

LOWEST = -1.7976931348623157e308  # what -inf is taken away from, where all components give -inf


@kernel
def soft(joint, log_weights, weight, row_log_likelihood, scale):
    """Responsibilities by Bayes' rule, times the rows' weights; returns the weighted log-likelihood of the tile.

    Parameters
    ----------
    joint : (K, b)
        Log-densities of the components; responsibilities on return.
    log_weights : (K,)
        Logarithms of the mixing weights.
    weight : (b,)
        Weights of the rows; a row of weight zero counts nowhere, whatever its density.
    row_log_likelihood, scale : (b,)
        The log-density of each row on return, and scratch. A row that no component allows has log-density -inf and
        responsibilities zero.
    """
    n_components, n_lanes = joint.shape
    row = joint[0]
    for c in range(n_lanes):
        row_log_likelihood[c] = max(row[c] + log_weights[0], LOWEST)
        scale[c] = 0.0
    for k in range(1, n_components):
        row = joint[k]
        shift = log_weights[k]
        for c in range(n_lanes):
            row_log_likelihood[c] = max(row_log_likelihood[c], row[c] + shift)
    for k in range(n_components):
        row = joint[k]
        shift = log_weights[k]
        for c in range(n_lanes):
            e = exp_nonpositive(row[c] + shift - row_log_likelihood[c])
            row[c] = e
            scale[c] += e
    log_likelihood = 0.0
    for c in range(n_lanes):
        total = scale[c]
        possible = total > 0.0
        density = row_log_likelihood[c] + log_positive(total if possible else 1.0)
        density = density if possible else -np.inf
        row_log_likelihood[c] = density
        log_likelihood += weight[c] * density if weight[c] > 0.0 else 0.0
        scale[c] = weight[c] / total if possible else 0.0
    for k in range(n_components):
        row = joint[k]
        for c in range(n_lanes):
            row[c] *= scale[c]
    return log_likelihood


@kernel
def most_probable(joint, log_weights, top, labels):
    """Component of the largest joint log-density of each row: the first of equals, the heaviest where all are -inf."""
    n_components = joint.shape[0]
    heaviest = 0
    for k in range(1, n_components):
        if log_weights[k] > log_weights[heaviest]:
            heaviest = k
    for c in range(labels.size):
        top[c] = joint[0, c] + log_weights[0]
        labels[c] = 0 if top[c] > -np.inf else heaviest
    for k in range(1, n_components):
        row = joint[k]
        shift = log_weights[k]
        for c in range(labels.size):
            candidate = row[c] + shift
            if candidate > top[c]:
                top[c] = candidate
                labels[c] = k


@kernel
def entropy(responsibilities, weight):
    """Weighted sum over a tile of each row's entropy -sum_k r log r, from responsibilities of unit sum."""
    n_components, n_lanes = responsibilities.shape
    total = 0.0
    for k in range(n_components):
        row = responsibilities[k]
        for c in range(n_lanes):
            r = row[c]
            total -= weight[c] * r * log_positive(r) if r > 0.0 else 0.0
    return total
