"""Mutants of the package outside its kernels: one small change each, by cosmic-ray's operators.

A *site* is a place that operators of one kind can change; it gives one mutant, chosen by its hash. Sites are
ranked by a hash of the seed and of what they look like (module, function, line), so an edit elsewhere does not change a
sample.
"""

import ast
import difflib
import hashlib
import itertools
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import MutationVisitor
from cosmic_ray.operators.provider import OperatorProvider

Position = tuple[int, int]  # line, column
NEED_ARGUMENTS = {"VariableReplacer", "VariableInserter"}
# Removing these decorators changes only run times or types.
INDIFFERENT_DECORATORS = {"cache", "lru_cache", "cached_property", "overload"}
COMPILED = {"kernel", "inlined", "intrinsic", "njit", "overload"}


@dataclass(frozen=True)
class Mutant:
    """One change: the occurrence of an operator in a file."""

    path: str
    line: int
    function: str
    operator: str
    occurrence: int
    key: str
    before: str

    def source(self, package: Path) -> str:
        """The file's text with the change in it."""
        text = (package / self.path).read_text()
        changed = MutationVisitor.mutate_code(text, OperatorProvider()[self.operator](), self.occurrence)
        assert changed is not None, self
        return str(changed)

    def change(self, package: Path) -> str:
        """The changed lines before and after, in one line."""
        texts = (package / self.path).read_text().splitlines(), self.source(package).splitlines()
        lines = [line.rstrip() for line in difflib.unified_diff(*texts, n=0, lineterm="")][3:]
        before, after = (" ".join(line[1:].strip() for line in lines if line[0] == sign) for sign in "-+")
        return f"`{before}` becomes `{after}`"


def sample(package: Path, size: int, seed: int) -> list[Mutant]:
    """The first `size` mutants that are valid Python, in the order of the seed."""
    ranked = sorted(all_mutants(package, seed), key=lambda mutant: mutant.key)
    return list(itertools.islice((mutant for mutant in ranked if _compiles(mutant.source(package))), size))


def _compiles(text: str) -> bool:
    """Whether the text is valid Python: cosmic-ray takes a bare `*` between parameters for an operator."""
    try:
        compile(text, "mutant", "exec")
    except SyntaxError:
        return False
    return True


def all_mutants(package: Path, seed: int) -> Iterator[Mutant]:
    """One mutant for each site of the package outside its kernels."""
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package).as_posix()
        if not name.startswith("kernels/"):
            yield from mutants_of(name, path.read_text(), seed)


def mutants_of(name: str, text: str, seed: int) -> Iterator[Mutant]:
    """One mutant for each site of a file."""
    lines, functions = text.splitlines(), list(_functions(ast.parse(text)))
    skipped = list(_skipped(ast.parse(text)))
    alike: Counter[tuple[str, ...]] = Counter()
    for (start, kind), operators in sorted(_sites(text).items()):
        if any(first <= start < last for first, last in skipped):
            continue
        line = lines[start[0] - 1]
        if kind == "RemoveDecorator" and INDIFFERENT_DECORATORS & set(line.strip(" @").replace("(", ".").split(".")):
            continue
        function = max((f for f in functions if f[1] <= start[0] <= f[2]), key=lambda f: f[1], default=("", 0, 0))[0]
        look = (name, function, line.strip(), kind)
        key = _hash(seed, *look, alike[look])
        alike[look] += 1
        operator, occurrence = operators[int(key[:8], 16) % len(operators)]
        yield Mutant(name, start[0], function, operator, occurrence, key, line.strip())


def _hash(*parts: object) -> str:
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()


def _sites(text: str) -> dict[tuple[Position, str], list[tuple[str, int]]]:
    """Operators that can change a place, and their occurrences, by the place and their kind."""
    nodes = list(ast_nodes(get_ast(text)))
    sites: dict[tuple[Position, str], list[tuple[str, int]]] = defaultdict(list)
    for name in OperatorProvider():
        if name in NEED_ARGUMENTS:
            continue
        operator = OperatorProvider()[name]()
        positions = (start for node in nodes for start, _ in operator.mutation_positions(node))
        for occurrence, start in enumerate(positions):
            sites[start, name.partition("_")[0]].append((name, occurrence))
    return sites


def _functions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, int, int]]:
    """Name, first and last line of each function and class."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            yield prefix + node.name, first, node.end_lineno or node.lineno
            yield from _functions(node, f"{prefix}{node.name}.")
        else:
            yield from _functions(node, prefix)


def _skipped(tree: ast.AST) -> Iterator[tuple[Position, Position]]:
    """Ranges without mutants: types, formatted text, assertions, `__all__`, and compiled code."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            names = {ast.unparse(decorator).split("(")[0].split(".")[-1] for decorator in node.decorator_list}
            arguments = node.args
            typed = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
            yield from (_range(a.annotation) for a in typed if a is not None and a.annotation is not None)
            if node.returns is not None:
                yield _range(node.returns)
            if names & COMPILED or node.returns is None:  # all but compiled code is typed
                yield (min([node.lineno, *(d.lineno for d in node.decorator_list)]), 0), _range(node)[1]
        elif isinstance(node, ast.AnnAssign):
            yield _range(node if ast.unparse(node.annotation) == "TypeAlias" else node.annotation)
        elif isinstance(node, ast.JoinedStr | ast.Assert) or (
            (isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__")
            or (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
        ):
            yield _range(node)


def _range(node: ast.AST) -> tuple[Position, Position]:
    return (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)  # type: ignore[attr-defined]
