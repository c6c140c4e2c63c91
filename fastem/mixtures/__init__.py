"""The public classes of mixtures, each in a module of its own."""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from fastem.mixtures.bayesian_gaussian import BayesianGaussianMixture as BayesianGaussianMixture
    from fastem.mixtures.bernoulli import BernoulliMixture as BernoulliMixture
    from fastem.mixtures.gaussian import GaussianMixture as GaussianMixture
    from fastem.mixtures.poisson import PoissonMixture as PoissonMixture
    from fastem.mixtures.student_t import StudentTMixture as StudentTMixture


class Face(NamedTuple):
    """Description of a class of mixtures that needs no import of the class.

    Attributes
    ----------
    module : str
        Name of its module, which is also the name of the family on the command line.
    families : tuple of str
        Families whose passes `warmup` compiles for it.
    forms : tuple of str
        Forms of covariances to choose from, the default first; empty if it has no covariances.
    criteria : bool
        Whether it has `bic` and the other criteria by which the command line compares models.
    """

    module: str
    families: tuple[str, ...]
    forms: tuple[str, ...] = ()
    criteria: bool = True


FORMS = ("full", "tied", "diag", "spherical")
STRUCTURES = ("EII", "VII", "EEI", "VEI", "EVI", "VVI", "EEE", "VEE", "EVE", "VVE", "EEV", "VEV", "EVV", "VVV")
FACES = {
    "GaussianMixture": Face("gaussian", tuple(f"gaussian-{form}" for form in FORMS), FORMS + STRUCTURES),
    "BayesianGaussianMixture": Face("bayesian_gaussian", (), FORMS, criteria=False),
    "StudentTMixture": Face("student_t", tuple(f"student_t-{form}-fixed" for form in FORMS), FORMS),
    "BernoulliMixture": Face("bernoulli", ("bernoulli",)),
    "PoissonMixture": Face("poisson", ("poisson",)),
}
COMPILED = tuple(name for face in FACES.values() for name in face.families)
