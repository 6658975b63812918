"""Files that are made from others: dvc.yaml, the schema, the conda environment, the lock file."""

import difflib
import os
import re
import tomllib
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from conftest import ROOT
from packaging.requirements import Requirement

from workflow import compile_dvc, compile_schema, reference

#: Names of packages that conda-forge calls differently.
CONDA_NAMES = {"torch": "pytorch", "opencv-python": "py-opencv"}


def same(path: Path, text: str, fix: bool) -> None:
    if fix:
        path.write_text(text, encoding="utf-8")
    old = path.read_text(encoding="utf-8")
    if old != text:
        diff = difflib.unified_diff(old.splitlines(), text.splitlines(), str(path), "compiled", lineterm="")
        pytest.fail("\n".join(["run pytest tests/workflow/test_compiled.py --fix", *diff]), pytrace=False)


@pytest.mark.parametrize("scenario", compile_dvc.scenarios(), ids=lambda path: path.name)
def test_dvc_yaml_is_compiled_from_the_snakefile(scenario: Path, request: pytest.FixtureRequest) -> None:
    same(scenario / "dvc.yaml", compile_dvc.compiled(scenario), request.config.getoption("--fix", default=False))


def test_schema_is_compiled_from_the_models(request: pytest.FixtureRequest) -> None:
    same(compile_schema.PATH, compile_schema.compiled(), request.config.getoption("--fix", default=False))


def test_the_readme_has_the_findings_of_the_reference_run(request: pytest.FixtureRequest) -> None:
    path, tables = ROOT / "README.md", {name: pd.read_csv(reference.OUT / f"{name}.csv") for name in reference.TABLES}
    compiled = reference.with_findings(path.read_text(encoding="utf-8"), tables)
    assert reference.findings(tables) in compiled  # its marks are there
    same(path, compiled, request.config.getoption("--fix", default=False))


def test_every_key_must_be_written_and_is_explained() -> None:
    """DVC compares what stands in config.yaml: a default filled in by the models would escape it."""
    schema = yaml.safe_load(compile_schema.compiled())
    for name, model in {"Config": schema, **schema["$defs"]}.items():
        assert model["additionalProperties"] is False, name
        assert set(model["required"]) == set(model["properties"]), name
        assert model["description"], name


def extras(project: dict[str, Any]) -> list[str]:
    """What the environments install beside the dependencies: all extras but that of a cluster's login node."""
    return [entry for name, extra in project["optional-dependencies"].items() if name != "cluster" for entry in extra]


def test_conda_environment_has_the_bounds_of_pyproject() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    wanted += extras(project["project"])
    bounds = {CONDA_NAMES.get(entry.name, entry.name): entry.specifier for entry in map(Requirement, wanted)}
    bounds["python"] = Requirement(f"python{project['project']['requires-python']}").specifier
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    found = {entry.name: entry.specifier for entry in map(Requirement, environment["dependencies"])}
    assert found.pop("pip", None) is not None
    assert found == bounds


def test_lock_pins_every_requirement_with_hashes_and_names_no_host() -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    for trace in ("://", "-index-url", "--find-links", "--trusted-host"):
        assert trace not in text, f"requirements.lock names a host: {trace}"
    entries = [entry for entry in re.split(r"\n(?=\S)", text) if not entry.startswith("#")]
    assert all(re.match(r"[\w.\-\[\]]+==\S+", entry) and "--hash=sha256:" in entry for entry in entries)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *extras(project)]
    pinned = {
        match["name"]: match["version"] for match in re.finditer(r"^(?P<name>[\w.\-]+)==(?P<version>\S+)", text, re.M)
    }
    for requirement in map(Requirement, wanted):
        assert requirement.specifier.contains(pinned[requirement.name]), requirement


def test_the_times_of_a_run_come_from_the_ends_and_lengths_of_its_jobs(tmp_path: Path) -> None:
    jobs = (
        ("datasets/jhmdb", 1100, 60),
        ("datasets/stills", 1090, 80),  # from 1010, and beside the last one
        ("paper/table3", 2000, 20),  # after a pause
        ("pretrain/single_frame", 2010, 50),  # began before Table 3 and ended after it
        ("paper/claims", 2250, 5),
    )
    for job, end, seconds in jobs:
        path = tmp_path / f"{job}.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f'{{"s": 9999}}\n{{"s": {seconds}}}\n', encoding="utf-8")
        os.utime(path, (end, end))
    assert reference.busy(tmp_path) == (90 + 40, 90 + 50 + 5)
    assert reference.minutes(1523.6) == "25 min 24 s"
