"""A module imports only from the rows above its own, and heavy or foreign packages stay where they belong."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "dimofs"

#: Who may import whom: a part of the package knows the rows above its own, and nobody else in its row.
ROWS = (
    ("config", "io", "metrics", "flow"),
    ("statistics", "mot"),
    ("datasets",),
    ("pairs", "model"),
    ("training",),
    ("pose", "tracking", "motion", "actions", "recognition"),
    ("video",),
    ("paper",),
    ("cli",),
)
ROW = {name: row for row, names in enumerate(ROWS) for name in names}
#: Parts that must work, and start at once, where no torch is.
LIGHT = ("config", "io", "metrics", "flow", "statistics", "mot", "datasets", "paper")

Imports = dict[str, set[str]]


def imports_of(package: Path) -> Imports:
    """Every module of a package, with the modules that it imports anywhere in its code, as full dotted names."""
    files = {module_name(path, package): path for path in package.rglob("*.py")}
    return {name: set(imported_by(name, path, set(files))) for name, path in files.items()}


def module_name(path: Path, package: Path) -> str:
    parts = (package.name, *path.relative_to(package).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_by(name: str, path: Path, modules: set[str]) -> Iterator[str]:
    here = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = here[: len(here) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                submodule = f"{base}.{alias.name}"
                yield submodule if submodule in modules else base


def part(module: str) -> str:
    """The part of the package that a module belongs to: "dimofs.pose.predict" → "pose"; the package itself → ""."""
    return (*module.split("."), "")[1]


def ladder_violations(imports: Imports) -> list[str]:
    """Imports inside the package that do not lead to a higher row, the part itself or the package's own `__init__`."""
    return sorted(
        f"{module} imports {other}"
        for module, imported in imports.items()
        for other in imported & imports.keys()
        if part(other) not in ("", part(module)) and ROW.get(part(other), -1) >= ROW.get(part(module), -1)
    )


def reached_from(imports: Imports, start: str) -> set[str]:
    """All modules that `start` imports, directly or not; a module also runs its parents."""
    reached: set[str] = set()
    waiting = {start}
    while waiting:
        module = waiting.pop()
        reached.add(module)
        parent = module.rpartition(".")[0]
        waiting |= (imports.get(module, set()) | ({parent} if parent in imports else set())) - reached
    return reached


def users_of(imports: Imports, foreign: str) -> list[str]:
    """Modules that import a foreign package, directly or not."""
    return sorted(
        module for module in imports if any(name.split(".")[0] == foreign for name in reached_from(imports, module))
    )


IMPORTS = imports_of(PACKAGE)


def test_every_part_has_its_row() -> None:
    assert {part(module) for module in IMPORTS} - {""} <= ROW.keys()


def test_imports_lead_up_the_ladder() -> None:
    assert ladder_violations(IMPORTS) == []


def test_the_model_knows_no_data_set() -> None:
    model = {module: imported for module, imported in IMPORTS.items() if part(module) == "model"}
    assert [
        name for name, imported in model.items() if any(name.startswith("dimofs.datasets") for name in imported)
    ] == []


@pytest.mark.parametrize("foreign", ["snakemake", "dvc"])
def test_the_package_knows_no_workflow(foreign: str) -> None:
    assert users_of(IMPORTS, foreign) == []


def test_light_parts_know_no_torch() -> None:
    heavy = users_of(IMPORTS, "torch") + users_of(IMPORTS, "torchvision")
    assert [module for module in heavy if part(module) in LIGHT] == []


def test_light_parts_load_no_torch() -> None:
    """What the source does not show: a third package that loads torch by itself."""
    light = sorted(module for module in IMPORTS if part(module) in LIGHT)
    code = f"import importlib, sys\nfor name in {light}: importlib.import_module(name)\nprint('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PACKAGE.parent, capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "False\n", "")


# ---- the tests above can fail


@pytest.mark.parametrize(("file", "line", "complaint"), [
    ("io.py", "from dimofs.config import Config", "dimofs.io imports dimofs.config"),
    ("datasets/a.py", "import dimofs.pairs.index", "dimofs.datasets.a imports dimofs.pairs.index"),
    ("datasets/a.py", "from ..pairs import index", "dimofs.datasets.a imports dimofs.pairs.index"),
    ("datasets/a.py", "def f():\n    from dimofs.pairs import index", "dimofs.datasets.a imports dimofs.pairs.index"),
    ("pose/a.py", "from dimofs.actions.a import x", "dimofs.pose.a imports dimofs.actions.a"),
    ("__init__.py", "from . import config", "dimofs imports dimofs.config"),
])  # fmt: skip
def test_a_wrong_import_is_found(tmp_path: Path, file: str, line: str, complaint: str) -> None:
    for name in ("__init__.py", "config.py", "io.py", "datasets/__init__.py", "datasets/a.py", "pairs/__init__.py",
                 "pairs/index.py", "pose/__init__.py", "pose/a.py", "actions/__init__.py", "actions/a.py"):  # fmt: skip
        path = tmp_path / "dimofs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "dimofs" / "pairs" / "index.py").write_text("import dimofs\nfrom dimofs.datasets.a import x\n")
    assert ladder_violations(imports_of(tmp_path / "dimofs")) == []
    (tmp_path / "dimofs" / file).write_text(line)
    assert complaint in ladder_violations(imports_of(tmp_path / "dimofs"))


def test_a_foreign_package_is_found_through_others() -> None:
    imports = {"p": set(), "p.q": {"torch.nn"}, "p.a": {"p.b.c"}, "p.b": {"p.q"}, "p.b.c": set(), "p.d": {"numpy"}}
    assert users_of(imports, "torch") == ["p.a", "p.b", "p.b.c", "p.q"]


@pytest.mark.parametrize("module", ["dimofs.model.heads", "dimofs.recognition.rivals"])
def test_networks_load_without_the_compiler(module: str) -> None:
    """It would more than double the time that a verb with a network needs to start, yet it is there when asked for.

    torchvision brings it along for whoever imports it before `dimofs.model`.
    """
    program = (
        f"import sys; import {module}; roi_align = sys.modules['torchvision.ops.roi_align'];"
        "assert 'torch._dynamo' not in sys.modules; assert roi_align.is_compile_supported('cpu') in (True, False);"
        "import torch._dynamo.utils; assert torch._dynamo.utils.is_compile_supported('cpu') in (True, False)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
