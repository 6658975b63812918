"""The reference run: copy tables and figures of a finished run to docs/reference/ and write down where they come from.

`python -m workflow.reference` takes the default scenario as it lies in results/, with the times of its rules from
logs/benchmarks/. Run it right after `make all`, from the commit that made the results.
"""

import json
import platform
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "docs/reference"
TABLES = ("table1", "table3", "table3_differences")
FIGURES = ("figure6", "figure7", "training_curves")


def job_times(benchmarks: Path) -> pd.DataFrame:
    """Read Snakemake's benchmark files: job (chapter/file), wall and processor seconds, peak memory in GB."""
    rows = []
    for path in sorted(benchmarks.rglob("*.jsonl")):
        record = json.loads(path.read_text(encoding="utf-8").splitlines()[-1])
        job = path.relative_to(benchmarks).with_suffix("").as_posix()
        rows.append((job, float(record["s"]), float(record["cpu_time"]), record["max_rss"] / 1024))
    return pd.DataFrame(rows, columns=["job", "wall s", "processor s", "peak GB"])


def markdown(table: pd.DataFrame) -> str:
    """Write a table as Markdown, floats with one decimal."""
    rows = [
        ["" if pd.isna(value) else f"{value:.1f}" if isinstance(value, float) else str(value) for value in row]
        for row in table.itertuples(index=False)
    ]
    lines = [list(map(str, table.columns)), ["---"] * len(table.columns), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def processor() -> str:
    """Name the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def main() -> None:
    """Copy tables and figures and write docs/reference/README.md."""
    OUT.mkdir(parents=True, exist_ok=True)
    for name in TABLES:
        shutil.copyfile(ROOT / f"results/{name}.csv", OUT / f"{name}.csv")
    for name in FIGURES:
        shutil.copyfile(ROOT / f"results/{name}.png", OUT / f"{name}.png")
    times = job_times(ROOT / "logs/benchmarks")
    revision = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True)
    table1, table3, differences = (pd.read_csv(OUT / f"{name}.csv") for name in TABLES)
    means = table1[table1["joint"] == "mean"].drop(columns=["joint", "dataset"])
    sections = [
        "# The reference run",
        f"Written by `python -m workflow.reference` from commit `{revision.stdout.strip()}`: default scenario, "
        f"embedded data. {processor()}, {platform.system()}, Python {platform.python_version()}, "
        f"torch {version('torch')}, torchvision {version('torchvision')}. Intervals: 95 %, over videos or clips.",
        "## Table 3",
        markdown(table3),
        "The paper's columns are on JHMDB split 1, ours on embedded data in JHMDB's layout.",
        markdown(differences),
        "## Table 1, mean over the 15 joints",
        markdown(means),
        "All joints: [table1.csv](table1.csv). The paper's values are on PoseTrack17 val.",
        *(f"![{name}]({name}.png)" for name in FIGURES),
        "## Times",
        "Wall and processor seconds and peak memory of every job, as Snakemake measured them; jobs ran side by side.",
        markdown(times),
    ]
    (OUT / "README.md").write_text("\n\n".join(sections) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
