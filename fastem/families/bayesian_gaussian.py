"""Gaussian components whose parameters have a variational posterior; the kernels are those of Gaussian families."""

import functools
from importlib import import_module

from fastem.families._contract import Family, Float, PosteriorAlgebra
from fastem.families._parameters import POSITIVE, Parameter
from fastem.families._variational import SCATTERS, Posterior, describe, restore


def _contradiction(base: Family, described: dict[str, Float], eps: float) -> str | None:
    """Message if degrees of freedom are too few for the features, or if means and covariances contradict each other."""
    least = described["means"].shape[1] - 1
    if not described["degrees_of_freedom"].min() > least:
        return f"degrees_of_freedom_ must be above {least}, the number of features less one"
    assert base.contradiction is not None
    return base.contradiction(described, eps)


@functools.cache
def family(form: str, weights: str) -> Family:
    """The family whose covariances have the form `form` and whose weights have a Dirichlet 'process' or 'distribution'.

    Raises KeyError if there is no such family.
    """
    if form not in SCATTERS or weights not in ("process", "distribution"):
        raise KeyError(f"{form}-{weights}")
    base: Family = import_module(f"fastem.families.gaussian_{form}").FAMILY
    return base._replace(
        name=f"bayesian_gaussian-{form}-{weights}",
        kernels_of=base.kernel_key,
        parameters=(
            *base.parameters,
            Parameter("weight_concentration", "2k" if weights == "process" else "k", POSITIVE),
            Parameter("mean_precision", "k", POSITIVE),
            Parameter("degrees_of_freedom", "" if form == "tied" else "k", POSITIVE),
        ),
        contradiction=functools.partial(_contradiction, base),
        host=base.host._replace(initial=(), adjust_start=None),
        log_prior=None,
        posterior=PosteriorAlgebra(Posterior, describe, restore),
    )
