"""Fixtures that run the command line in a folder of its own."""

import pytest

from fastem.cli import main

SMALL = "height,weight\n1.5,50\n1.6,62\n1.7,61\n1.8,82\n1.9,79\n2.0,95\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.csv").write_text(SMALL)
    return tmp_path


@pytest.fixture
def run(capsys):
    """Run a command that must succeed, returning what it printed."""

    def run(*arguments):
        status = main(list(map(str, arguments)))
        captured = capsys.readouterr()
        assert (status, captured.err) == (0, "")
        return captured.out

    return run


@pytest.fixture
def fail(capsys, folder):
    """Run a command that must fail and create no file, returning its one line on stderr."""

    def fail(*arguments):
        before = sorted(folder.rglob("*"))
        status = main(list(map(str, arguments)))
        captured = capsys.readouterr()
        assert status == 2
        assert captured.err.startswith("fastem: error: ")
        assert captured.err.count("\n") == 1
        assert "Traceback" not in captured.err + captured.out
        assert sorted(folder.rglob("*")) == before
        return captured.err

    return fail
