"""The reference run: copy tables and figures of a finished run to docs/reference/, and say what made them.

`python -m workflow.reference` takes the default scenario as it lies in results/, with the times of its rules from
logs/benchmarks/, and brings the README's findings up to date. Run it after `make results/table3.csv` and `make all`,
from the commit that made the results.
"""

import csv
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version
from itertools import zip_longest
from pathlib import Path

import pandas as pd

from dimofs.paper.claims import VERDICTS
from dimofs.paper.report import job_times, machine
from dimofs.paper.wording import decimals, number

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "docs/reference"
TABLES = ("table1", "table2", "table3", "table3_differences", "table4", "motion", "claims")
FIGURES = ("figure3", "figure6", "figure7", "training_curves")
# The README's table: where a row stands, which it is, what it says. Of a gain the sign is written in any case.
FINDINGS = (
    ("table1", "method == 'single_frame' and joint == 'mean'", "Table 1: pose mAP of the single-frame baseline"),
    ("claims", "claim == 'pose-gain'", "Table 1: what DiMoFs training adds to it"),
    ("claims", "claim == 'pose-beats-copy'", "Figure 6: DiMoFs ten frames away less copies of detections"),
    ("claims", "claim == 'pose-graceful-drop'", "Figure 6: DiMoFs ten frames away less the single-frame baseline"),
    ("claims", "claim == 'tracking-gain'", "Table 2: what DiMoFs add to MOTA"),
    ("table3", "column == '6'", "Table 3: frame-mAP of actions with DiMoFs, δ = 10 (column 6)"),
    ("table3_differences", "difference == '6 − 4'", "Table 3: what motion adds to it (δ = 10 instead of 0)"),
    ("table3_differences", "difference == '6 − 3'", "Table 3: what DiMoFs training adds to it"),
    ("table3_differences", "difference == '6 − 5'", "Table 3: DiMoFs less optical flow"),
    ("table4", "model == 'Ours-init (Pose)'", "Table 4: dives recognised by clusters of poses, %"),
    ("claims", "claim == 'dives-dimofs-in-clusters'", "Table 4: what DiMoFs add to these"),
    ("claims", "claim == 'dives-flow-helps-poses'", "Table 4: what optical flow adds to these"),
    ("table4", "model == 'Ours-final (Pose + DiMoFs)'", "Table 4: the network that learned the clusters, %"),
    ("claims", "claim == 'dives-trn'", "Table 4: the same less TRN"),
)
# Of each table, the column of the paper's value and that of ours.
VALUES = {
    "table1": ("paper_ap", "ap"),
    "table3": ("paper_map", "map"),
    "table3_differences": ("paper_difference", "map_difference"),
    "table4": ("paper_accuracy", "accuracy"),
    "claims": ("paper", "measured"),
}


def markdown(table: pd.DataFrame) -> str:
    """Write a table as Markdown: a value and its interval (`ci_low`, `ci_high`) in one cell, empty columns left out.

    A value with an interval has its decimals from that, for rows may differ in unit; other numbers from their column.
    """
    table = table.dropna(axis="columns", how="all")
    lines: list[list[str]] = []
    for name, following in zip_longest(table.columns, table.columns[1:]):
        if name in ("ci_low", "ci_high"):
            continue
        title, column = str(name).replace("_", " "), table[name]
        if not pd.api.types.is_numeric_dtype(column):
            lines.append([title, "---", *column.fillna("").astype(str)])
        elif following == "ci_low":
            rows = zip(column, table["ci_low"], table["ci_high"], strict=True)
            lines.append([title, "---:", *(estimate(*row, decimals(column)) for row in rows)])
        else:
            digits = decimals(column)
            lines.append([title, "---:", *("" if pd.isna(value) else number(value, digits=digits) for value in column)])
    return "\n".join("| " + " | ".join(line) + " |" for line in zip(*lines, strict=True))


def estimate(value: float, low: float, high: float, digits: int, sign: str = "") -> str:
    """Write a value with its interval, or with so many decimals where it has none."""
    if pd.isna(value):
        return ""
    if pd.isna(low):
        return number(value, sign, digits)
    digits = max(decimals([value, low, high]), 1)
    return f"{number(value, sign, digits)} [{number(low, digits=digits)}, {number(high, digits=digits)}]"


def verdicts(claims: pd.DataFrame) -> str:
    """Count the verdicts of a ledger in a sentence."""
    counts = claims["verdict"].value_counts()
    *others, last = (f"{counts[verdict]} are {verdict}" for verdict in VERDICTS if verdict in counts)
    return f"Of the {len(claims)} claims in the ledger **{', '.join(others)} and {last}**."


def findings(tables: Mapping[str, pd.DataFrame]) -> str:
    """Count the verdicts and list what the paper and the run find, as Markdown."""
    lines = ["| | paper | here |", "| --- | ---: | ---: |"]
    for name, query, text in FINDINGS:
        (row,) = tables[name].query(query).to_dict("records")
        paper, ours = (row[column] for column in VALUES[name])
        sign = "+" if name in ("claims", "table3_differences") else ""
        here = estimate(ours, row["ci_low"], row["ci_high"], digits=1, sign=sign)
        lines.append(f"| {text} | {number(paper, sign)} | {here} |")
    return f"{verdicts(tables['claims'])}\n\n" + "\n".join(lines)


def with_findings(readme: str, tables: Mapping[str, pd.DataFrame]) -> str:
    """Give the README with the findings between their marks."""
    begin, end = "<!-- findings: begin -->", "<!-- findings: end -->"
    return re.sub(f"(?<={begin}).*(?={end})", lambda _: f"\n\n{findings(tables)}\n\n", readme, flags=re.DOTALL)


def minutes(seconds: float) -> str:
    """Write a time as minutes and seconds."""
    return f"{round(seconds) // 60} min {round(seconds) % 60} s"


def busy(benchmarks: Path) -> tuple[float, float]:
    """Seconds in which jobs ran until Table 3 was there, and in all; pauses of a run that went on later do not count.

    A benchmark file is written when its job ends, so this holds for jobs that ran in one go.
    """
    paths = list(benchmarks.rglob("*.jsonl"))
    ends = {path: path.stat().st_mtime for path in paths}
    lengths = {path: float(json.loads(path.read_text(encoding="utf-8").splitlines()[-1])["s"]) for path in paths}
    jobs = sorted((ends[path] - lengths[path], ends[path]) for path in paths)

    def until(last: float) -> float:
        total, reached = 0.0, jobs[0][0]
        for start, end in jobs:
            total += max(min(end, last) - max(start, reached), 0)
            reached = max(reached, end)
        return total

    return until(ends[benchmarks / "paper/table3.jsonl"]), until(max(ends.values()))


def jobs_of(table: str) -> set[str]:
    """Name the jobs behind a table, as Snakemake lists them."""
    command = [sys.executable, "-m", "snakemake", "--summary", f"results/{table}.csv"]
    summary = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    logs = [row["log-file(s)"] for row in csv.DictReader(summary.splitlines(), delimiter="\t")]
    return {log.removeprefix("logs/").removesuffix(".log") for log in logs}


def main() -> None:
    """Copy tables and figures, and write docs/reference/README.md and the findings in README.md."""
    OUT.mkdir(parents=True, exist_ok=True)
    for name in TABLES:
        shutil.copyfile(ROOT / f"results/{name}.csv", OUT / f"{name}.csv")
    for name in FIGURES:
        shutil.copyfile(ROOT / f"results/{name}.png", OUT / f"{name}.png")
    shutil.copyfile(ROOT / "results/clusters/clusters.png", OUT / "clusters.png")
    to_table3, whole = busy(ROOT / "logs/benchmarks")
    times = job_times(ROOT / "logs/benchmarks")
    times = times.rename(columns={"wall": "wall s", "processor": "processor s", "memory": "peak MB"})
    seconds, behind_3 = times.set_index("job")["processor s"], jobs_of("table3")
    of_3 = seconds[seconds.index.isin(behind_3)].sum()
    of_4 = seconds[seconds.index.isin(jobs_of("table4") - behind_3)].sum()
    revision = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True)
    tables = {name: pd.read_csv(OUT / f"{name}.csv") for name in TABLES}
    table1, table2, table3, differences, table4, motion, claims = tables.values()
    facts = ", ".join(f"{name.lower()} {value}" for name, value in machine().items())
    sections = [
        "# The reference run",
        f"Written by `python -m workflow.reference` from commit `{revision.stdout.strip()}`: default scenario, "
        f"embedded data; {facts}, torch {version('torch')}, torchvision {version('torchvision')}. "
        "Intervals: 95 %, over videos or clips. `make all` writes all of it as one page, `results/report.html`.",
        "## Which claims of the paper hold",
        f"{verdicts(claims)} All of it: [claims.csv](claims.csv).",
        markdown(claims[claims["verdict"] != "not run"].drop(columns=["claim"])),
        "## Table 1, mean over the 15 joints",
        markdown(table1[table1["joint"] == "mean"].drop(columns=["joint", "dataset"])),
        "All joints: [table1.csv](table1.csv). The paper's values are on PoseTrack17 val.",
        "![Figure 6](figure6.png)",
        "## Table 2",
        markdown(table2),
        "## Table 3",
        markdown(table3),
        "The paper's columns are on JHMDB split 1, ours on embedded data in JHMDB's layout.",
        markdown(differences),
        "![Figure 7](figure7.png)",
        "## Table 4",
        markdown(table4),
        "The paper's values are on Diving48 with its V1 labels, ours on embedded dives with V2's. What stands for the "
        "paper's pre-training is in [decisions.md](../decisions.md).",
        "Members nearest to the centres of a dozen clusters of the rendered dives, by pose and DiMoFs:",
        "![Clusters](clusters.png)",
        "## Motion, δ = 5",
        markdown(
            motion[(motion["delta"] == 5) & motion["against"].isna()].drop(columns=["quantity", "against", "dataset"])
        ),
        "Every δ and the paired differences: [motion.csv](motion.csv). The paper has no such numbers.",
        "![Figure 3](figure3.png)",
        "## Training curves",
        "![Training curves](training_curves.png)",
        "## Times",
        f"Jobs ran for **{minutes(to_table3)}** until `results/table3.csv` was there, and for "
        f"**{minutes(whole - to_table3)}** more until everything else was: **{minutes(whole)}** together, and "
        f"{minutes(seconds.sum())} of processor time, {minutes(of_3)} of them for Table 3 and {minutes(of_4)} for what "
        "Table 4 needs besides.",
        "Wall and processor seconds and peak memory of every job, as Snakemake measured them; jobs ran side by side.",
        markdown(times),
    ]
    (OUT / "README.md").write_text("\n\n".join(sections) + "\n", encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (ROOT / "README.md").write_text(with_findings(readme, tables), encoding="utf-8")


if __name__ == "__main__":
    main()
