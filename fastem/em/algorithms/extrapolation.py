"""Extrapolation of fixed-point iterations x -> g(x) of vectors: SQUAREM and Anderson acceleration.

A method gets each point with its image, and proposes the next point, or None, which stands for the image. The caller
evaluates the proposal, and calls `reject` if it is bad.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]


@runtime_checkable
class Extrapolation(Protocol):
    """A method with its memory."""

    def propose(self, point: Vector, image: Vector) -> Vector | None:
        """Next point from the last point and its image; None for the image itself."""

    def reject(self) -> None:
        """Learn that the last proposal was bad; the next point is the image from which it was made."""

    def forget(self) -> None:
        """Forget earlier points, as later ones have other coordinates."""


@dataclass(eq=False)
class Squarem:
    """Squared extrapolation: after two steps x0 -> x1 -> x2, a long step along both, then a plain step.

    Varadhan and Roland (2008), Simple and globally convergent methods for accelerating the convergence of any EM
    algorithm, Scandinavian Journal of Statistics 35, 335-353, with their third step length -|r| / |v|.
    """

    longest: float = 4.0
    points: list[Vector] = field(default_factory=list)
    stabilise: bool = False
    length: float = 1.0

    def propose(self, point: Vector, image: Vector) -> Vector | None:
        """Extrapolate from every second point."""
        if self.stabilise:  # the next cycle begins at the image of the proposal
            self.stabilise = False
            self.longest = 4.0 * self.longest if self.length == self.longest else self.longest
            return None
        self.points.append(point)
        if len(self.points) < 2:
            return None
        first, second = self.points
        self.points = []
        r, v = second - first, (image - second) - (second - first)
        norm = float(np.linalg.norm(v))
        if not norm > 0.0 or not np.isfinite(norm):
            return None
        self.length = min(max(float(np.linalg.norm(r)) / norm, 1.0), self.longest)
        if self.length == 1.0:
            return None
        self.stabilise = True
        return first + 2.0 * self.length * r + self.length**2 * v

    def reject(self) -> None:
        """Shorten the longest step."""
        self.stabilise = False
        self.longest = max(self.longest / 4.0, 2.0)

    def forget(self) -> None:
        """Begin a new cycle."""
        self.points, self.stabilise = [], False


@dataclass(eq=False)
class Anderson:
    """Anderson acceleration: the combination of the last images whose step would be smallest if the map were linear.

    Walker and Ni (2011), Anderson acceleration for fixed-point iterations, SIAM Journal on Numerical Analysis 49,
    1715-1735. A rejected proposal clears the memory; on restarts and the control of monotonicity see Henderson and
    Varadhan (2019), Damped Anderson acceleration with restarts and monotonicity control for accelerating EM and EM-like
    algorithms, Journal of Computational and Graphical Statistics 28, 834-846.
    """

    memory: int = 5
    points: list[Vector] = field(default_factory=list)
    images: list[Vector] = field(default_factory=list)

    def propose(self, point: Vector, image: Vector) -> Vector | None:
        """Combine up to `memory` + 1 images."""
        self.points.append(point)
        self.images.append(image)
        if len(self.points) > self.memory + 1:
            del self.points[0], self.images[0]
        if len(self.points) < 2:
            return None
        images = np.array(self.images)
        residuals = images - np.array(self.points)
        differences = np.diff(residuals, axis=0)
        gram = differences @ differences.T
        damping = 1e-10 * float(np.trace(gram))
        if not damping > 0.0 or not np.isfinite(damping):
            return None
        right = differences @ residuals[-1]
        coefficients = np.linalg.solve(gram + damping * np.eye(len(gram)), right)
        proposal: Vector = image - coefficients @ np.diff(images, axis=0)
        return proposal

    def reject(self) -> None:
        """Clear the memory."""
        self.points, self.images = [], []

    forget = reject


METHODS: dict[str, Callable[[], Extrapolation]] = {"squarem": Squarem, "anderson": Anderson}
