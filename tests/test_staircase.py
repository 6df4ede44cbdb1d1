"""The house: each app imports only to its left, nothing imports the roof, and no module needs itself."""

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
STAIRS = ("accounts", "mail", "diagnostics", "pipeline", "mailhelper")
OUTSIDE = {".venv", "var", "tests"}


@cache
def modules() -> dict[str, Path]:
    """Every module of ours but the tests, by its dotted name."""
    paths = (path.relative_to(ROOT) for path in ROOT.rglob("*.py"))
    ours = (path for path in paths if path.parts[0] not in OUTSIDE)
    return {".".join(path.with_suffix("").parts).removesuffix(".__init__"): ROOT / path for path in ours}


@cache
def imports_of(module: str) -> frozenset[str]:
    """What a module imports anywhere in it, functions included: modules, and names out of modules."""
    path = modules()[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    return frozenset(imported(path.read_text(encoding="utf-8"), package))


def imported(source: str, package: str = "") -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{origin(node, package)}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and imports_by_name(node):
            names.add(node.args[0].value)
    return names


def origin(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module
    base = package.split(".")[: len(package.split(".")) - node.level + 1]
    return ".".join([*base, *([node.module] if node.module else [])])


def imports_by_name(call: ast.Call) -> bool:
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    named = bool(call.args) and isinstance(call.args[0], ast.Constant) and isinstance(call.args[0].value, str)
    return named and name in {"import_module", "import_string", "__import__"}


def top(name: str) -> str:
    return name.partition(".")[0]


def module_in(name: str) -> str | None:
    """`accounts.vault` for both `accounts.vault` and `accounts.vault.seal`."""
    return next((known for known in (name, name.rpartition(".")[0]) if known in modules()), None)


def needs(module: str) -> set[str]:
    return {found for name in imports_of(module) if (found := module_in(name)) and found != module}


def climbing(of: str) -> set[tuple[str, str]]:
    to_the_right = STAIRS[STAIRS.index(of) + 1 :]
    return {
        (module, name)
        for module in modules()
        for name in imports_of(module)
        if top(module) == of and top(name) in to_the_right
    }


def test_the_search_sees_every_way_to_import():
    source = """
import a.b as c
from d import e
from . import f
from ..g import h
def later():
    from i.j import k
    importlib.import_module("l.m")
if TYPE_CHECKING:
    import n
"""
    assert imported(source, "x.y") == {"a.b", "d.e", "x.y.f", "x.g.h", "i.j.k", "l.m", "n"}


def test_every_app_of_the_house_is_looked_at():
    assert {top(module) for module in modules()} >= set(STAIRS)
    assert {"accounts.vault", "mail.imap", "diagnostics.health", "pipeline.runner"} <= set(modules())
    assert "accounts.vault" in needs("accounts.actions.keys")


@pytest.mark.parametrize("app", STAIRS)
def test_an_app_imports_only_to_its_left(app):
    assert climbing(app) == set()


def test_nothing_but_the_roof_itself_imports_the_roof():
    under_it = {module for module in modules() if top(module) != "mailhelper"}
    assert {
        module for module in under_it if any(top(name) == "mailhelper" for name in imports_of(module))
    } == set()


def test_only_the_bench_imports_the_tests():
    users = {top(module) for module in modules() if any(top(name) == "tests" for name in imports_of(module))}
    assert users == {"bench"}


def test_only_the_vault_imports_cryptography():
    users = {
        module for module in modules() if any(top(name) == "cryptography" for name in imports_of(module))
    }
    assert users == {"accounts.vault"}


def test_no_module_needs_itself_through_others():
    try:
        TopologicalSorter({module: needs(module) for module in modules()}).prepare()
    except CycleError as error:
        pytest.fail(" ← ".join(error.args[1]))
