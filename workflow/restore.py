"""Restore: after `git clone` or `git checkout`, fetch the outputs that dvc.lock names and have Snakemake trust them.

Snakemake distrusts files that it did not make here (`workflow/origin.py`), but DVC can vouch for them: where outputs,
inputs and code of a chapter are those of dvc.lock, byte for byte, that code made them, with the parameters that
dvc.lock holds. So its records are written with *those* parameters, whatever config.yaml says by now; what has been
edited since is then seen as a change. Any other chapter stays distrusted and is made again.

`python -m workflow.restore [FOLDER]` works on the scenario in FOLDER, by default the current folder.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
CONFIG = "config/config.yaml"


def restore(scenario: Path) -> list[str]:
    """Fetch the outputs of a scenario, record the chapters that DVC vouches for and give their names."""
    locked = yaml.safe_load((scenario / "dvc.lock").read_text(encoding="utf-8"))["stages"]
    fetch = "pull" if _run(scenario, "dvc", "remote", "list") else "checkout"
    _run(scenario, "dvc", fetch, *locked)
    changes = json.loads(_run(scenario, "dvc", "status", "--json", "dvc.yaml"))
    vouched = {name: stage for name, stage in locked.items() if _is_vouched(changes.get(name, []))}
    for parameters, chapters in _groups(vouched):
        _record(scenario, parameters, chapters)
    return list(vouched)


def _is_vouched(changes: list[Any]) -> bool:
    """Tell from `dvc status` whether at most parameters of a chapter have changed."""
    return all(
        isinstance(change, dict) and change.keys() == {"changed deps"} and change["changed deps"].keys() == {CONFIG}
        for change in changes
    )


def _groups(stages: dict[str, Any]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Put chapters that were made with the same values of what they share together; as a rule that is one group."""
    groups: list[tuple[dict[str, Any], dict[str, Any]]] = []
    for name, stage in stages.items():
        own = stage.get("params", {}).get(CONFIG, {})
        for parameters, chapters in groups:
            if all(parameters.get(key, value) == value for key, value in own.items()):
                parameters |= own
                chapters[name] = stage
                break
        else:
            groups.append((dict(own), {name: stage}))
    return groups


def _record(scenario: Path, parameters: dict[str, Any], chapters: dict[str, Any]) -> None:
    """Have Snakemake write the records of chapters, as if it had just made them with these parameters."""
    rules = {rule for stage in chapters.values() for rule in _allowed(stage["cmd"])}
    snakefile = os.path.relpath(ROOT / "Snakefile", scenario)
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as overlay:
        yaml.safe_dump(parameters, overlay)
        overlay.flush()
        touch = ["snakemake", "--snakefile", snakefile, "--quiet", "all", "--touch", "--forceall"]
        _run(scenario, *touch, "--configfile", overlay.name, "--allowed-rules", *sorted(rules), "--", *chapters)


def _allowed(command: str) -> list[str]:
    return command.partition("--allowed-rules ")[2].partition(" -- ")[0].split()


def _run(folder: Path, *command: str) -> str:
    return subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    try:
        restored = restore(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
    except subprocess.CalledProcessError as error:
        lost = "; if the cache lacks outputs, name the remote that has them: `dvc remote add --default NAME URL`"
        sys.exit(f"restore: `{' '.join(error.cmd)}` failed, see above{lost if 'checkout' in error.cmd else ''}")
    except FileNotFoundError as error:
        sys.exit(f"restore: {error.filename}: no such file; no run is recorded here yet")
    print(f"restored: {', '.join(restored) or 'nothing'}")
