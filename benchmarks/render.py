"""Time the renderer: whole sequences and clips as the workflow writes them, files included, on one core.

Usage: python benchmarks/render.py. Prints its table and puts it between the marks of docs/datasets.md. Processor time
of the one process, single-threaded, counts: what a core gives depends little on what else runs beside it.
"""

import platform
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import cv2

from dimofs.config import load_config
from dimofs.datasets.synthetic.diving48_files import DiveClip, diving48_plan, frames_of, write_dive
from dimofs.datasets.synthetic.jhmdb_files import ActionClip, jhmdb_plan, write_action_clip
from dimofs.datasets.synthetic.posetrack_files import PoseSequence, posetrack_plan, stills_plan, write_sequence
from dimofs.io import replacing

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "datasets.md"
MARKS = ("<!-- render: begin -->\n", "<!-- render: end -->\n")
REPEATS = 7


def seconds(task: PoseSequence | ActionClip | DiveClip) -> float:
    """Processor time to render a task and write all of its files."""
    start = time.process_time()
    if isinstance(task, PoseSequence):
        write_sequence(task)
    elif isinstance(task, ActionClip):
        write_action_clip(task)
    else:
        write_dive(task)
    return time.process_time() - start


def measure(tasks: list[PoseSequence] | list[ActionClip] | list[DiveClip], root: Path) -> tuple[int, float, float]:
    """Frames, and frames a second: the median and the best of the repeats, all tasks together in each."""
    times = []
    for _ in range(REPEATS + 1):
        shutil.rmtree(root)
        root.mkdir()
        times.append(sum(seconds(task) for task in tasks))
    # How long a dive lasts is known when it has been played.
    frames = sum(
        frames_of(root / "rgb" / f"{task.name}.mp4") if isinstance(task, DiveClip) else task.frames for task in tasks
    )
    rates = [frames / each for each in times[1:]]  # the first has the imports and caches
    return frames, statistics.median(rates), max(rates)


def main() -> None:
    cv2.setNumThreads(1)
    sizes = load_config(ROOT / "config" / "config.yaml").datasets
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "rendered"
        root.mkdir()
        for name, tasks in (
            ("posetrack18", posetrack_plan(sizes, 0, root)[:10]),
            ("stills (a scene each)", stills_plan(sizes, 0, root)[:60]),
            ("jhmdb", jhmdb_plan(sizes, 0, root)[::50]),
            ("diving48", diving48_plan(sizes, 0, root)[::60]),
        ):
            frames, median, best = measure(tasks, root)
            rows.append(f"| {name} | {len(tasks)} | {frames} | {median:.0f} | {best:.0f} |")
    lines = [
        f"{sizes.frame_size}×{sizes.frame_size} pixels, one core ({platform.machine()}), processor time with all files "
        f"written: median and best of {REPEATS} runs.",
        "",
        "| data set | sequences | frames | frames/s | best |",
        "|---|---:|---:|---:|---:|",
        *rows,
    ]
    table = "\n".join(lines) + "\n"
    print(table)
    page = PAGE.read_text(encoding="utf-8")
    start, end = page.index(MARKS[0]) + len(MARKS[0]), page.index(MARKS[1])
    with replacing(PAGE) as temporary:
        temporary.write_text(page[:start] + table + page[end:], encoding="utf-8")


if __name__ == "__main__":
    main()
