"""README's example does what it shows."""

import doctest
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"


def test_the_example_gives_what_it_shows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # it writes a file
    result = doctest.testfile(str(README), module_relative=False)
    assert result.attempted >= 8
    assert result.failed == 0


ELSEWHERE = {"adding-a-family"}  # test_adding_a_family.py writes its files first
GUIDES = sorted({path.stem for path in (ROOT / "docs").glob("*.md") if ">>>" in path.read_text()} - ELSEWHERE)


@pytest.mark.parametrize("guide", GUIDES)
def test_guides_do_what_they_show(guide, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = doctest.testfile(str(ROOT / "docs" / f"{guide}.md"), module_relative=False)
    assert result.attempted >= 5
    assert result.failed == 0


def test_there_are_guides():
    assert {"algorithms", "sources", "families", "missing-values", "start"} <= set(GUIDES)


def linked(text):
    """Paths of the files that a page links to, without anchors and without addresses on the web."""
    links = [part.partition(")")[0].partition("#")[0] for part in text.split("](")[1:]]
    return [link for link in links if link and "://" not in link]


def test_the_pictures_are_there():
    assert "tests/data/faithful.png" in linked(README.read_text())


DECISIONS = ROOT / "docs" / "decisions"
PAGES = [README, ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md"), *DECISIONS.glob("*.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_within_the_repository_lead_somewhere(page):
    missing = [name for name in linked(page.read_text()) if not (page.parent / name.partition("#")[0]).exists()]
    assert not missing


def test_every_decision_is_a_line_of_the_list():
    records = {path.name for path in DECISIONS.glob("*.md")} - {"README.md"}
    assert set(linked((DECISIONS / "README.md").read_text())) == records


def test_the_guide_for_contributors_is_short():
    assert len((ROOT / "CONTRIBUTING.md").read_text().splitlines()) <= 150


def test_the_commands_are_the_extras_that_exist():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for name in ("cli", "test"):
        assert f"'.[{name}]'" in README.read_text()
        assert name in extras


def test_readme_is_short():
    assert len(README.read_text().splitlines()) <= 120
