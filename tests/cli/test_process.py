"""The command line as a process of its own."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import fastem
from fastem.cli import main

pytestmark = pytest.mark.slow


def command(*arguments):
    return [sys.executable, "-m", "fastem", *arguments]


def test_as_a_process_it_succeeds_silently_on_stderr(folder):
    result = subprocess.run(
        command("fit", "iris", "-k", "2", "--output", "m.json"), capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert json.loads((folder / "m.json").read_text())


def test_as_a_process_it_fails_with_status_two(folder):
    result = subprocess.run(command("fit", "nothing", "-k", "2"), capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("fastem: error: ")


def test_as_a_process_it_ends_as_others_do_when_nobody_reads(folder):
    arguments = command("fit", "faithful", "-k", "1-2", "--output", "m.json")
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert (process.stderr.read(), process.wait(timeout=60)) == (b"", 141)
    assert json.loads((folder / "m.json").read_text())


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
@pytest.mark.parametrize("arguments", [["--version"], ["--help"]])
def test_as_a_process_it_tells_a_full_device(arguments):
    with open("/dev/full", "w") as full:
        result = subprocess.run(command(*arguments), stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    told = "fastem: error: cannot print to stdout: No space left on device\n"
    assert (result.returncode, result.stderr) == (2, told)


ENDLESS = """
import sys
import fastem
from fastem.cli import main

fit = fastem.GaussianMixture.fit


def announced(*arguments, **options):
    print("begun", flush=True)
    return fit(*arguments, **options)


fastem.GaussianMixture.fit = announced
sys.exit(main(["fit", "big.npy", "-k", "20", "--tol", "0", "--max-iter", "1000000", "--labels", "l.csv"]))
"""


HALF_MADE = """
import os
import signal
import sys
import fastem
from fastem.cli import main


class Half:
    def __init__(self):
        if {interrupted}:
            os.kill(os.getpid(), signal.SIGINT)
        self.whole = True

    def __del__(self):
        del self.whole, self.missing


fastem.GaussianMixture.fit = lambda *arguments, **options: Half()
sys.exit(main(["fit", "faithful", "-k", "2"]))
"""


@pytest.mark.parametrize("interrupted", [True, False])
def test_as_a_process_it_reports_errors_of_destructors_unless_a_signal_has_caused_them(interrupted):
    code = HALF_MADE.format(interrupted=interrupted)
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ("Exception ignored" in result.stderr) == (not interrupted)
    if interrupted:
        assert (result.returncode, result.stdout, result.stderr) == (130, "", "fastem: interrupted\n")


@pytest.mark.parametrize("delay", [0.3, 1.5])
def test_as_a_process_it_stops_at_an_interrupt(folder, rng, delay):
    np.save("big.npy", rng.normal(size=(20_000, 4)))
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", ENDLESS], **pipes) as process:
        try:
            assert process.stdout.readline() == "begun\n"
            time.sleep(delay)
            process.send_signal(signal.SIGINT)
            output, error = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, output, error) == (130, "", "fastem: interrupted\n")
    assert sorted(os.listdir()) == ["big.npy", "small.csv"]


def test_an_interrupt_that_the_compiler_swallows_is_repeated(capsys, monkeypatch):
    import ctypes

    def interrupted(*arguments, **options):
        def raising():
            raise KeyboardInterrupt

        ctypes.CFUNCTYPE(None)(raising)()
        for _ in range(100):
            time.sleep(0.1)

    monkeypatch.setattr(fastem.GaussianMixture, "fit", interrupted)
    assert main(["fit", "iris", "-k", "1"]) == 130
    assert capsys.readouterr().err == "fastem: interrupted\n"
