"""Host functions of components with independent columns whose only parameters are the columns' means."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastem.families._host import Columns, Described, Float, Host, Regression, initial_locations
from fastem.families._parameters import Parameter

Draw = Callable[[Float, np.random.RandomState], NDArray[Any]]


def host(
    parameter: Parameter, complaint: Callable[[Float], str | None], variances: Callable[[Float], Float], draw: Draw
) -> Host:
    """Host functions of components whose only parameters are the means (K, d) of whole numbers.

    Parameters
    ----------
    parameter : Parameter
    complaint : callable (means) -> str or None
        Error message if the means are not valid as initial values.
    variances : callable (means) -> variances
    draw : callable (means (...), random_state) -> values (...)
    """

    def means_of(described: Described) -> Float:
        return described[parameter.name]

    def sample(
        described: Described, component: int, n_samples: int, random_state: np.random.RandomState
    ) -> NDArray[Any]:
        return draw(means_of(described)[np.full(n_samples, component)], random_state)

    def marginal(described: Described, columns: Columns) -> dict[str, Float]:
        return {parameter.name: means_of(described)[:, columns]}

    def conditional(described: Described, rest: Columns, given: Columns, values: Float) -> dict[str, Float]:
        return marginal(described, rest)  # columns are independent: the given values do not matter

    def regression(described: Described, target: Columns, given: Columns) -> Regression:
        means = means_of(described)[:, target]
        return Regression(means, np.zeros((*means.shape, len(given))), variances(means))

    def scatter(described: Described) -> Float:
        means = means_of(described)
        return np.asarray(variances(means)[:, :, None] * np.eye(means.shape[1]))

    def cells(described: Described, components: NDArray[Any], random_state: np.random.RandomState | None) -> Float:
        means = means_of(described)[components]
        return means if random_state is None else np.asarray(draw(means, random_state), dtype=np.float64)

    return Host(
        initial=(initial_locations(parameter, complaint),),
        sample=sample,
        marginal=marginal,
        conditional=conditional,
        regression=regression,
        scatter=scatter,
        cells=cells,
        discrete=True,
    )
