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


@pytest.mark.parametrize("guide", ["algorithms", "sources", "incomplete", "families", "plots"])
def test_guides_do_what_they_show(guide, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = doctest.testfile(str(ROOT / "docs" / f"{guide}.md"), module_relative=False)
    assert result.attempted >= 8
    assert result.failed == 0


def linked(text):
    return [part.partition(")")[0] for part in text.split("](")[1:] if not part.startswith("#")]


def test_the_pictures_are_there():
    assert "tests/data/faithful.png" in linked(README.read_text())
    for page in (README, *(ROOT / "docs").glob("*.md")):
        assert all((page.parent / name).exists() for name in linked(page.read_text())), page


def test_the_commands_are_the_extras_that_exist():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for name in ("cli", "test"):
        assert f"'.[{name}]'" in README.read_text()
        assert name in extras
