"""README's example does what it shows."""

import doctest
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"


def test_the_example_gives_what_it_shows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # it writes a file
    result = doctest.testfile(str(README), module_relative=False)
    assert result.attempted >= 8
    assert result.failed == 0


def test_the_guide_to_sources_does_what_it_shows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = doctest.testfile(str(ROOT / "docs" / "sources.md"), module_relative=False)
    assert result.attempted >= 8
    assert result.failed == 0


def test_the_pictures_are_there():
    pictures = [part.partition(")")[0] for part in README.read_text().split("](")[1:]]
    assert "tests/data/faithful.png" in pictures
    assert all((ROOT / name).exists() for name in pictures)


def test_the_commands_are_the_extras_that_exist():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for name in ("cli", "test"):
        assert f"'.[{name}]'" in README.read_text()
        assert name in extras
