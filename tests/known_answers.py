"""Public data sets with maximum-likelihood answers, as printed by their sources.

Every answer is the exact maximum: natural logarithms, totals over the rows, no floor on the
covariances. A figure is a string, so that its printed digits say how closely it must be met.
"Published" figures are in print; "computed" ones come from an independent float64 EM run to
convergence from many starts.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent / "data"

# Days with 0, 1, ..., 9 deaths of women over 80 in The Times, London, 1910-1912.
DEATHS = (162, 267, 271, 185, 111, 61, 27, 8, 3, 1)
DEATH_ROWS = np.repeat(np.arange(10.0), DEATHS)[:, None]
DEATHS_START = {"n_components": 2, "weights_init": [0.5, 0.5], "rates_init": [[1.0], [3.0]]}

# Earthquakes of magnitude 7 or more in each year, 1900-2006.
EARTHQUAKES = (
    *(13, 14, 8, 10, 16, 26, 32, 27, 18, 32, 36, 24, 22, 23, 22, 18, 25, 21, 21, 14, 8, 11),
    *(14, 23, 18, 17, 19, 20, 22, 19, 13, 26, 13, 14, 22, 24, 21, 22, 26, 21, 23, 24, 27, 41),
    *(31, 27, 35, 26, 28, 36, 39, 21, 17, 22, 17, 19, 15, 34, 10, 15, 22, 18, 15, 20, 15, 22),
    *(19, 16, 30, 27, 29, 23, 20, 16, 21, 21, 25, 16, 18, 15, 18, 14, 10, 15, 8, 15, 6, 11),
    *(8, 7, 18, 16, 13, 12, 13, 20, 15, 16, 12, 18, 15, 16, 13, 15, 16, 11, 11),
)

NAN = float("nan")

# Oxygen consumption, run time and run pulse of 31 men, with missing values: SAS/STAT's Fitness1.
FITNESS = (
    *((44.609, 11.37, 178), (45.313, 10.07, 185), (54.297, 8.65, 156), (59.571, NAN, NAN), (49.874, 9.22, NAN)),
    *((44.811, 11.63, 176), (NAN, 11.95, 176), (NAN, 10.85, NAN), (39.442, 13.08, 174), (60.055, 8.63, 170)),
    *((50.541, NAN, NAN), (37.388, 14.03, 186), (44.754, 11.12, 176), (47.273, NAN, NAN), (51.855, 10.33, 166)),
    *((49.156, 8.95, 180), (40.836, 10.95, 168), (46.672, 10, NAN), (46.774, 10.25, NAN), (50.388, 10.08, 168)),
    *((39.407, 12.63, 174), (46.08, 11.17, 156), (45.441, 9.63, 164), (NAN, 8.92, NAN), (45.118, 11.08, NAN)),
    *((39.203, 12.88, 168), (45.79, 10.47, 186), (50.545, 9.93, 148), (48.673, 9.4, 186), (47.92, 11.5, 170)),
    (47.467, 10.5, 170),
)
FITNESS_LOG_LIKELIHOOD = "-198.918606"
FITNESS_MEAN = ("47.104076", "10.554857", "171.381639")
FITNESS_COVARIANCE = ("27.797921", "-6.457980", "2.015517", "-18.031416", "3.516328", "97.766958")  # lower triangle

# Johnson and Wichern, Applied Multivariate Statistical Analysis: one EM step from the moments of the observed values.
FOUR_ROWS = ((NAN, 0, 3), (7, 2, 6), (5, 1, 2), (NAN, NAN, 5))
FOUR_ROWS_MEAN = ("6.031818", "1.075", "4")

# xu_labeled with its labels as known, together with xu_unlabeled; computed.
LABELLED_LOG_LIKELIHOOD = "-2836.032405"
LABELLED_WEIGHT = ".586348"
LABELLED_MEANS = ("-1.043615", "-1.041140", ".990029", ".994020")


@dataclass(frozen=True)
class Answer:
    """Maximum-likelihood estimate of a family on a data set: the maximum that EM reaches from the start."""

    family: str
    data: str
    start: tuple  # the components' means or rates
    log_likelihood: str
    source: str
    figures: dict = field(default_factory=dict)  # sorted by the first mean or rate

    def __str__(self):
        return f"{self.data}-{self.family}-{len(self.start)}-{self.log_likelihood}"


def load(name):
    """Rows of a data set, and how often each row counts (None: once)."""
    if name == "deaths":
        return np.arange(10.0)[:, None], np.array(DEATHS, dtype=float)
    if name == "deaths, row by row":
        return DEATH_ROWS, None
    if name == "earthquakes":
        return np.array(EARTHQUAKES, dtype=float)[:, None], None
    if name == "waiting":
        return _read("faithful")[:, 1:], None
    if name == "galaxies":
        return _read("galaxies") / 1000, None
    return _read(name), None


def assert_meets(value, figure):
    """Claim that a value rounds to the figure: within half a unit of its last digit.

    Sums over the rows need not be accurate beyond 12 digits.
    """
    half_unit = 0.5 * 10.0 ** Decimal(figure).as_tuple().exponent
    expected = float(figure)
    tolerance = max(half_unit, 1e-12 * abs(expected))
    assert abs(value - expected) <= tolerance, f"{value!r} is not {figure}"


def _read(name):
    return np.loadtxt(FOLDER / f"{name}.csv", delimiter=",", skiprows=1, ndmin=2)


DEATHS_FIGURES = {
    "weights": (".3598853970", ".6401146030"),
    "rates": ("1.2560951012", "2.6634043566"),
}
DEATHS_SOURCE = "computed; rates 1.2560951012662, 2.6634043566619 published with turboEM"

ANSWERS = (
    Answer(
        "tied",
        "waiting",
        ((54,), (80,)),
        "-1034.00176036",
        "computed; weights, means and standard deviation published with mixtools, whose run stops "
        "with the fifth decimal of the means still moving: four are claimed",
        {
            "weights": (".36085", ".63915"),
            "means": ("54.6136", "80.0903"),
            "standard deviations": ("5.86909",),
        },
    ),
    Answer("full", "waiting", ((54,), (80,)), "-1034.00174983", "computed"),
    Answer("full", "faithful", ((3, 70),), "-1289.796745", "computed"),
    Answer("full", "faithful", ((2, 54), (4.3, 80)), "-1130.263960", "computed"),
    Answer("full", "faithful", ((2, 54), (3.5, 70), (4.3, 80)), "-1119.214", "computed"),
    Answer(
        "full",
        "faithful",
        ((1.84, 52), (2.15, 55.8), (4.29, 80)),
        "-1114.439873",
        "computed; a higher optimum, with a narrow component",
    ),
    Answer(
        "tied",
        "faithful",
        ((2, 54), (3.8, 77), (4.5, 81)),
        "-1126.315928",
        "computed; mclust's default stops at -1126.326 (published)",
        {"bic": ("2314.295678",)},
    ),
    Answer("full", "iris", ((5, 3.4, 1.5, 0.2), (6.2, 2.8, 4.9, 1.7)), "-214.354704", "computed"),
    Answer(
        "full",
        "iris",
        ((5, 3.4, 1.5, 0.2), (5.7, 2.8, 4.5, 1.3), (6.5, 2.9, 5.5, 2)),
        "-180.185477",
        "computed",
    ),
    Answer("full", "galaxies", ((20,),), "-240.337891", "computed; the 78th row is 26690"),
    Answer("full", "galaxies", ((19,), (21,)), "-220.243277", "computed"),
    Answer(
        "full",
        "galaxies",
        ((9.7,), (22,)),
        "-220.057973",
        "computed with the oracle; a higher optimum, with the seven slowest galaxies apart",
    ),
    Answer("full", "galaxies", ((9.7,), (21.4,), (33,)), "-203.179228", "computed"),
    Answer("full", "galaxies", ((9.7,), (19.75,), (21.9,), (33,)), "-197.453764", "computed"),
    Answer(
        "full",
        "xu_unlabeled",
        ((-1, -1), (1, 1)),
        "-2571.967994",
        "computed",
        {
            "weights": (".41186", ".58814"),
            "means": ("-1.04956", "-1.03366", ".98432", ".99509"),
        },
    ),
    Answer("poisson", "deaths", ((2,),), "-2001.397847", "computed"),
    Answer("poisson", "deaths", ((1,), (3,)), "-1989.945859882964", DEATHS_SOURCE, DEATHS_FIGURES),
    Answer(
        "poisson",
        "deaths, row by row",
        ((1,), (3,)),
        "-1989.945859882964",
        DEATHS_SOURCE,
        DEATHS_FIGURES,
    ),
    Answer("poisson", "earthquakes", ((20,),), "-391.918928", "computed"),
    Answer("poisson", "earthquakes", ((15,), (27,)), "-360.369044", "computed"),
)
