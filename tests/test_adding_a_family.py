"""The family of docs/adding-a-family.md, in a copy of the package, passes the tests of all families."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "adding-a-family.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"^`([\w/]+\.py)`[^\n]*:$", re.MULTILINE)

# One component has a known answer, the mean of each column. The mixture is compared with the scales of the draws.
FIT = """
import numpy as np
from fastem import ExponentialMixture, load

rng = np.random.default_rng(1)
X = rng.exponential(np.where(rng.uniform(size=(3000, 1)) < 0.4, [1.0, 30.0], [10.0, 2.0]))
one = ExponentialMixture().fit(X)
np.testing.assert_allclose(one.scales_[0], X.mean(axis=0), rtol=1e-12)
np.testing.assert_allclose(one.score(X), -(np.log(X.mean(axis=0)) + 1.0).sum(), rtol=1e-12)
model = ExponentialMixture(2, tol=1e-9, max_iter=1000, random_state=0).fit(X)
model.save("model.json")
print(*load("model.json").scales_[model.scales_[:, 0].argsort()].ravel())
"""


def blocks():
    """Path, language and text of each block of code that belongs to a file."""
    text = PAGE.read_text()
    names = [(match.start(), match[1]) for match in NAMED.finditer(text)]
    for match in BLOCK.finditer(text):
        before = [name for start, name in names if start < match.start()]
        yield before[-1], match[1], match[2]


def patched(text, change):
    """Apply a diff without line numbers to a text."""
    lines = change.splitlines(keepends=True)
    before = "".join(line[1:] for line in lines if line[0] != "+")
    after = "".join(line[1:] for line in lines if line[0] != "-")
    assert text.count(before) == 1, f"the old lines of the diff are not in the file exactly once: {before}"
    return text.replace(before, after)


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the package and its tests, with the files of the page."""
    copy = tmp_path_factory.mktemp("checkout")
    for name in ("fastem", "tests"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy2(ROOT / "pyproject.toml", copy)
    for name, language, text in blocks():
        path = copy / name
        assert path.exists() == (language == "diff"), name
        path.write_text(patched(path.read_text(), text) if language == "diff" else text)
    return copy


def python(copy, *arguments):
    """Run Python in the copy, whose package comes before the installed one."""
    environ = {**os.environ, "PYTHONPATH": str(copy)}
    done = subprocess.run([sys.executable, *arguments], cwd=copy, env=environ, text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_fits_mixtures(copy):
    scales = [float(word) for word in python(copy, "-c", FIT).split()]
    np.testing.assert_allclose(scales, [1.0, 30.0, 10.0, 2.0], rtol=0.1)


def test_it_has_every_feature_or_refuses_it(copy):
    everything = ["tests/test_every_family.py", "tests/test_house.py", "-k", "xponential"]
    summary = python(copy, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", *everything)
    assert int(re.search(r"(\d+) passed", summary)[1]) >= 40


def test_its_code_is_as_tidy_as_the_package_itself(copy):
    pytest.importorskip("ruff", reason="an extra of its own")
    names = [name for name, language, _ in blocks() if language == "python"]
    python(copy, "-m", "ruff", "check", *names)
    python(copy, "-m", "ruff", "format", "--check", *names)
