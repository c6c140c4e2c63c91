"""What users hold: the public faces of families, each in a module of its own."""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from fastem.mixtures.gaussian import GaussianMixture as GaussianMixture
    from fastem.mixtures.poisson import PoissonMixture as PoissonMixture


class Face(NamedTuple):
    """Where a class of mixtures is, and the families that it brings kernels for."""

    module: str
    families: tuple[str, ...]


FACES = {
    "GaussianMixture": Face("gaussian", ("gaussian-full", "gaussian-tied", "gaussian-diag", "gaussian-spherical")),
    "PoissonMixture": Face("poisson", ("poisson",)),
}
COMPILED = tuple(name for face in FACES.values() for name in face.families)
