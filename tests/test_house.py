"""The structure of the package: which modules import, warn and print, and that public objects are documented."""

import ast
import doctest
import importlib
import inspect
from pathlib import Path

import pytest

import fastem
from fastem.mixtures import FACES

PACKAGE = Path(fastem.__file__).parent

# From the bottom up. Folders and modules import from lines above their own only; those of a folder from each other too.
LAYERS = """
system kernels datasets
families
engine
data
em
persistence
mixtures
fastem
warmup environment plotting
cli
__main__
"""
LEVELS = {room: level for level, line in enumerate(LAYERS.split("\n")) for room in line.split()}

PLOTTING = ("convergence", "criteria", "mixture_display", "mixtures", "uncertainty")
DOCUMENTED_MODULES = (
    "fastem",
    "fastem.engine.compiled",
    "fastem.datasets",
    "fastem.environment",
    "fastem.persistence.models",
    *(f"fastem.plotting.{module}" for module in PLOTTING),
    "fastem.warmup",
)
MODULES_WITH_EXAMPLES = (
    "fastem.plotting.shapes",
    "fastem.persistence.checkpoint",
    "fastem.cli",
    "fastem.cli.errors",
    "fastem.cli.options",
    "fastem.mixtures.conditioning",
    "fastem.mixtures.conversion",
    "fastem.datasets",
    "fastem.environment",
    "fastem.mixtures.fitted",
    "fastem.mixtures.predictions",
    "fastem.mixtures.criteria",
    "fastem.em.fixed_point",
    "fastem.mixtures.imputation",
    "fastem.mixtures.representation",
    "fastem.system.interrupts",
    "fastem.mixtures.base",
    "fastem.mixtures.streaming",
    "fastem.persistence.models",
    "fastem.plotting.directions",
    *(f"fastem.plotting.{module}" for module in PLOTTING),
    "fastem.mixtures.student_t",
    "fastem.em.priors",
    "fastem.data.streams.npy",
    "fastem.data.streams.source",
    "fastem.em.algorithms.incremental",
    "fastem.em.algorithms.sparse",
    "fastem.em.algorithms.stepwise",
    "fastem.warmup",
    *(f"fastem.mixtures.{face.module}" for face in FACES.values()),
)
# Imports by name when a file is read, because the file names the class of its model.
LATE_IMPORTS = {"fastem.persistence.models": ["fastem"], "fastem.system.records": ["fastem"]}
ESTIMATORS = tuple(getattr(fastem, name) for name in FACES)


def name_of(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


TREES = {name_of(path): ast.parse(path.read_text(), str(path)) for path in sorted(PACKAGE.rglob("*.py"))}


def room_of(module):
    """Package or module directly below fastem; fastem itself for the module of its public names."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else parts[0]


def imports_of(module):
    """Absolute names of all imported modules, wherever in the file: in functions and for type checkers too."""
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                yield submodule if submodule in TREES else node.module


def calls_of(module):
    return [ast.unparse(node.func) for node in ast.walk(TREES[module]) if isinstance(node, ast.Call)]


def test_every_module_has_its_place():
    assert {room_of(module) for module in TREES} == LEVELS.keys()


@pytest.mark.parametrize("module", TREES)
def test_imports_run_downward(module):
    room = room_of(module)
    ours = {room_of(name) for name in imports_of(module) if name.partition(".")[0] == "fastem"} - {room}
    upward = {name for name in ours if LEVELS[name] >= LEVELS[room]}
    assert not upward, f"{module} imports {upward}"


def test_imports_by_name_are_few():
    late = {
        module: sorted(
            node.args[0].value
            for node in ast.walk(TREES[module])
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module")
            if isinstance(node.args[0], ast.Constant)
        )
        for module in TREES
    }
    assert {module: names for module, names in late.items() if names} == LATE_IMPORTS


FOLDERS = sorted({room_of(module) for module in TREES if module.count(".") > 1})


@pytest.mark.parametrize("room", FOLDERS)
def test_modules_of_a_folder_do_not_import_in_circles(room):
    edges = {
        module: {name for name in imports_of(module) if room_of(name) == room and name in TREES} - {module}
        for module in TREES
        if room_of(module) == room
    }
    package = edges.pop(f"fastem.{room}")
    assert not any(f"fastem.{room}" in below for below in edges.values()), "no module imports its own folder"
    while edges:
        leaves = {module for module, below in edges.items() if not (below & edges.keys())}
        assert leaves, f"{sorted(edges)} import in circles"
        edges = {module: below for module, below in edges.items() if module not in leaves}
    assert package <= TREES.keys()


def test_only_the_jit_module_chooses_how_numba_compiles():
    """Six modules of kernels extend numba, most of them by vectors."""
    users = {
        module for module in TREES if any(name.split(".")[0] in ("numba", "llvmlite") for name in imports_of(module))
    }
    names = "registers", "vectors", "shuffles", "blocks", "instructions", "turns"
    teachers = {f"fastem.kernels.{name}" for name in names}
    assert users == {"fastem.kernels.jit", "fastem.kernels.cache"} | teachers
    for module in teachers:
        calls = {ast.unparse(node) for node in ast.walk(TREES[module]) if isinstance(node, ast.Attribute)}
        assert not any(name.endswith("njit") or ".config" in name for name in calls)


def test_algorithms_know_no_family():
    for module in TREES:
        if module.startswith("fastem.em.algorithms"):
            below = set(imports_of(module))
            assert not {"families", "kernels"} & set(map(room_of, below))
            assert "fastem.engine.compiled" not in below


def test_families_do_not_know_each_other():
    for module in TREES:
        if room_of(module) == "families" and module != "fastem.families":
            siblings = {name.removeprefix("fastem.families.") for name in imports_of(module)} - set(imports_of(module))
            assert all(name.startswith("_") for name in siblings), module


def test_only_the_driver_the_start_and_the_cache_warn():
    warning = {module for module in TREES if "warnings.warn" in calls_of(module)}
    there = {"fastem.em.loop", "fastem.em.initialization.clustering", "fastem.kernels.cache"}
    assert warning == there | {"fastem.data.cluster.collections"}


def test_only_the_driver_and_the_command_line_print():
    printing = {module for module in TREES if "print" in calls_of(module)}
    assert {module for module in printing if room_of(module) != "cli"} == {"fastem.em.loop"}


def public_objects(module):
    """Objects in `__all__`, or all functions and classes that the module defines under a public name."""
    names = getattr(module, "__all__", None) or [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    ]
    return [(name, getattr(module, name)) for name in names if callable(getattr(module, name))]


@pytest.mark.parametrize("module", DOCUMENTED_MODULES)
def test_what_is_public_is_documented(module):
    module = importlib.import_module(module)
    assert module.__doc__
    for name, value in public_objects(module):
        assert value.__doc__, name
        for method, function in inspect.getmembers(value, inspect.isfunction) if inspect.isclass(value) else ():
            assert method.startswith("_") or inspect.getdoc(function), f"{name}.{method}"


SHAPES = {
    "X": "X : array-like of shape (n_samples, n_features",  # or fewer columns
    "sample_weight": "sample_weight : array-like of shape (n_samples,), default=None",
}
RESULTS = {
    "fit_predict": "labels : ndarray of shape (n_samples,)",
    "predict": "labels : ndarray of shape (n_samples,)",
    "predict_proba": "resp : ndarray of shape (n_samples, n_components)",
    "score_samples": "log_prob : ndarray of shape (n_samples,)",
    "sample": "X : ndarray of shape (n_samples, n_features)",
}


def described_in(function):
    """Names of parameters with an entry `a, b : type` in the section on parameters."""
    section = inspect.getdoc(function).partition("\nParameters\n----------\n")[2].partition("\n\n")[0]
    entries = [line for line in section.split("\n") if not line.startswith(" ") and " : " in line]
    return {name.lstrip("*") for entry in entries for name in entry.partition(" : ")[0].split(", ")}


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_the_methods_of_estimators_state_shapes(estimator):
    for name, method in inspect.getmembers(estimator, inspect.isfunction):
        if name.startswith("_") or not method.__module__.startswith("fastem"):
            continue
        described = described_in(method)
        for parameter in set(inspect.signature(method).parameters) - {"self"}:
            assert parameter in described, f"{name}: {parameter}"
            assert SHAPES.get(parameter, parameter) in method.__doc__, f"{name}: {parameter}"
        assert RESULTS.get(name, "") in method.__doc__, name


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_every_parameter_and_attribute_of_an_estimator_is_documented(estimator):
    for name in inspect.signature(estimator).parameters:
        assert f"\n{name} : " in inspect.cleandoc(estimator.__doc__), name
    # named here as well, so that a new attribute is described in both places
    fitted = ["weights_", "converged_", "n_iter_", "lower_bound_", "lower_bounds_", "stop_reason_", "history_"]
    for name in fitted:
        assert f"\n{name} : " in inspect.cleandoc(estimator.__doc__), name


def test_examples_are_where_they_are_thought_to_be():
    with_examples = {
        module
        for module, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ">>>" in (ast.get_docstring(node) or "")
    }
    assert with_examples == set(MODULES_WITH_EXAMPLES)


@pytest.mark.parametrize("module", MODULES_WITH_EXAMPLES)
def test_examples_give_what_they_show(module):
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    result = doctest.testmod(importlib.import_module(module), optionflags=flags)
    assert result.attempted > 0
    assert result.failed == 0
