"""Which code a verb runs, as hashes that no comment, docstring or layout can change.

`dimofs.cli` imports lazily: a verb's code is its own function, the functions of `dimofs.cli` that it calls, and every
module of the package that those import, directly or through other modules. This is read from the source, nothing is
imported. Two things are left out on purpose: blocks under `if TYPE_CHECKING`, which never run, and `dimofs.config`,
whose every value is a parameter of the rules already (`rules/common.smk`) and which changes with each new chapter.
"""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CLI = "dimofs.cli"
PARAMETERS = "dimofs.config"
DATA = ("*.csv", "*.jinja", "*.yaml")


def fingerprint(verb: str) -> dict[str, str]:
    """Hash the code of a verb, named by its function in `dimofs.cli`.

    Keys are files relative to the repository: modules, and data files beside them that the package reads.
    """
    modules, source = _verb(verb)
    hashes = {"dimofs/cli.py": _hash(source.encode())}
    for module in _reachable(modules):
        path = _file(module)
        hashes[_name(path)] = _hash(_code(module)[1].encode())
        hashes |= {_name(data): _hash(data.read_bytes()) for kind in DATA for data in path.parent.glob(kind)}
    return dict(sorted(hashes.items()))


def _verb(name: str) -> tuple[set[str], str]:
    """Give the modules that a function of `dimofs.cli` imports, and its code with all that it refers to there."""
    parts = _cli()
    if not isinstance(parts.get(name), ast.FunctionDef):
        raise ValueError(f"dimofs/cli.py has no verb {name!r}")
    wanted, found = [name], {name}
    for part in wanted:
        names = {node.id for node in ast.walk(parts[part]) if isinstance(node, ast.Name)}
        wanted += sorted((names & parts.keys()) - found)
        found |= names & parts.keys()
    chosen = [parts[part] for part in sorted(found)]
    return {module for part in chosen for module in _imports(part)}, "\n".join(ast.unparse(part) for part in chosen)


@cache
def _cli() -> dict[str, ast.stmt]:
    """Give the functions, imports and constants of `dimofs.cli` by name."""
    parts: dict[str, ast.stmt] = {}
    for statement in _tree(CLI).body:
        if isinstance(statement, ast.FunctionDef):
            parts[statement.name] = _body(statement)
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            parts |= {alias.asname or alias.name.partition(".")[0]: statement for alias in statement.names}
        elif isinstance(statement, ast.Assign):
            parts |= {target.id: statement for target in statement.targets if isinstance(target, ast.Name)}
    return parts


def _body(function: ast.FunctionDef) -> ast.FunctionDef:
    """Drop decorators and annotations: they only shape the help text."""
    function.decorator_list, function.returns = [], None
    for argument in [*function.args.args, *function.args.kwonlyargs]:
        argument.annotation = None
    return function


def _reachable(modules: set[str]) -> set[str]:
    found: set[str] = set()
    wanted = set(modules)
    while wanted:
        found |= wanted
        wanted = {used for module in wanted for used in _code(module)[0]} - found
    return found


@cache
def _code(module: str) -> tuple[frozenset[str], str]:
    tree = _tree(module)
    return frozenset(_imports(tree)), ast.unparse(tree)


def _tree(module: str) -> ast.Module:
    tree = ast.parse(_file(module).read_text(encoding="utf-8"))
    for node in [tree, *_statements(tree)]:
        if hasattr(node, "body"):
            node.body = [part for part in node.body if not _is_idle(part)] or [ast.Pass()]
    return tree


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """Give all statements in a node, with handlers and cases, but no expressions: those are twenty times as many."""
    for field in ("body", "orelse", "finalbody", "handlers", "cases"):
        for part in getattr(node, field, ()):
            yield part
            yield from _statements(part)


def _is_idle(statement: ast.AST) -> bool:
    """Tell whether a statement never does anything: a docstring or a block for type checkers."""
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Constant)
    test = statement.test if isinstance(statement, ast.If) and not statement.orelse else None
    return isinstance(test, ast.Name) and test.id == "TYPE_CHECKING"


def _imports(tree: ast.AST) -> Iterator[str]:
    """Give every module of the package that is imported in `tree`, lazily or not, with the packages above it."""
    for node in [tree, *_statements(tree)]:
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            parts = name.split(".")
            above = [".".join(parts[: end + 1]) for end in range(len(parts))]
            yield from (module for module in above if module != PARAMETERS and _file(module).exists())


@cache
def _file(module: str) -> Path:
    path = ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_name(f"{path.name}.py")


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
