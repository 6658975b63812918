"""Compile the Snakemake DAG into dvc.yaml, one stage a chapter: there is one DAG, and DVC versions what it makes.

A stage runs Snakemake fenced to the rules of its own chapter. DVC decides by content whether a chapter is stale,
Snakemake which of its jobs are. All outputs persist, because DVC would delete them before Snakemake could judge them.

`python -m workflow.compile_dvc` writes the dvc.yaml of every scenario.
"""

import contextlib
import io
import os
from pathlib import Path
from typing import Any

import yaml
from snakemake.api import SnakemakeApi
from snakemake.dag import DAG
from snakemake.settings.types import DAGSettings, OutputSettings, Quietness, ResourceSettings

from dimofs.config import Config, load_config

ROOT = Path(__file__).resolve().parent.parent
RULES = ROOT / "workflow" / "rules"
CONFIG = "config/config.yaml"
HEADER = "# Compiled from the Snakefile by workflow/compile_dvc.py. Do not edit: a test compares.\n"


def scenarios() -> list[Path]:
    """Give the working directory of every scenario: the repository itself and the folders of scenarios/.

    Those on footage are left out: a DVC remote would pass on what is not ours.
    """
    folders = [ROOT, *sorted(path.parent.parent for path in ROOT.glob(f"scenarios/*/{CONFIG}"))]
    return [folder for folder in folders if load_config(folder / CONFIG).datasets.source != "footage"]


def compiled(scenario: Path) -> str:
    """Give the text of the dvc.yaml of a scenario."""
    stages = _stages(build_dag(scenario), os.path.relpath(ROOT, scenario))
    return HEADER + yaml.safe_dump({"stages": stages}, sort_keys=False, width=120, allow_unicode=True)


def build_dag(scenario: Path) -> DAG:
    """Build the DAG of all chapters, whatever exists already; the only touch on what Snakemake keeps to itself."""
    quiet = OutputSettings(quiet={Quietness.ALL})
    with SnakemakeApi(quiet) as api, contextlib.redirect_stdout(io.StringIO()):
        workflow = api.workflow(
            snakefile=ROOT / "Snakefile", workdir=scenario, resource_settings=ResourceSettings(cores=1)
        )
        targets = {rule.name for rule in workflow._workflow.rules if rule.name == chapter(rule)}
        workflow.dag(DAGSettings(targets=targets, forceall=True)).summary()
        return workflow._workflow.dag


def chapter(rule: Any) -> str:
    """Name the chapter of a Snakemake rule: its file. Rules of the Snakefile itself belong to none."""
    path = Path(rule.snakefile)
    return path.stem if path.parent == RULES else ""


def _stages(dag: DAG, root: str) -> dict[str, dict[str, Any]]:
    jobs: dict[str, list[Any]] = {}
    for job in dag.jobs:
        if chapter(job.rule):
            jobs.setdefault(chapter(job.rule), []).append(job)
    homes = {name: _home(name, own) for name, own in jobs.items()}
    order = [path.stem for path in map(Path, dag.workflow.included) if path.stem in jobs]
    return {name: _stage(name, jobs[name], homes, root) for name in order}


def _stage(name: str, jobs: list[Any], homes: dict[str, list[str]], root: str) -> dict[str, Any]:
    file = RULES / f"{name}.smk"
    snakefile = "" if root == "." else f"--snakefile {root}/Snakefile "
    rules = " ".join(sorted({job.rule.name for job in jobs}))
    parameters = [entry.partition("=")[0] for job in jobs for entry in _flat(job.params)]
    code = {entry for entry in parameters if entry.startswith("dimofs/")}
    # The configuration's own code says what its values mean; Snakemake sees the values alone.
    code |= {path.relative_to(ROOT).as_posix() for path in (file, RULES / "common.smk", ROOT / "dimofs/config.py")}
    sections = {entry.partition(".")[0] for entry in parameters} & Config.model_fields.keys()
    read = {_dependency(path, homes) for job in jobs for path in job.input} - {CONFIG, *homes[name]}
    stage = {
        "desc": file.read_text(encoding="utf-8").splitlines()[0].strip('"'),
        "cmd": f"snakemake {snakefile}--allowed-rules {rules} -- {name}",
        "deps": sorted(read) + sorted(path if root == "." else f"{root}/{path}" for path in code),
        "params": [{CONFIG: sorted(sections)}],
        "outs": [{path: {"persist": True}} for path in homes[name]],
    }
    if not sections:
        del stage["params"]
    return stage


def _home(name: str, jobs: list[Any]) -> list[str]:
    """Give what a chapter owns: its folder, or single files where it writes into `results/` itself."""
    outputs = {str(path) for job in jobs for path in job.output}
    for folder in (f"data/{name}", f"results/{name}"):
        if all(path.startswith(f"{folder}/") for path in outputs):
            return [folder]
    return sorted(outputs)


def _dependency(path: str, homes: dict[str, list[str]]) -> str:
    owned = (out for outs in homes.values() for out in outs if path == out or path.startswith(f"{out}/"))
    return next(owned, str(path))


def _flat(values: Any) -> list[str]:
    return [entry for value in values for entry in ([value] if isinstance(value, str) else value)]


if __name__ == "__main__":
    for folder in scenarios():
        (folder / "dvc.yaml").write_text(compiled(folder), encoding="utf-8")
