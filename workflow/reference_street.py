"""The reference run on real people: copy tables and curves of scenarios/street to docs/reference/street/.

`python -m workflow.reference_street` takes the scenario as it lies in its results/, with the times of its jobs; run it
from the commit that made them. What shows the footage, as Figure 3 does, stays where it is: its rights are unclear.
"""

import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from dimofs.config import Footage, load_config
from dimofs.io import write_csv
from dimofs.paper.report import job_times, machine
from workflow.reference import markdown, minutes

ROOT = Path(__file__).resolve().parent.parent
STREET = ROOT / "scenarios/street"
OUT = ROOT / "docs/reference/street"
COPIED = (
    "table1.csv", "table2.csv", "motion.csv", "pose/average_precision.csv", "pose/differences.csv",
    "figure6.png", "figure6.pdf", "training_curves.png",
)  # fmt: skip


def main() -> None:
    """Copy tables and curves and write docs/reference/street/README.md."""
    OUT.mkdir(parents=True, exist_ok=True)
    for name in COPIED:
        shutil.copyfile(STREET / "results" / name, OUT / Path(name).name)
    config = load_config(STREET / "config/config.yaml")
    footage = config.datasets.footage
    assert footage is not None
    times = job_times(STREET / "logs/benchmarks")
    revision = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True)
    facts = ", ".join(f"{name.lower()} {value}" for name, value in machine().items())
    poses, changes = pd.read_csv(OUT / "average_precision.csv"), pd.read_csv(OUT / "differences.csv")
    motion = pd.read_csv(OUT / "motion.csv")
    for name, table in (("average_precision", poses), ("differences", changes)):  # which say nothing of their data
        write_csv(table.assign(dataset=motion["dataset"][0]), OUT / f"{name}.csv")
    renamed = times.rename(columns={"wall": "wall s", "processor": "processor s", "memory": "peak MB"})
    at_ends = poses["delta"].isin([0, poses["delta"].min(), poses["delta"].max()])
    ends = changes["minuend_delta"].isin([0, poses["delta"].min(), poses["delta"].max()])
    sections = [
        "# Real people: the reference run of scenarios/street",
        f"Written by `python -m workflow.reference_street` from commit `{revision.stdout.strip()}` and its "
        f"[configuration](../../../scenarios/street/config/config.yaml); {facts}, torch {version('torch')}, "
        f"torchvision {version('torchvision')}.",
        f"**Every number here rests on pseudo-labels**: poses that another network found ({footage.poses.name}), not "
        "annotations by people. They train and they judge. What is found here is agreement with a teacher.",
        _about(footage, config.pretrain.still.steps, config.pretrain.pose.steps),
        "![Figure 6 on real people, against pseudo-labels](figure6.png)",
        "## Pose mAP, mean over the 15 joints, against pseudo-labels",
        markdown(poses[(poses["joint"] == "mean") & at_ends].drop(columns=["joint", "seeds", "sd"])),
        "Differences, paired; every δ and joint: [average_precision.csv](average_precision.csv), "
        "[differences.csv](differences.csv), [table1.csv](table1.csv).",
        markdown(changes[(changes["joint"] == "mean") & ends].drop(columns=["joint", "seeds", "sd"])),
        "## Tracking, MOTA against pseudo-labels",
        markdown(pd.read_csv(OUT / "table2.csv").drop(columns=["seeds", "sd"])),
        "## Motion at the joints, against pseudo-labels, at the largest δ",
        markdown(
            motion[(motion["delta"] == motion["delta"].max()) & motion["against"].isna()].drop(
                columns=["quantity", "against", "dataset"]
            )
        ),
        "Every δ and the paired differences: [motion.csv](motion.csv).",
        "![Training curves, against pseudo-labels](training_curves.png)",
        "## Times",
        f"All jobs together took {minutes(times['processor'].sum())} of processor time. Wall and processor seconds and "
        "peak memory of each, as Snakemake measured them; jobs ran side by side, and on a machine with other work, so "
        "processor time is what to compare.",
        markdown(renamed),
    ]
    (OUT / "README.md").write_text("\n\n".join(sections) + "\n", encoding="utf-8")


def _about(footage: Footage, still: int, pose: int) -> str:
    """Say what was trained and judged on what."""
    return (
        f"Frames {footage.train.first}–{footage.train.last} of one video train, frames {footage.val.first}–"
        f"{footage.val.last} test. One single-frame network is trained from random weights ({still} steps); the "
        f"single-frame baseline and DiMoFs go on from there, each for {pose} steps on the same Frames A. Brackets and "
        f"bands are 95 % intervals, bootstrapped over clips of {footage.clip_frames} consecutive frames: there is one "
        "video, neighbouring frames are near-copies, and a false detection belongs to no track, so blocks of frames "
        "are what can be drawn. People who are seen in several clips tie these together, so the intervals are rather "
        "too narrow, and they say nothing of other streets, cameras or teachers."
    )


if __name__ == "__main__":
    main()
