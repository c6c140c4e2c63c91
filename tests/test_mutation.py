"""The mutation tests' own tables: each module has tests, each mutant of a kernel is one change."""

from pathlib import Path

import pytest
from mutation.kernels import KERNEL_MUTANTS
from mutation.targets import TARGETS, named_for

import fastem

HERE = Path(__file__).parent
PACKAGE = Path(fastem.__file__).parent
MODULES = [path.relative_to(PACKAGE).as_posix() for path in sorted(PACKAGE.rglob("*.py"))]


@pytest.mark.parametrize("module", [name for name in MODULES if not name.startswith("kernels/")])
def test_every_module_has_tests(module):
    assert named_for(module)
    assert all((HERE.parent / name).exists() for name in named_for(module))


def test_every_entry_of_the_table_is_a_module():
    assert all((PACKAGE / name).exists() for name in TARGETS)


@pytest.mark.parametrize("number", range(len(KERNEL_MUTANTS)))
def test_a_mutant_of_a_kernel_is_one_change_and_still_python(number):
    mutant = KERNEL_MUTANTS[number]
    text = mutant.source(PACKAGE)
    assert text != (PACKAGE / mutant.path).read_text()
    compile(text, mutant.path, "exec")
