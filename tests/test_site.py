"""The documentation site: links lead somewhere, everything public is on it, and no page has an error in a browser.

Pages are those of `FASTEM_SITE`, by default of docs/_build: `sphinx-build -W docs docs/_build` makes them.
"""

import importlib.util
import json
import os
import re
from collections import deque
from functools import cache, partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit

import pytest
from browser import CHROMIUM, Browser
from test_house import LEVELS

import fastem
import fastem.datasets

ROOT = Path(__file__).parent.parent
SITE = Path(os.environ.get("FASTEM_SITE", ROOT / "docs" / "_build"))

built = pytest.mark.skipif(not (SITE / "index.html").exists(), reason=f"no site in {SITE}")
in_browser = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


class Page(HTMLParser):
    """Links and anchors of a page."""

    def __init__(self, path):
        super().__init__()
        self.links, self.anchors, self.sources = [], set(), []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.anchors |= {found[name] for name in ("id", "name") if found.get(name)}
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        if tag in ("img", "script", "link"):
            self.sources += [found[name] for name in ("src", "href") if found.get(name)]


@cache
def pages():
    made_elsewhere = {SITE / "_static", SITE / "dashboard"}
    return {path.resolve(): Page(path) for path in SITE.rglob("*.html") if not made_elsewhere & {*path.parents}}


def target(path, link):
    """File and anchor of a link within the site, or None."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return None
    file = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    return file, unquote(parts.fragment)


def clicks():
    """Number of clicks from the front page to each page."""
    home = (SITE / "index.html").resolve()
    away, queue = {home: 0}, deque([home])
    while queue:
        path = queue.popleft()
        for link in pages()[path].links:
            found = target(path, link)
            if found is not None and found[0] in pages() and found[0] not in away:
                away[found[0]] = away[path] + 1
                queue.append(found[0])
    return away


@built
def test_links_lead_to_files_and_anchors_that_exist():
    broken = []
    for path, page in pages().items():
        for link in page.links + page.sources:
            found = target(path, link)
            if found is None:
                continue
            file, anchor = found
            if not file.exists() or (anchor and file in pages() and anchor not in pages()[file].anchors):
                broken.append(f"{path.name}: {link}")
    assert broken == []


@built
def test_nothing_is_loaded_from_elsewhere():
    assert [source for page in pages().values() for source in page.sources if urlsplit(source).netloc] == []


QUESTIONS = {
    "how to pass weights": ("weights.html", "sample_weight"),
    "how to choose K": ("choose-a-model.html", "How many components"),
    "how to read a Parquet folder": ("sources.html", "A folder of Parquet files"),
    "what lower_bound_ is": ("start.html", "mean log-likelihood of a row"),
    "how to add a family": ("adding-a-family.html", "The family"),
    "why results do not depend on threads": ("reproducibility.html", "Why results do not depend on threads"),
}


@built
@pytest.mark.parametrize("question", QUESTIONS)
def test_answers_are_three_clicks_away(question):
    name, answer = QUESTIONS[question]
    path = (SITE / name).resolve()
    assert clicks()[path] <= 3
    assert answer in path.read_text(encoding="utf-8")


@built
def test_each_page_can_be_reached():
    special = {"search.html", "genindex.html", "py-modindex.html", "sg_execution_times.html"}
    there = {path for path in pages() if path.name not in special and "_modules" not in path.parts}
    assert there - set(clicks()) == set()


@built
def test_everything_public_has_a_page():
    for name in set(fastem.__all__) - {"__version__"}:
        assert (SITE / "api" / "generated" / f"fastem.{name}.html").exists(), name


@built
def test_the_dashboard_has_all_measured_commits_or_says_why_there_is_none():
    results = [json.loads(path.read_text()) for path in (ROOT / "docs" / "performance" / "history").glob("*/*-*.json")]
    assert len({one["commit_hash"] for one in results}) >= 20
    if not (SITE / "dashboard").exists():
        assert "without a history of commits" in (SITE / "performance.html").read_text(encoding="utf-8")
        return
    index = json.loads((SITE / "dashboard" / "index.json").read_text())
    assert {one["commit_hash"] for one in results} <= set(index["revision_to_hash"].values())
    for name in index["benchmarks"]:
        [points] = (SITE / "dashboard" / "graphs").glob(f"branch-*/**/{name}.json")
        assert len(json.loads(points.read_text())) >= 20, name


def test_everything_public_is_in_the_reference():
    reference = (ROOT / "docs" / "api" / "index.rst").read_text()
    listed = re.findall(r"^   ~?([\w.]+)$", reference, flags=re.MULTILINE)
    public = set(fastem.__all__) - {"__version__"}
    public |= {f"datasets.{name}" for name in fastem.datasets.__all__ if name != "DATASETS"}
    assert public <= set(listed)


def test_the_gallery_lists_its_examples():
    examples = list((ROOT / "docs" / "examples").glob("*/*.py"))
    order = (ROOT / "docs" / "_extensions" / "gallery_order.py").read_text()
    assert len(examples) >= 12
    assert all(f'"{path.stem}"' in order for path in examples)


class Quiet(SimpleHTTPRequestHandler):
    """Serves files without logging."""

    def log_message(self, *arguments):
        pass


@pytest.fixture
def address():
    """Address of a local server of the site: from files, the search could not read the pages that it finds."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=SITE)) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@built
@in_browser
@pytest.mark.slow
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (420, True)], ids=["wide and light", "narrow and dark"])
def test_no_page_has_an_error_or_is_wider_than_the_window(width, dark, address, tmp_path):
    too_wide = []
    with Browser(tmp_path, width=width, dark=dark) as browser:
        for path in sorted(pages()):
            browser.open(f"{address}/{path.relative_to(SITE.resolve()).as_posix()}")
            if browser.evaluate("document.documentElement.scrollWidth") > width:
                too_wide.append(path.name)
        theme = browser.evaluate("document.documentElement.dataset.theme")
    assert dict(browser.errors) == {}
    assert too_wide == []
    assert theme == ("dark" if dark else "light")


FOUND = """new Promise(done => {
    const look = () => {
        const summary = document.querySelector("#search-results .search-summary");
        const links = [...document.querySelectorAll("#search-results li > a")].map(link => link.textContent);
        summary && summary.textContent.startsWith("Search finished") ? done(links) : setTimeout(look, 50);
    };
    look();
})"""


@built
@in_browser
@pytest.mark.slow
def test_the_search_finds_attributes(address, tmp_path):
    with Browser(tmp_path) as browser:
        browser.open(f"{address}/search.html?q=lower_bound_")
        found = browser.evaluate(FOUND)
    assert {"GaussianMixture", "Glossary", "Start here"} <= set(found)
    assert dict(browser.errors) == {}


def test_the_diagram_of_layers_is_that_of_the_imports():
    path = ROOT / "docs" / "diagrams.py"
    spec = importlib.util.spec_from_file_location("diagrams", path)
    diagrams = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(diagrams)
    drawn = [names.split() for names, _ in diagrams.LAYERS]
    folders = {path.parent.name for path in Path(fastem.__file__).parent.glob("*/__init__.py")}
    assert {name for names in drawn for name in names} == folders
    for upper, lower in pairwise(drawn):
        assert min(LEVELS[name] for name in upper) >= max(LEVELS[name] for name in lower)
