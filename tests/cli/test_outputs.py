"""Outputs of the command line: nothing is lost if stdout, a file or a name fails."""

import contextlib
import errno
import io
import os
import signal
import stat
import sys
import threading
import warnings

import numpy as np
import pytest

import fastem
from fastem.cli import main
from fastem.cli.process import complain

pytestmark = pytest.mark.slow

ALL = ("--output", "m.json", "--labels", "l.csv", "--plot", "p.png")
EVERY_KIND = [
    ("--output", "m.json"),
    ("--labels", "l.csv"),
    ("--labels", "l.parquet"),
    *(("--plot", f"p.{ending}") for ending in ("png", "pdf", "svg")),
]


def full_device():
    return open("/dev/full", "w", encoding="utf-8")


def pipe_without_a_reader():
    reader, writer = os.pipe()
    os.close(reader)
    return open(writer, "w", encoding="utf-8")


def closed():
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize(
    ("stdout", "status", "reason"),
    [
        (full_device, 2, "No space left on device"),
        (pipe_without_a_reader, 141, None),
        (closed, 2, "I/O operation on closed file"),
        (lambda: None, 2, "it is closed"),
    ],
)
def test_files_are_written_whatever_becomes_of_stdout(folder, capsys, monkeypatch, stdout, status, reason):
    stream = stdout()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        assert main(["fit", "faithful", "-k", "2", *ALL]) == status
    with contextlib.suppress(AttributeError, OSError):
        stream.close()
    assert sorted(os.listdir()) == ["l.csv", "m.json", "p.png", "small.csv"]
    assert fastem.load("m.json").n_components == 2
    told = f"fastem: error: cannot print to stdout: {reason}; wrote m.json; wrote l.csv; wrote p.png\n"
    assert capsys.readouterr().err == (told if reason else "")


@pytest.mark.parametrize(
    "arguments", [["--help"], ["fit", "--help"], ["--version"], ["info"], ["fit", "iris", "-k", "1"]]
)
def test_whatever_is_printed_a_failing_stdout_is_told_in_a_line(capsys, monkeypatch, arguments):
    for stdout, status in ((full_device, 2), (pipe_without_a_reader, 141)):
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", stdout())
            assert main(arguments) == status
            with contextlib.suppress(OSError):
                sys.stdout.close()
        told = "fastem: error: cannot print to stdout: No space left on device\n"
        assert capsys.readouterr().err == (told if status == 2 else "")


@pytest.mark.parametrize(("encoding", "sign"), [("ascii", "+-"), ("cp1252", "±")])
def test_letters_that_stdout_lacks_are_replaced(folder, monkeypatch, encoding, sign):
    (folder / "names.csv").write_text("длина\n1\n2\n4\n", encoding="utf-8")
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        assert main(["fit", "names.csv", "-k", "1", "--output", "m.json"]) == 0
    output = stream.buffer.getvalue().decode(encoding)
    assert "?????" in output
    assert f" {sign} " in output
    assert output.endswith("wrote m.json\n")


def test_names_from_files_and_paths_reach_neither_stdout_nor_stderr_raw(folder, capsys):
    name = "a\x1b[31mred\x1b]0;title\x07\x9b\u202e[bold]:smile:"
    (folder / "names.csv").write_text(f"{name},b\n1,2\n3,4\n5,9\n", encoding="utf-8")
    assert main(["fit", "names.csv", "-k", "1", "--output", "\x1b[31m.json"]) == 0
    assert main(["fit", "names.csv", "-k", "1", "--columns", "\x1b[31m"]) == 2
    assert main(["fit", "\x1b[31m.csv", "-k", "1"]) == 2
    assert main(["fit", "names.csv", "-k", "1", "--\x1b[31m"]) == 2
    captured = capsys.readouterr()
    assert r"a\x1b[31mred\x1b]0;title\x07\x9b\u202e[bold]:smile:" in captured.out
    assert r"wrote \x1b[31m.json" in captured.out
    assert all(letter.isprintable() or letter == "\n" for letter in captured.out + captured.err)


def test_a_long_name_is_cut_in_tables(run, folder):
    (folder / "names.csv").write_text("n" * 100_000 + ",b\n1,2\n3,4\n5,9\n")
    assert len(run("fit", "names.csv", "-k", 1)) < 5000


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
@pytest.mark.parametrize(("option", "name"), EVERY_KIND)
def test_a_full_disk_is_told_in_a_line_after_the_tables(folder, capsys, option, name):
    os.symlink("/dev/full", name)
    assert main(["fit", "faithful", "-k", "2", option, name]) == 2
    captured = capsys.readouterr()
    assert captured.err == f"fastem: error: cannot write '{name}': No space left on device\n"
    assert "-1130.264" in captured.out
    assert "wrote" not in captured.out
    assert sorted(os.listdir()) == sorted([name, "small.csv"])


@pytest.mark.parametrize(("option", "name"), EVERY_KIND)
def test_pipes_and_devices_are_written_to_and_stay(folder, run, option, name):
    os.mkfifo(name)
    received = []
    reader = threading.Thread(target=lambda: received.append((folder / name).read_bytes()), daemon=True)
    reader.start()
    run("fit", "faithful", "-k", 2, option, name)
    reader.join(timeout=10)
    assert stat.S_ISFIFO(os.stat(name).st_mode)
    os.unlink(name)
    run("fit", "faithful", "-k", 2, option, name)
    usual = (folder / name).read_bytes()  # the times of iterations, and the creation date of a PDF, differ
    assert received[0][:20] == usual[:20]
    assert abs(len(received[0]) - len(usual)) < 100


def test_data_and_outputs_are_told_apart_whatever_their_names(fail, folder):
    os.link("small.csv", "hard.csv")
    os.symlink("small.csv", "soft.csv")
    os.symlink("one.json", "two.csv")
    for name in ("hard.csv", "soft.csv", "./small.csv", f"../{folder.name}/small.csv"):
        assert "would overwrite the data" in fail("fit", "small.csv", "-k", 1, "--labels", name)
    assert "another output" in fail("fit", "small.csv", "-k", 1, "--output", "one.json", "--labels", "two.csv")


def test_names_that_cannot_be_are_told_before_the_fit(fail, run, folder, monkeypatch):
    os.symlink("b.json", "a.json")
    os.symlink("a.json", "b.json")
    (folder / "d.json").mkdir()
    run("fit", "small.csv", "-k", 1, "--output", "m" * 245 + ".json")
    monkeypatch.setattr(fastem.GaussianMixture, "fit", None)
    for name, reason in [
        ("a.json", "'a.json': Too many levels of symbolic links"),
        ("m" * 295 + ".json", "': File name too long"),
        ("d.json", "'d.json': is a folder"),
        ("", "--output '' must end in .json"),
        ("small.csv/m.json", "'small.csv/m.json': Not a directory"),
        ("m\0.json", "null byte"),
    ]:
        assert reason in fail("fit", "small.csv", "-k", 1, "--output", name)
    os.symlink("b.csv", "a.csv")
    os.symlink("a.csv", "b.csv")
    assert "cannot read 'a.csv': Too many levels" in fail("fit", "a.csv", "-k", 1)
    assert "File name too long" in fail("fit", "m" * 300 + ".csv", "-k", 1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(
    ("call", "place", "after", "written"),
    [("fsync", 1, False, False), ("fsync", 3, True, False)]
    + [("replace", place, after, True) for place in (1, 2, 3) for after in (False, True)]
    + [("unlink", 1, False, True), ("unlink", 2, True, True)],
)
def test_signals_that_end_the_process_leave_all_files_or_none(
    folder, capsys, monkeypatch, number, call, place, after, written
):
    usual, calls = getattr(os, call), []

    def interrupted(*arguments):
        calls.append(arguments)
        if len(calls) == place and not after:
            signal.raise_signal(number)
        result = usual(*arguments)
        if len(calls) == place and after:
            signal.raise_signal(number)
        return result

    for name in ALL[1::2]:
        (folder / name).write_text("old")
    with monkeypatch.context() as patch:
        patch.setattr(os, call, interrupted)
        status = main(["fit", "faithful", "-k", "2", *ALL])
    told = "interrupted" if number == signal.SIGINT else f"ended by {number.name}"
    assert (status, capsys.readouterr()) == (128 + number, ("", f"fastem: {told}\n"))
    assert sorted(os.listdir()) == ["l.csv", "m.json", "p.png", "small.csv"]
    assert {(folder / name).read_bytes() != b"old" for name in ALL[1::2]} == {written}
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_warnings_are_a_line_each_and_name_the_model(folder, capsys, rng):
    np.save("huge.npy", rng.normal(size=(50, 2)))
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert main(["fit", "huge.npy", "-k", "1-2", "--reg-covar", "1e308"]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "fastem: warning: k=1 full: overflow encountered in add"
    assert all(line.startswith("fastem: warning: k=") for line in lines)
    assert len(set(lines)) == len(lines)


def test_a_failing_stderr_costs_nothing(folder, monkeypatch):
    for stream in (full_device(), pipe_without_a_reader(), None):
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stderr", stream)
            complain("lost")
            assert main(["fit", "small.csv", "-k", "1", "--output", "m.json"]) == 0
            assert main(["fit", "small.csv", "-k", "0"]) == 2
        with contextlib.suppress(AttributeError, OSError):
            stream.close()
        os.unlink("m.json")


def test_a_terminal_that_has_gone_does_not_stop_the_fit(folder, monkeypatch):
    class GoneTerminal(io.StringIO):
        def isatty(self):
            return True

        def write(self, text):
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(sys, "stderr", GoneTerminal())
    assert main(["fit", "small.csv", "-k", "1-2", "--output", "m.json"]) == 0
    assert fastem.load("m.json").n_features_in_ == 2


def test_names_are_drawn_as_they_are(run, folder):
    (folder / "names.csv").write_text("price $^{ in $,\\$_\x07\n1,2\n3,4\n5,9\n")
    run("fit", "names.csv", "-k", 1, "--plot", "p.svg")
    drawn = (folder / "p.svg").read_text()
    assert "<!-- price $^{ in $ -->" in drawn
    assert r"<!-- \$_\x07 -->" in drawn
