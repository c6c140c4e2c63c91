"""Settings of the documentation site: `python -m pip install -e '.[docs]' && sphinx-build -W docs docs/_build`.

`FASTEM_DOCS_INTERSPHINX=1` links names of other projects to their sites, which needs a network.
"""

import os
import sys
from pathlib import Path

from sphinx.application import Sphinx

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE / "_extensions")]

import fastem  # noqa: E402

project = "fastem"
author = "the fastem developers"
copyright = "the fastem developers"
version = release = fastem.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_parser",
    "sphinx_design",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
    "mathml",
    "api_pages",
]
templates_path = ["_templates"]
exclude_patterns = [
    "_build",
    "pictures/*.md",
    "examples",
    "**/README*",
    "auto_examples/**/*.ipynb",
    "auto_examples/**/*.md5",
    "auto_examples/**/*.py",
]
nitpicky = False
show_warning_types = True

# Markdown
myst_enable_extensions = ["colon_fence", "dollarmath", "deflist", "attrs_inline"]
myst_heading_anchors = 3

# Python
autosummary_generate = True
autodoc_typehints = "none"
toc_object_entries_show_parents = "hide"
default_role = "py:obj"  # `fit` in a docstring is a link where that name is known
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
if os.environ.get("FASTEM_DOCS_INTERSPHINX"):
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "python": ("https://docs.python.org/3", None),
        "numpy": ("https://numpy.org/doc/stable", None),
        "sklearn": ("https://scikit-learn.org/stable", None),
        "dask": ("https://docs.dask.org/en/stable", None),
    }

# Gallery: examples run when the site is built, and one that fails ends the build
sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"\.py$",
    "subsection_order": [f"examples/{name}" for name in ("first", "incomplete", "families", "large")],
    "within_subsection_order": "gallery_order.ByList",
    "image_scrapers": ("figures", "matplotlib"),
    "abort_on_example_error": True,
    "backreferences_dir": "api/backreferences",
    "doc_module": ("fastem",),
    "show_signature": False,
    "write_computation_times": False,
    "plot_gallery": "True",
    "matplotlib_animations": False,
    "remove_config_comments": True,
    "capture_repr": (),
    "parallel": 2,
}

# Pages
html_theme = "pydata_sphinx_theme"
html_title = "fastem"
html_static_path = ["_static"]
html_favicon = "_static/logo.svg"
html_css_files = ["fastem.css"]
html_math_renderer = "mathml"
html_show_sourcelink = False
html_context = {"default_mode": "auto"}
html_theme_options = {
    "logo": {"text": "fastem", "image_light": "_static/logo.svg", "image_dark": "_static/logo.svg"},
    "header_links_before_dropdown": 8,
    "navbar_align": "left",
    "show_prev_next": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_sidebars = {"index": [], "start": [], "from-scikit-learn": [], "performance": [], "glossary": [], "when-not": []}


def _draw(app: Sphinx) -> None:
    """Draw the pictures of pages outside the gallery: diagrams, and charts of measurements."""
    import diagrams
    from performance import charts, dashboard

    folder = HERE / "pictures"
    folder.mkdir(exist_ok=True)
    diagrams.draw(folder)
    charts.draw(folder, dashboard.measured())
    (folder / "dashboard.md").write_text(dashboard.LINK if dashboard.in_history() else dashboard.NONE)


def _publish(app: Sphinx, exception: Exception | None) -> None:
    """Publish the dashboard of asv under the pages."""
    from performance import dashboard

    if exception is None and app.builder.format == "html" and dashboard.in_history():
        dashboard.publish(Path(app.outdir) / "dashboard")


def _close_blocks(app: Sphinx, name: str, source: list[str]) -> None:
    """Remove the empty line at the end of a block of code, which only doctest needs."""
    source[0] = source[0].replace("\n\n```\n", "\n```\n")


def setup(app: Sphinx) -> None:
    """Draw pictures before pages are read, and add the dashboard of asv after the build."""
    app.connect("source-read", _close_blocks)
    app.connect("builder-inited", _draw)
    app.connect("build-finished", _publish)
