"""Members that API pages show: those that fastem itself defines."""

from typing import Any

from sphinx.application import Sphinx


def _skip(app: Sphinx, what: str, name: str, member: Any, skip: bool, options: Any) -> bool | None:
    """Leave out members that estimators inherit from scikit-learn, which documents them."""
    if what != "class":
        return None
    if name.isupper():  # internal constants of classes
        return True
    if type(member).__name__ == "_tuplegetter":  # a field of a named tuple, which the docstring describes
        return True
    function = getattr(member, "fget", member)
    module = getattr(function, "__module__", None)
    foreign = isinstance(module, str) and module.split(".")[0] not in ("fastem", "builtins")
    return True if foreign else None


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to autodoc."""
    app.connect("autodoc-skip-member", _skip)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
