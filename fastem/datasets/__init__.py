"""Four small data sets that come with the package.

They are common first examples for mixture models. Each loader says what was measured and by whom.
docs/decisions/licences-of-data.md says what is known of their licences; that of the package does not cover them.
"""

from dataclasses import dataclass
from importlib import resources

import numpy as np
from numpy.typing import NDArray

__all__ = ["DATASETS", "Dataset", "load_dataset", "load_faithful", "load_galaxies", "load_iris", "load_xu"]

DATASETS = ("faithful", "galaxies", "iris", "xu")


@dataclass(frozen=True, eq=False)
class Dataset:
    """A built-in data set.

    Attributes
    ----------
    name : str
        The name that `load_dataset` takes.
    values : ndarray of shape (n_samples, n_features), float64
        The measurements; each call makes a new array.
    columns : tuple of str, length n_features
        Name of each column.
    description : str
        Description of the measurements.
    source : str
        Where the numbers were published, and who else distributes them under which licence.
    labels : ndarray of shape (n_samples,), int64, optional
        The group of each row, -1 where it is not known; None if the groups of all rows are unknown.
    """

    name: str
    values: NDArray[np.float64]
    columns: tuple[str, ...]
    description: str
    source: str
    labels: NDArray[np.int64] | None = None


def load_faithful() -> Dataset:
    """Load 272 eruptions of the Old Faithful geyser.

    Returns
    -------
    Dataset
        `values` of shape (272, 2): duration of the eruption and waiting time to
        the next one, both in minutes.

    Examples
    --------
    >>> from fastem.datasets import load_faithful
    >>> faithful = load_faithful()
    >>> faithful.values.shape
    (272, 2)
    >>> faithful.columns
    ('eruptions_min', 'waiting_min')
    """
    return _read(
        "faithful",
        description=(
            "Eruptions of the Old Faithful geyser in Yellowstone National Park in August 1985: "
            "how long each lasted and how long the next one kept its visitors waiting, in minutes."
        ),
        source=(
            "W. Härdle (1991), Smoothing Techniques with Implementation in S, Springer, "
            "after A. Azzalini and A. W. Bowman (1990), A look at some data on the Old Faithful "
            "geyser, Applied Statistics 39, 357-365. Published measurements; the same numbers are `faithful` in R "
            "(GPL-2 or GPL-3)."
        ),
    )


def load_iris() -> Dataset:
    """Load the sizes of 150 iris flowers, without their species.

    Returns
    -------
    Dataset
        `values` of shape (150, 4): length and width of sepal and petal in
        centimetres. The rows are 50 setosa, 50 versicolor, 50 virginica.

    Examples
    --------
    >>> from fastem.datasets import load_iris
    >>> load_iris().values[0].tolist()
    [5.1, 3.5, 1.4, 0.2]
    """
    return _read(
        "iris",
        description=(
            "Length and width in centimetres of sepals and petals of 150 irises: fifty each of "
            "Iris setosa, versicolor and virginica, in this order."
        ),
        source=(
            "E. Anderson (1935), The irises of the Gaspe Peninsula, Bulletin of the American Iris "
            "Society 59, 2-5; R. A. Fisher (1936), The use of multiple measurements in taxonomic "
            "problems, Annals of Eugenics 7, 179-188. Published measurements; the same numbers are `iris` in R "
            "(GPL-2 or GPL-3) and in scikit-learn (BSD-3-Clause)."
        ),
    )


def load_galaxies() -> Dataset:
    """Load the velocities of 82 galaxies in the Corona Borealis region.

    Returns
    -------
    Dataset
        `values` of shape (82, 1): the velocity away from us in kilometres per
        second. The 78th value is 26690, as in R's MASS; some copies have 26960.

    Examples
    --------
    >>> from fastem.datasets import load_galaxies
    >>> galaxies = load_galaxies()
    >>> galaxies.values.min(), galaxies.values.max()
    (np.float64(9172.0), np.float64(34279.0))
    """
    return _read(
        "galaxies",
        description=(
            "Velocities in km/s of 82 galaxies from six well-separated conic sections of the "
            "Corona Borealis region; clusters of velocities are evidence of voids and superclusters."
        ),
        source=(
            "M. Postman, J. P. Huchra and M. J. Geller (1986), Probes of large-scale structure in "
            "the Corona Borealis region, Astronomical Journal 92, 1238-1247; K. Roeder (1990), "
            "Journal of the American Statistical Association 85, 617-624. Published measurements; the same numbers are "
            "`galaxies` in R's package MASS (GPL-2 or GPL-3)."
        ),
    )


def load_xu() -> Dataset:
    """Load 1100 points of two overlapping groups, of which 100 are labelled.

    Returns
    -------
    Dataset
        `values` of shape (1100, 2), without units; `labels` are -1 for the first 1000 rows, and 0 or 1
        for the last 100.

    Examples
    --------
    >>> import numpy as np
    >>> from fastem.datasets import load_xu
    >>> xu = load_xu()
    >>> xu.values.shape, np.unique(xu.labels, return_counts=True)[1].tolist()
    ((1100, 2), [1000, 43, 57])
    """
    return _read(
        "xu",
        description=(
            "Points in the plane, drawn from two overlapping normal distributions: 1000 of unknown group, then 100 "
            "whose group is known, an example of semi-supervised learning."
        ),
        source=(
            "Siwei Xu (2020), Implement expectation-maximization algorithm (EM) in Python from scratch, Towards Data "
            "Science: em/data/unlabeled.csv, then em/data/labeled.csv, of github.com/VXU1230/Medium-Tutorials, which "
            "names no licence."
        ),
    )


def load_dataset(name: str) -> Dataset:
    """Load a built-in data set by its name.

    Parameters
    ----------
    name : {"faithful", "galaxies", "iris", "xu"}
        Which one.

    Returns
    -------
    Dataset
        The data set that the loader of this name returns.

    Raises
    ------
    ValueError
        If there is no data set of that name.

    Examples
    --------
    >>> from fastem.datasets import load_dataset
    >>> load_dataset("iris").columns
    ('sepal_length', 'sepal_width', 'petal_length', 'petal_width')
    """
    loaders = {"faithful": load_faithful, "galaxies": load_galaxies, "iris": load_iris, "xu": load_xu}
    if name not in loaders:
        raise ValueError(f"no data set is called {name!r}; there are {', '.join(DATASETS)}")
    return loaders[name]()


def _read(name: str, *, description: str, source: str) -> Dataset:
    with (resources.files(__name__) / f"{name}.csv").open(encoding="utf-8") as file:
        columns = tuple(file.readline().strip().split(","))
        values = np.loadtxt(file, delimiter=",", dtype=np.float64, ndmin=2)
    if columns[-1] != "label":
        return Dataset(name, values, columns, description, source)
    return Dataset(name, values[:, :-1].copy(), columns[:-1], description, source, values[:, -1].astype(np.int64))
