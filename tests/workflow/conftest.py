"""Clones of this working tree, and one real run of the smoke scenario through each door, shared by all tests here."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock

ROOT = Path(__file__).resolve().parents[2]
SPY = Path(__file__).parent / "spy"
SMOKE = "scenarios/smoke"
sys.path.insert(0, str(ROOT))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fix", action="store_true", help="write the compiled files anew instead of comparing them")


@dataclass(frozen=True)
class Clone:
    """A git repository of its own with this working tree in it; runs happen in its smoke scenario."""

    root: Path

    @property
    def scenario(self) -> Path:
        return self.root / SMOKE

    def run(self, *command: str, folder: Path | None = None, check: bool = True, **environment: str) -> str:
        """Run a command in the scenario; give what it prints, standard error included."""
        result = subprocess.run(
            command,
            cwd=folder or self.scenario,
            env=_environment() | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if check and result.returncode:
            raise AssertionError(f"{' '.join(command)} ended with {result.returncode}:\n{result.stdout}")
        return result.stdout

    def git(self, *arguments: str) -> None:
        self.run("git", *arguments, folder=self.root)

    def snakemake(self, *arguments: str, check: bool = True, **environment: str) -> str:
        return self.run("snakemake", "--snakefile", "../../Snakefile", *arguments, check=check, **environment)

    def planned(self, target: str = "all") -> set[str]:
        """Give the rules that Snakemake would run now."""
        text = self.snakemake("-n", "--quiet", "rules", "--", target)
        if "Nothing to be done" in text:
            return set()
        lines = text.partition("Job stats:")[2].partition("Reasons:")[0].splitlines()
        return {line.split()[0] for line in lines if line.split()[1:] and line.split()[1].isdigit()} - {"total", target}

    def stale(self, *targets: str) -> set[str]:
        """Give the chapters that are not as dvc.lock has them."""
        return set(json.loads(self.run("dvc", "status", "--json", "--with-deps", *(targets or ["dvc.yaml"]))))

    def hashes(self) -> dict[str, str]:
        """Give the content of every output, without the seconds that recognition takes: they differ from run to run."""
        files = (path for top in ("data", "results") for path in (self.scenario / top).rglob("*") if path.is_file())
        named = ((path.relative_to(self.scenario).as_posix(), path) for path in files)
        return {
            name: hashlib.sha256(without_seconds(path) if timed(name) else path.read_bytes()).hexdigest()
            for name, path in named
            if path.name not in (".snakemake_timestamp", ".gitignore")
        }

    def times(self) -> dict[str, int]:
        """Give the modification time of every output of a rule."""
        files = [*(self.scenario / "results").rglob("*"), *(self.scenario / "data").glob("*/*")]
        return {str(path): path.stat().st_mtime_ns for path in files if path.is_file()}

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace text that occurs exactly once in a file of the repository."""
        path = self.root / name
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times in {name}"
        path.write_text(text.replace(old, new), encoding="utf-8")

    def append(self, name: str, text: str) -> None:
        with (self.root / name).open("a", encoding="utf-8") as file:
            file.write(text)

    def copy(self, target: Path) -> "Clone":
        """Copy the whole folder with its clocks, as a backup would."""
        shutil.copytree(self.root, target, symlinks=True)
        return Clone(target)

    def clone(self, target: Path) -> "Clone":
        """`git clone`: the committed files and nothing else."""
        self.run("git", "clone", "--quiet", str(self.root), str(target), folder=self.root)
        return Clone(target)


def timed(name: str) -> bool:
    """Whether an output has a column of seconds, or holds a file that has: what recognition costs, and Table 4."""
    return name in ("results/table4.csv", "results/recognition") or name.startswith("results/recognition/cost_")


def without_seconds(path: Path) -> bytes:
    """Give a table without its last column, which is that of the seconds."""
    rows = [line.rpartition(",") for line in path.read_text(encoding="utf-8").splitlines()]
    assert rows[0][2] == "seconds_per_video"
    return "\n".join(row[0] for row in rows).encode()


def _environment() -> dict[str, str]:
    """Let commands find the tools of the running Python, and keep them off the user's own settings."""
    own = {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "DVC_NO_ANALYTICS": "1",
        "GIT_AUTHOR_NAME": "test",
        "GIT_AUTHOR_EMAIL": "test@localhost",
        "GIT_COMMITTER_NAME": "test",
        "GIT_COMMITTER_EMAIL": "test@localhost",
    }
    dropped = ("DVC_", "SNAKEMAKE_", "PYTEST_", "PYTHONPATH")
    return {name: value for name, value in os.environ.items() if not name.startswith(dropped)} | own


def shared(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Clone:
    """Give a clone that the first of pytest-xdist's workers to need it makes; the others wait for it."""
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    made = folder / "made"
    with FileLock(f"{folder}.lock"):
        if not made.exists():
            folder.mkdir()  # fails if another worker has failed to make it
            make(folder / "dimofs")
            made.touch()
    return Clone(folder / "dimofs")


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A repository of the working tree: tracked files, and new ones that git does not ignore; no run is recorded."""

    def make(target: Path) -> None:
        names = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            check=True,
            stdout=subprocess.PIPE,
        ).stdout.decode()
        for name in filter(None, names.split("\0")):
            if (ROOT / name).is_file():
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, target / name)
        for lock in (*target.glob("scenarios/*/dvc.lock"), target / "dvc.lock"):
            lock.unlink(missing_ok=True)
        clone = Clone(target)
        clone.git("init", "--quiet", "--initial-branch", "main")
        clone.git("add", "--all")
        clone.git("commit", "--quiet", "--message", "working tree")

    return shared(tmp_path_factory, "source", make)


@pytest.fixture(scope="session")
def by_snakemake(tmp_path_factory: pytest.TempPathFactory, source: Clone) -> Clone:
    """A clone in which Snakemake has made everything. Read only."""

    def make(target: Path) -> None:
        clone = source.clone(target)
        spied = target.parent / "spied"
        spied.mkdir()
        command = ("snakemake", "--cores", "8", "--directory", SMOKE, "all")
        log = clone.run(*command, folder=target, DIMOFS_SPY=str(spied), PYTHONPATH=f"{SPY}{os.pathsep}{ROOT}")
        (target / "run.log").write_text(log, encoding="utf-8")

    return shared(tmp_path_factory, "by_snakemake", make)


@pytest.fixture(scope="session")
def spied(by_snakemake: Clone) -> Path:
    """Folder of records that the verbs of `by_snakemake` left."""
    return by_snakemake.root.parent / "spied"


@pytest.fixture(scope="session")
def by_dvc(tmp_path_factory: pytest.TempPathFactory, source: Clone) -> Clone:
    """Another clone in which `dvc repro` has made everything; committed, and pushed to a DVC remote. Read only."""

    def make(target: Path) -> None:
        clone = source.clone(target)
        clone.run("dvc", "repro")
        clone.run("dvc", "remote", "add", "--default", "store", str(target.parent / "store"))
        clone.git("add", "--all")
        clone.git("commit", "--quiet", "--message", "a run")
        clone.run("dvc", "push", "dvc.yaml")

    return shared(tmp_path_factory, "by_dvc", make)


@pytest.fixture(scope="session")
def restored(tmp_path_factory: pytest.TempPathFactory, by_dvc: Clone) -> Clone:
    """A fresh clone of `by_dvc` after `make restore`. Read only."""

    def make(target: Path) -> None:
        clone = by_dvc.clone(target)
        clone.run(sys.executable, "-m", "workflow.restore", SMOKE, folder=target)

    return shared(tmp_path_factory, "restored", make)
