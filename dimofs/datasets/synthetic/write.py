"""Render the embedded data sets and write them in the official layouts of PoseTrack18 and JHMDB.

Every sequence has its own random stream, named by data set, split and position, so the files do not depend on the
number of workers, and a larger data set begins with the smaller one.
"""

import multiprocessing
import shutil
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2
from tqdm import tqdm

from dimofs.config import Datasets
from dimofs.datasets.records import DatasetError
from dimofs.datasets.synthetic.jhmdb_files import ActionClip, jhmdb_plan, write_action_clip, write_splits
from dimofs.datasets.synthetic.posetrack_files import PoseSequence, posetrack_plan, stills_plan, write_sequence

#: The file that marks a folder as rendered, and so as one that may be replaced.
MARKER = "RENDERED.txt"

_PLANS: dict[str, Callable[[Datasets, int, Path], Sequence[PoseSequence | ActionClip]]] = {
    "posetrack18": posetrack_plan,
    "stills": stills_plan,
    "jhmdb": jhmdb_plan,
}


def render(name: str, datasets: Datasets, seed: int, root: Path, workers: int) -> None:
    """Render a data set into the folder `root`, which appears when all of it is there.

    Args:
        name: "posetrack18", "stills" or "jhmdb".
        datasets: sizes, from the configuration.
        seed: root of every random stream.
        root: the folder; an earlier rendering there is replaced.
        workers: processes; the files do not depend on it.

    Raises:
        DatasetError: for another name, or where `root` holds something that was not rendered.
    """
    if name not in _PLANS:
        raise DatasetError(f"{name}: no such embedded data set; there are {', '.join(_PLANS)}")
    if root.exists() and not (root / MARKER).is_file() and (not root.is_dir() or any(root.iterdir())):
        raise DatasetError(f"{root}: holds files that were not rendered here (no {MARKER}); move it away and try again")
    root.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=root.parent, prefix=f".{root.name}-"))
    try:
        _run(_PLANS[name](datasets, seed, folder), workers, name)
        if name == "jhmdb":
            write_splits(folder, seed)
        (folder / MARKER).write_text(
            f"{name}: rendered by dimofs from seed {seed} in the official layout, see docs/datasets.md.\n"
            "This is no recorded footage. The next rendering replaces the folder.\n",
            encoding="utf-8",
        )
        folder.chmod(0o755)
        if root.exists():
            shutil.rmtree(root)
        folder.rename(root)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(tasks: Sequence[PoseSequence | ActionClip], workers: int, name: str) -> None:
    """Do all tasks in `workers` processes behind one progress bar that counts frames."""
    chunk = max(1, min(16, len(tasks) // (4 * workers)))
    with (
        ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _one_thread) as pool,
        tqdm(total=sum(task.frames for task in tasks), desc=f"render {name}", unit="frame") as bar,
    ):
        for frames in pool.map(_write, tasks, chunksize=chunk):
            bar.update(frames)


def _one_thread() -> None:
    """Workers share the cores; OpenCV's own threads would only get in each other's way."""
    cv2.setNumThreads(1)


def _write(task: PoseSequence | ActionClip) -> int:
    """Render and write one task; the number of its frames."""
    if isinstance(task, PoseSequence):
        write_sequence(task)
    else:
        write_action_clip(task)
    return task.frames
