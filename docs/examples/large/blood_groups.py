"""
Blood groups: your own EM
=========================

EM is not only for mixtures. Of 521 people 186 have blood group A, 38 B, 13 AB and 284 O. How frequent are the three
genes that determine the group? A person of group A has the genes AA or AO, but only the group is observed.
`fixed_point` runs any EM algorithm whose iteration you write as a function of the parameters.

The counts are the classical example of gene counting (C. R. Rao, 1973, Linear Statistical Inference and its
Applications).
"""

import matplotlib.pyplot as plt
import numpy as np

from fastem import fixed_point

n_a, n_b, n_ab, n_o = 186, 38, 13, 284
n_people = n_a + n_b + n_ab + n_o


def step(frequencies):
    """E-step: expected numbers of genes, given the groups and the current frequencies. M-step: their shares."""
    a, b, o = frequencies
    aa = n_a * a / (a + 2 * o)  # expected number of people with genes AA
    bb = n_b * b / (b + 2 * o)
    genes = [n_a + aa + n_ab, n_b + bb + n_ab, 2 * n_o + (n_a - aa) + (n_b - bb)]
    return np.array(genes) / (2 * n_people)


def log_likelihood(frequencies):
    """Log-likelihood of the groups, up to a constant."""
    a, b, o = frequencies
    return (
        n_a * np.log(a**2 + 2 * a * o) + n_b * np.log(b**2 + 2 * b * o) + n_ab * np.log(2 * a * b) + 2 * n_o * np.log(o)
    )


result = fixed_point(step, [1 / 3, 1 / 3, 1 / 3], log_likelihood, tol=1e-12)
print("frequencies of A, B and O:", result.theta.round(6))
print(f"{result.n_iter} steps, rate of convergence {result.rate:.2f}")

# %%
# The rate of convergence is the share of information that is missing: near the maximum, each step reduces the distance
# to it to this share.

bounds = np.array([record.lower_bound for record in result.history])
figure, axes = plt.subplots(figsize=(7, 3.5), layout="constrained")
axes.semilogy(np.maximum(result.objective - bounds, 1e-12), "o-")
axes.set(xlabel="step", ylabel="log-likelihood below its maximum")
