"""The order of examples within their section of the gallery."""

ORDER = (
    "heights",
    "faithful",
    "galaxies",
    "iris",
    "crabs",
    "missing",
    "measurement_errors",
    "sky_survey",
    "labelled",
    "known_parameters",
    "conditional",
    "deaths",
    "digits",
    "background",
    "heavy_tails",
    "bayesian",
    "cytometry",
    "parquet_folder",
    "stream",
    "algorithms",
    "blood_groups",
)


class ByList:
    """Key of a file, its place in `ORDER`; one that is not there is an error.

    Parameters
    ----------
    folder : str
        Of the examples; not needed.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __call__(self, name: str) -> int:
        """Place of a file."""
        return ORDER.index(name.removesuffix(".py"))

    def __repr__(self) -> str:
        return "ByList"
