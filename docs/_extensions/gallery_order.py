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
    """Sort key of a file: its place in `ORDER`. A file that is not listed is an error.

    Parameters
    ----------
    folder : str
        Folder of the examples, not used.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __call__(self, name: str) -> int:
        """Return the place of a file in `ORDER`."""
        return ORDER.index(name.removesuffix(".py"))

    def __repr__(self) -> str:
        return "ByList"
