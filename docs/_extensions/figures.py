"""Image scraper of the gallery for figures that pyplot does not manage, such as those of `plot_mixture`."""

from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from sphinx_gallery.scrapers import figure_rst


def scrape(block: Any, block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """Save the figure that the block has bound to the name `figure`, unless pyplot manages it."""
    figure = block_vars["example_globals"].get("figure")
    if not isinstance(figure, Figure) or hasattr(figure, "_in_gallery"):
        return ""
    if figure in map(plt.figure, plt.get_fignums()):  # the scraper of matplotlib runs next, saves and closes it
        figure._in_gallery = True
        return ""
    figure._in_gallery = True
    path = next(block_vars["image_path_iterator"])
    figure.savefig(path, dpi=100)
    return figure_rst([path], gallery_conf["src_dir"])


def _get_sg_image_scraper() -> Any:
    """Return the scraper; sphinx-gallery calls the function of this name."""
    return scrape
