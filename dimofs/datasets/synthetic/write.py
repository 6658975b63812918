"""Render the embedded data sets, in the official layouts of PoseTrack18, JHMDB and Diving48; the corpus has its own.

Every sequence has its own random stream, named by data set, split and position, so the files do not depend on the
number of workers, and a larger data set begins with the smaller one.
"""

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2
from tqdm import tqdm

from dimofs.config import Datasets
from dimofs.datasets.folders import replacing_folder
from dimofs.datasets.records import DatasetError
from dimofs.datasets.synthetic.corpus_files import CorpusClip, corpus_plan, write_corpus_clip, write_corpus_labels
from dimofs.datasets.synthetic.diving48_files import DiveClip, diving48_plan, write_dive, write_labels
from dimofs.datasets.synthetic.jhmdb_files import ActionClip, jhmdb_plan, write_action_clip, write_splits
from dimofs.datasets.synthetic.motion_capture_files import CapturedSequence, motion_capture_plan, write_captured
from dimofs.datasets.synthetic.posetrack_files import PoseSequence, posetrack_plan, stills_plan, write_sequence

#: The file that marks a folder as rendered, and so as one that may be replaced.
MARKER = "RENDERED.txt"

Task = PoseSequence | CapturedSequence | ActionClip | DiveClip | CorpusClip

_PLANS: dict[str, Callable[[Datasets, int, Path], Sequence[Task]]] = {
    "posetrack18": posetrack_plan,
    "stills": stills_plan,
    "jhmdb": jhmdb_plan,
    "diving48": diving48_plan,
    "corpus": corpus_plan,
    "motion_capture": motion_capture_plan,
}


def render(name: str, datasets: Datasets, seed: int, root: Path, workers: int) -> None:
    """Render a data set into the folder `root`, which appears when all of it is there.

    Args:
        name: "posetrack18", "stills", "jhmdb", "diving48", "corpus" or "motion_capture".
        datasets: sizes, from the configuration.
        seed: root of every random stream.
        root: the folder; an earlier rendering there is replaced.
        workers: processes; the files do not depend on it.

    Raises:
        DatasetError: for another name, where `root` holds something that was not rendered, or for "motion_capture"
            where its clips are not installed.
    """
    if name not in _PLANS:
        raise DatasetError(f"{name}: no such embedded data set; there are {', '.join(_PLANS)}")
    about = (
        f"{name}: rendered by dimofs from seed {seed} in the official layout, see docs/datasets.md.\n"
        "This is no recorded footage. The next rendering replaces the folder.\n"
    )
    with replacing_folder(root, MARKER, about) as folder:
        tasks = _PLANS[name](datasets, seed, folder)
        _run(tasks, workers, name)
        if name == "jhmdb":
            write_splits(folder, seed)
        if name == "corpus":
            write_corpus_labels(folder, [task for task in tasks if isinstance(task, CorpusClip)])
        if name == "diving48":
            write_labels(folder, [task for task in tasks if isinstance(task, DiveClip)])


def _run(tasks: Sequence[Task], workers: int, name: str) -> None:
    """Do all tasks in `workers` processes behind one progress bar that counts clips."""
    chunk = max(1, min(16, len(tasks) // (4 * workers)))
    with (
        ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _one_thread) as pool,
        tqdm(total=len(tasks), desc=f"render {name}", unit="clip") as bar,
    ):
        for _ in pool.map(_write, tasks, chunksize=chunk):
            bar.update()


def _one_thread() -> None:
    """Workers share the cores; OpenCV's own threads would only get in each other's way."""
    cv2.setNumThreads(1)


def _write(task: Task) -> None:
    """Render and write one task."""
    if isinstance(task, PoseSequence):
        write_sequence(task)
    elif isinstance(task, CapturedSequence):
        write_captured(task)
    elif isinstance(task, ActionClip):
        write_action_clip(task)
    elif isinstance(task, CorpusClip):
        write_corpus_clip(task)
    else:
        write_dive(task)
