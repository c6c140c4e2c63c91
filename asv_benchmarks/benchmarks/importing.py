"""Time of an import in a new interpreter."""

from .common import Suite


class Import(Suite):
    """Two statements; scikit-learn, which fastem needs, is the baseline."""

    number = 1

    def timeraw_import_fastem(self):
        """Import the package."""
        return "import fastem"

    def timeraw_import_sklearn_mixture(self):
        """Import the module that fastem stands in for."""
        return "import sklearn.mixture"
