"""The libraries that `peers.py` compares.

Each class defines how its library makes a fixed number of EM iterations, in float64 and from given parameters. Its
instances import the library, so they exist only in processes whose interpreters have it (see `peers_worker.py`).
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

Parameters = tuple[Any, Any, Any]  # weights, means and covariances, as arrays, tensors or lists of them


class Task(NamedTuple):
    """Rows, initial parameters, and number of iterations."""

    X: NDArray[np.float64]
    weights: NDArray[np.float64]
    means: NDArray[np.float64]
    covariances: NDArray[np.float64]
    covariance_type: str
    iterations: int
    errors: NDArray[np.float64] | None = None  # covariances of the rows' errors


class Library:
    """A library that fits mixtures of Gaussians; "noisy": full covariances, of rows with measurement errors."""

    name: ClassVar[str]
    packages: ClassVar[tuple[str, ...]]  # whose versions are reported
    requirements: ClassVar[tuple[str, ...]] = ()  # of its own environment; none if it runs in that of `peers.py`
    covariance_types: ClassVar[tuple[str, ...]] = ("full", "tied", "diag", "spherical")
    note: ClassVar[str] = ""  # remark below the table

    def __init__(self, threads: int) -> None:
        """Import the library and set its number of threads, where the environment does not."""

    def load(self, task: Task) -> None:
        """Prepare a task; this is not timed."""
        self.task = task

    def fit(self) -> Parameters:
        """Run the task; this is timed."""
        raise NotImplementedError

    def log_likelihood(self) -> float | None:
        """Log-likelihood of all rows at the parameters of the last fit, or None if it is not compared."""
        return None


class ScikitLearn(Library):
    """`sklearn.mixture`, and the interface of its GaussianMixture."""

    name = "scikit-learn"
    packages = ("scikit-learn", "numpy")
    note = "scikit-learn's `fit` ends with one more E-step, which its time contains."

    def __init__(self, threads: int) -> None:
        from sklearn.mixture import GaussianMixture

        self.GaussianMixture = GaussianMixture

    def load(self, task: Task) -> None:
        super().load(task)
        form = "full" if task.errors is not None else task.covariance_type
        matrices = form in ("full", "tied")
        self.model = self.GaussianMixture(
            len(task.weights),
            covariance_type=form,
            tol=0.0,
            reg_covar=0.0,
            max_iter=task.iterations,
            weights_init=task.weights,
            means_init=task.means,
            precisions_init=np.linalg.inv(task.covariances) if matrices else 1.0 / task.covariances,
        )

    def fit(self) -> Parameters:
        self.model.fit(self.task.X)
        return self.model.weights_, self.model.means_, self.model.covariances_


class Fastem(ScikitLearn):
    """The library that the others are compared with."""

    name = "fastem"
    packages = ("fastem", "numba")
    covariance_types = (*ScikitLearn.covariance_types, "noisy")
    note = ""

    def __init__(self, threads: int) -> None:
        from fastem import GaussianMixture

        self.GaussianMixture = GaussianMixture

    def fit(self) -> Parameters:
        errors = {} if self.task.errors is None else {"noise": self.task.errors}
        self.model.fit(self.task.X, **errors)
        return self.model.weights_, self.model.means_, self.model.covariances_

    def log_likelihood(self) -> float | None:
        if self.task.errors is None:
            return None
        return float(self.model.score_samples(self.task.X, noise=self.task.errors).sum())


class OneDAL(Library):
    """Intel's oneDAL, through its Python bindings."""

    name = "oneDAL"
    packages = ("daal4py",)
    requirements = ("daal4py==2024.7.0", "numpy<2", "scikit-learn<1.6", "packaging")
    covariance_types = ("full", "diag")
    note = "oneDAL has neither tied nor spherical covariances."

    def __init__(self, threads: int) -> None:
        import daal4py

        daal4py.daalinit(threads)
        self.em_gmm = daal4py.em_gmm

    def fit(self) -> Parameters:
        task = self.task
        algorithm = self.em_gmm(
            nComponents=len(task.weights),
            maxIterations=task.iterations,
            accuracyThreshold=0.0,  # of the change of the log-likelihood, which is not negative
            covarianceStorage={"full": "full", "diag": "diagonal"}[task.covariance_type],
        )
        covariances = list(task.covariances if task.covariance_type == "full" else task.covariances[:, None])
        result = algorithm.compute(task.X, task.weights[None], task.means, covariances)
        if result.nIterations.item() != task.iterations:
            raise RuntimeError(f"stopped after {result.nIterations.item()} iterations")
        return result.weights, result.means, result.covariances


class Torch(Library):
    """Base class of libraries that use PyTorch."""

    def __init__(self, threads: int) -> None:
        import torch

        torch.set_default_dtype(torch.float64)
        self.torch, self.threads = torch, threads

    def load(self, task: Task) -> None:
        super().load(task)
        self.torch.set_num_threads(self.threads)  # here, because numba, which pomegranate imports, sets it too
        self.X, self.weights, self.means, self.covariances = map(self.torch.from_numpy, task[:4])


class Pomegranate(Torch):
    """`pomegranate.gmm`."""

    name = "pomegranate"
    packages = ("pomegranate", "torch")
    requirements = ("torch==2.13.0", "pomegranate>=1.0")
    covariance_types = ("full", "diag")
    note = "pomegranate has no tied covariances, and refuses a start with spherical ones."

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        from pomegranate.distributions import Normal
        from pomegranate.gmm import GeneralMixtureModel

        self.Normal, self.GeneralMixtureModel = Normal, GeneralMixtureModel

    def fit(self) -> Parameters:
        # A fit changes the parameters that it is given, so copy them.
        normals = [
            self.Normal(mean.clone(), covariance.clone(), covariance_type=self.task.covariance_type)
            for mean, covariance in zip(self.means, self.covariances, strict=True)
        ]
        model = self.GeneralMixtureModel(
            normals, self.weights.clone(), max_iter=self.task.iterations, tol=-float("inf")
        ).fit(self.X)
        return model.priors, [normal.means for normal in normals], [normal.covs for normal in normals]


class TorchGMM(Torch):
    """`torchgmm.bayes`: what its GaussianMixture.fit does after it has found a start."""

    name = "torchgmm"
    packages = ("torchgmm", "torch")
    requirements = ("torch==2.13.0", "torchgmm")
    note = (
        "torchgmm's `fit` takes no start but means, and makes two passes an iteration; here its training module starts "
        "from the same parameters as all others and makes one."
    )

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        from torchgmm.bayes.gmm import lightning_module

        self.Module = lightning_module.GaussianMixtureLightningModule

    def fit(self) -> Parameters:
        from torchgmm.base.data import DataLoader, collate_tensor, dataset_from_tensors
        from torchgmm.bayes import GaussianMixture
        from torchgmm.bayes.core import cholesky_precision
        from torchgmm.bayes.gmm.model import GaussianMixtureModel, GaussianMixtureModelConfig

        task = self.task
        model = GaussianMixtureModel(GaussianMixtureModelConfig(*task.means.shape, task.covariance_type))
        model.component_probs.copy_(self.weights)
        model.means.copy_(self.means)
        model.precisions_cholesky.copy_(cholesky_precision(self.covariances, task.covariance_type))
        module = self.Module(model, convergence_tolerance=0.0, covariance_regularization=0.0)
        rows = DataLoader(dataset_from_tensors(self.X), batch_size=len(self.X), collate_fn=collate_tensor)
        options = {"max_epochs": task.iterations, "precision": 64, "accelerator": "cpu", "enable_progress_bar": False}
        GaussianMixture(trainer_params=options).trainer().fit(module, rows)
        return model.component_probs, model.means, model.covariances


class AstroML(Library):
    """`astroML.density_estimation.XDGMM`: extreme deconvolution."""

    name = "astroML"
    packages = ("astroML", "scipy")
    requirements = ("astroML==1.0.2.post1",)
    covariance_types = ("noisy",)
    note = (
        "astroML's `fit` takes no start, and computes the log-likelihood after each iteration; here its `_EMstep` is "
        "called, from the same parameters as fastem, and nothing else is timed."
    )

    def __init__(self, threads: int) -> None:
        from astroML.density_estimation import XDGMM

        self.XDGMM = XDGMM

    def fit(self) -> Parameters:
        task = self.task
        self.model = model = self.XDGMM(len(task.weights))
        model.alpha, model.mu, model.V = task.weights, task.means, task.covariances
        for _ in range(task.iterations):
            model._EMstep(task.X, task.errors)
        return model.alpha, model.mu, model.V

    def log_likelihood(self) -> float | None:
        return float(self.model.logL(self.task.X, self.task.errors))


LIBRARIES: dict[str, type[Library]] = {
    library.name: library for library in (Fastem, ScikitLearn, OneDAL, Pomegranate, TorchGMM, AstroML)
}
