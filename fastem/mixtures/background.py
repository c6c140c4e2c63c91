"""Background of a mixture: a component of uniform density, for rows that are far from all other components."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastem.data import Mixture, Range, log_widths
from fastem.em.parameters import AGAIN, Parameters
from fastem.em.subsample import Sample
from fastem.families._host import Regression
from fastem.mixtures.fitted import Float
from fastem.mixtures.imputation import Imputing
from fastem.mixtures.unfitted import UnfittedMixture

START_WEIGHT = 0.5  # of a background at the start of a fit: large, to take the outliers that the start puts in clusters


class Background(Imputing, UnfittedMixture):
    """Methods for mixtures that have the parameter `background`."""

    background: Any

    def _volume(self) -> float | None:
        """The volume that the user gave; None if it is that of the data's box."""
        return None if isinstance(self.background, bool | np.bool_) else float(self.background)

    def _surrounded(self, mixture: Mixture, extent: Range | None) -> Mixture:
        if extent is None:
            return mixture
        from fastem.families.background import surround

        box, volume, weights = _box(extent), self._volume(), mixture.weights
        log_density = _log_density(box) if volume is None else -np.log(volume)
        if len(weights) == self.n_components:  # a start that has no background yet
            weights = np.append((1.0 - START_WEIGHT) / weights.sum() * weights, START_WEIGHT)
            weights = self._initial(mixture.params.means.shape[1]).get("weights", weights)
        return Mixture(weights, surround(mixture.params, log_density))

    def _fitted(self) -> Parameters:
        parameters = super()._fitted()
        if self.background:
            self._check_box(parameters)
        return parameters

    def _check_box(self, parameters: Parameters) -> None:
        """Check the background's density against the volume that the user gave, or against its box if it is known."""
        volume, box, rounding = self._volume(), self._box(), 0.0
        density = float(parameters.described["background_log_density"])
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            expected = density if volume is None else -float(np.log(volume))
            if box is not None:
                low, high = _corners(box, parameters.locations.shape[1])
                if volume is None:
                    expected = -float(log_widths(Range(low, high)).sum())
                    eps = float(np.finfo(box.dtype).eps) if box.dtype.kind == "f" else 0.0
                    rounding = 4.0 * eps * float((np.maximum(abs(low), abs(high)) / (high - low)).sum())
        if not (density == expected or abs(density - expected) <= 1e-9 * (1.0 + abs(expected)) + rounding):
            raise ValueError(
                f"background_log_density_ is {density:.9g}, where background={self.background!r} and the box "
                f"background_ give {expected:.9g}. {AGAIN}"
            )

    def _box(self) -> Any:
        """The fitted box, if there is one."""
        return self._attribute("background") if "background_" in vars(self) else None

    def _divisible(self) -> bool:
        return self._volume() is None

    def _boxed(self, rows: Sample) -> Sample:
        if not self.background or not self._divisible():
            return rows
        widths = log_widths(Range(*self._attribute("background")))
        return replace(rows, annotations=rows.annotations._replace(log_widths=widths))

    def _placed(self, extent: Range | None, dtype: Any) -> dict[str, Any]:
        if not self.background:
            return {}
        return {"background_": self._attribute("background") if extent is None else _box(extent).astype(dtype)}

    def _background_of(self, columns: list[int]) -> tuple[Float, float]:
        """Box (2, n_columns) of the background in some columns, and its log-density there."""
        if self._volume() is not None:
            raise ValueError(
                f"background={self.background!r} is a volume, which cannot be divided between columns: "
                "only the box of background=True can"
            )
        box = self._attribute("background")[:, columns]
        return box, _log_density(box)

    def _sample_component(
        self, parameters: Parameters, component: int, n_samples: int, random_state: np.random.RandomState
    ) -> NDArray[Any]:
        if component == self.n_components:
            return self._sample_background(n_samples, random_state)
        return super()._sample_component(parameters, component, n_samples, random_state)

    def _regression(self, parameters: Parameters, target: list[int], given: list[int]) -> Regression:
        parts = super()._regression(parameters, target, given)
        return self._background_regression(parts, target) if self.background else parts

    def _parameters_from(self, described: Mapping[str, Float], columns: list[int]) -> dict[str, Any]:
        attributes = super()._parameters_from(described, columns)
        if self.background:
            attributes["background_"], attributes["background_log_density_"] = self._background_of(columns)
        return attributes

    def _background_regression(self, parts: Regression, target: list[int]) -> Regression:
        """Add the background to a regression: its targets are uniform in the box for all given values."""
        low, high = self._background_of(target)[0].astype(np.float64)
        of_components = parts.inflation

        def inflation(values: Float) -> Float:
            assert of_components is not None
            found = of_components(values)
            return np.column_stack([found, np.ones(len(found))])

        return Regression(
            np.vstack([parts.intercept, 0.5 * (low + high)]),
            np.concatenate([parts.slope, np.zeros((1, *parts.slope.shape[1:]))]),
            np.vstack([parts.variances, (high - low) ** 2 / 12.0]),
            None if of_components is None else inflation,
        )

    def _expected(self, parameters: Parameters, responsibilities: Float, values: Float) -> Float:
        """Expected values (n, d), where the background expects the middle of the box."""
        if not self.background:
            return super()._expected(parameters, responsibilities, values)
        expected = super()._expected(parameters, responsibilities[:, :-1], values)
        middle: Float = self._attribute("background").astype(np.float64).mean(axis=0)
        return expected + responsibilities[:, -1:] * middle

    def _drawn(
        self,
        parameters: Parameters,
        responsibilities: Float,
        values: Float,
        n_draws: int,
        random_state: np.random.RandomState,
    ) -> Float:
        """Draws (n_draws, n, d), where values of the background are drawn from the box."""
        if not self.background:
            return super()._drawn(parameters, responsibilities, values, n_draws, random_state)
        drawn = super()._drawn(parameters, responsibilities[:, :-1], values, n_draws, random_state)
        far = random_state.uniform(size=drawn.shape[:2]) < responsibilities[:, -1]
        drawn[far] = self._sample_background(int(far.sum()), random_state)
        return drawn

    def _sample_background(self, n_samples: int, random_state: np.random.RandomState) -> NDArray[Any]:
        """Draw rows (n_samples, d) from the box."""
        low, high = self._attribute("background").astype(np.float64)
        return random_state.uniform(low, high, size=(n_samples, len(low)))


def _corners(box: Any, n_features: int) -> tuple[Float, Float]:
    """Check a fitted box, which a user may have set; return its lower and upper corner, (d,) each."""
    shape = (2, n_features)
    if not isinstance(box, np.ndarray) or box.shape != shape or box.dtype.kind not in "fiu":
        raise ValueError(f"background_ must be an array of shape {shape}: the corners of the background's box")
    low, high = box.astype(np.float64)
    if not ((low <= high) & np.isfinite(high - low)).all():
        raise ValueError("background_ must hold finite lower and upper corners, in this order")
    return low, high


def _box(extent: Range) -> NDArray[Any]:
    """Lower and upper corner (2, d)."""
    return np.stack(extent)


def _log_density(box: NDArray[Any]) -> float:
    """Minus the logarithm of the volume of a box (2, d)."""
    low, high = box.astype(np.float64)
    flat = np.flatnonzero(~(high > low))
    if flat.size:
        raise ValueError(
            f"The box that holds the data has no volume: column {flat[0]} (counted from 0) is {low[flat[0]]!s} in all "
            "rows. A background needs columns that vary, or its volume as a number."
        )
    return -float(log_widths(Range(low, high)).sum())
