"""Multivariate t components: normal components with a latent weight for each row, so that distant rows count less.

D. Peel and G. J. McLachlan (2000), Robust mixture modelling using the t distribution, Statistics and Computing 10,
339-348. Each row has a latent weight u with a gamma distribution; given u, it is normal with covariance scale / u.

An M-step makes one of two updates, the one with the larger guaranteed gain in likelihood:

- Means and scale matrices are updated with expected weights. Scatters are divided by the sum of the weights instead of
  the number of rows. This is EM for an extended model in which the mean weight is a parameter, and converges faster
  (C. Liu, D. B. Rubin and Y. N. Wu, 1998, Parameter expansion to accelerate EM: the PX-EM algorithm, Biometrika 85,
  755-770).
- Degrees of freedom and the sizes of the scale matrices maximise a lower bound of the likelihood itself, in which the
  weights are integrated out (C. Liu and D. B. Rubin, 1994, The ECME algorithm, Biometrika 81, 633-648). The bound needs
  one pass, see `fastem.kernels.degrees`.

Both bounds equal the likelihood at the parameters of the pass, so an M-step never lowers it.
"""

import functools

from fastem.families import _student_t_host
from fastem.families._contract import Family
from fastem.families._student_t import components_of
from fastem.families._student_t_kernels import kernels_from

TIED = (
    "given values of some columns, components of covariance_type='tied' no longer share one scale matrix; fit with "
    "covariance_type='full', or use regress"
)
KEPT = (
    "it keeps statistics whose latent weights were computed at earlier degrees of freedom than the current ones; "
    "give df as a number"
)


@functools.cache
def family(form: str, degrees: str) -> Family:
    """T components whose scale matrices have the form `form`; `degrees` is 'shared', 'component' or 'fixed'.

    Raises KeyError if there is no such family.
    """
    components = components_of(form, degrees)
    normal = components.normal
    kernels, few = kernels_from(components.shape, normal)
    return Family(
        name=f"student_t-{form}-{degrees}",
        kernels_of=None if degrees == "fixed" else f"student_t-{form}-fixed",
        **kernels._asdict(),
        few=few,
        n_stats=components.n_stats,
        params_at=components.params_at,
        m_step=components.m_step,
        shift=components.shift,
        expected=components.expected,
        select=components.select,
        embed=components.embed,
        pack=components.pack,
        unpack=components.unpack,
        change=components.change,
        describe=components.describe,
        restore=components.restore,
        parameters=_student_t_host.parameters(normal, degrees),
        complete=functools.partial(_student_t_host.complete, normal),
        contradiction=functools.partial(_student_t_host.contradiction, normal),
        host=_student_t_host.host(form, normal),
        translation_invariant=True,
        missing="student_t_missing",
        single=normal.single,
        scratch_rows=scratch_rows,
        unsupported=_unsupported(form, degrees),
    )


def _unsupported(form: str, degrees: str) -> tuple[tuple[str, str], ...]:
    """Features that the family refuses, each with the reason."""
    refused = []
    if degrees != "fixed":
        refused += [(f"algorithm={name!r}", KEPT) for name in ("incremental", "sparse")]
    if form == "tied":
        refused.append(("conditional", TIED))
    return tuple(refused)


def scratch_rows(n_observed: int, n_features: int, n_components: int, tile_rows: int) -> int:
    """Rows of scratch memory of normal components, plus distances and logarithms for each component."""
    return n_features + max(n_features, n_components) + 8 + 2 * n_components
