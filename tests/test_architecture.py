"""Imports point one way: which modules of the package load which."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import nwb_ophys

ROOT = Path(nwb_ophys.__file__).parent
MODULES = {
    ".".join(("nwb_ophys", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(
        ".__init__"
    ): path
    for path in sorted(ROOT.rglob("*.py"))
}


def statements(node: ast.AST, *, later: bool) -> Iterator[ast.Import | ast.ImportFrom]:
    """Find the imports that run: at once, or `later` too, when functions are called."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.Import, ast.ImportFrom)):
            yield child
        elif isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            yield from statements(ast.Module(child.orelse, []), later=later)
        elif later or not isinstance(child, (ast.FunctionDef, ast.Lambda)):
            yield from statements(child, later=later)


@cache
def imported(module: str, later: bool = False) -> frozenset[str]:
    """Name the modules that a module imports, those of other packages by their full names too."""
    package = module if MODULES[module].name == "__init__.py" else module.rpartition(".")[0]
    found = set()
    for one in statements(ast.parse(MODULES[module].read_text()), later=later):
        if isinstance(one, ast.Import):
            found.update(alias.name for alias in one.names)
            continue
        base = one.module or ""
        if one.level:
            above = package.split(".")[: len(package.split(".")) - one.level + 1]
            base = ".".join((*above, base)).rstrip(".")
        for alias in one.names:
            inside = f"{base}.{alias.name}"
            found.add(inside if inside in MODULES else base)
    return frozenset(found - {module})


def check_order(graph: dict[str, frozenset[str]]) -> None:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"modules import each other: {' -> '.join(error.args[1])}")


def test_modules_load_each_other_one_way():
    check_order({module: imported(module) & MODULES.keys() for module in MODULES})


def test_the_mechanics_of_hdf5_know_no_model_and_call_each_other_one_way():
    below = [module for module in MODULES if module.startswith("nwb_ophys.hdf5")]
    graph = {module: imported(module, True) & MODULES.keys() for module in below}
    check_order(graph)
    others = {
        one for used in graph.values() for one in used if not one.startswith("nwb_ophys.hdf5")
    }
    assert others <= {"nwb_ophys", "nwb_ophys.authored", "nwb_ophys.dtypes", "nwb_ophys.errors"}


def test_models_load_no_h5py():
    seen: set[str] = set()
    waiting = [module for module in MODULES if module.startswith("nwb_ophys.models")]
    while waiting:
        module = waiting.pop()
        if module not in seen:
            seen.add(module)
            used = imported(module)
            assert not any(one.partition(".")[0] == "h5py" for one in used), module
            waiting += used & MODULES.keys()
    assert "nwb_ophys.storage" in seen
