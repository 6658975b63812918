"""`dimofs video`: a video in, files out; a run that was interrupted goes on where it was."""

import hashlib
import json
import shutil
import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from itertools import dropwhile, groupby, takewhile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from tqdm import tqdm

import dimofs
from dimofs.datasets.records import DatasetError
from dimofs.io import replacing
from dimofs.pose.pretrain import detector_of
from dimofs.tracking.link import Tracker
from dimofs.video.ahead import ahead
from dimofs.video.analyse import (
    BATCH,
    DELTAS,
    LINKER,
    SCORE,
    analyse_pictures,
    check_deltas,
    first_needed,
    resized,
)
from dimofs.video.outputs import FILES, Part, is_whole, join
from dimofs.video.read import Footage, open_footage

#: The folder in OUT that keeps the parts; a name that nobody else uses, for it is removed at the end.
_WORK = ".dimofs-video"

#: Frames of a part: what an interruption costs at most.
PART = 64 * BATCH


@dataclass(frozen=True)
class Summary:
    """What a run found."""

    frames: int
    tracks: int
    damaged: int  #: frames that could not be decoded and were left out


def run(
    source: str | Path,
    checkpoint: Path,
    out: Path,
    *,
    deltas: Sequence[int] = DELTAS,
    score: float = SCORE,
    size: int | None = None,
    dense: bool = False,
) -> Summary:
    """Analyse a video and write poses.json, features.parquet, overlay.mp4 and, if asked for, dense/ to `out`.

    The arguments are those of `dimofs.video.analyse.analyse`; the overlay shows the first δ. Interrupted, the same call
    goes on with the part that was not finished; one with other arguments starts anew. A camera or an address is taken
    until Ctrl-C (only in a program's main thread), a second one gives it up, and cannot be gone on with.

    Raises CheckpointError and DatasetError.
    """
    check_deltas(deltas)
    detector, model = detector_of(checkpoint)
    model = resized(model, size)
    footage = open_footage(source)
    expected = footage.expected()
    if Path(source).resolve() in ((out / name).resolve() for name in FILES):
        raise DatasetError(f"{source}: would be overwritten by what is written to {out}; give another folder")
    work = out / _WORK
    parts = _begin(work, footage, _job(footage, checkpoint, deltas, score, size, dense))
    tracker = _tracker(parts)
    done = sum(map(_frames, parts))
    with ExitStack() as stack:
        if not footage.lasting:
            stack.enter_context(_ends_on_interrupt(footage))
        decoded = stack.enter_context(closing(ahead(footage.pictures(), BATCH)))
        pictures = dropwhile(lambda picture: picture.position < first_needed(done, deltas), decoded)
        made = analyse_pictures(detector, model, pictures, deltas, score, tracker, done)
        analysed = stack.enter_context(closing(ahead(made, BATCH)))
        bar = tqdm(analysed, footage.name, expected, initial=done, unit="frame", dynamic_ncols=True)
        for number, frames in groupby(bar, key=lambda frame: frame.picture.position // PART):
            unfinished = work / "unfinished"
            with Part(unfinished, model.fpn_channels, dense) as part:
                for frame in frames:
                    part.add(frame)
            parts.append(unfinished.rename(work / f"{number:06d}"))
    join(parts, footage.name, out)
    summary = Summary(sum(map(_frames, parts)), tracker.started, footage.damaged)
    if dense:
        for path in (out / "dense").glob("[0-9]" * 6 + ".npz"):
            if int(path.stem) >= summary.frames:  # of an earlier, longer run
                path.unlink()
    (work / "job.json").unlink()  # without it nothing of what is removed now is gone on with
    shutil.rmtree(work)
    return summary


def _job(
    footage: Footage, checkpoint: Path, deltas: Sequence[int], score: float, size: int | None, dense: bool
) -> dict[str, Any]:
    """All that decides what a run writes."""
    return {
        "version": dimofs.__version__,
        "source": footage.identity(),
        "checkpoint": hashlib.sha256(checkpoint.read_bytes()).hexdigest(),
        "deltas": [*deltas],
        "score": score,
        "size": size,
        "dense": dense,
    }


def _begin(work: Path, footage: Footage, job: dict[str, Any]) -> list[Path]:
    """The finished parts of this very job; what another one left is removed."""
    shutil.rmtree(work / "unfinished", ignore_errors=True)
    try:
        same = footage.lasting and json.loads((work / "job.json").read_bytes()) == job
    except (OSError, ValueError):
        same = False
    if not same:
        shutil.rmtree(work, ignore_errors=True)
        with replacing(work / "job.json") as temporary:
            temporary.write_text(json.dumps(job), encoding="utf-8")
    found = sorted(path for path in work.iterdir() if path.is_dir())
    numbered = takewhile(lambda place: place[1].name == f"{place[0]:06d}", enumerate(found))
    parts = list(takewhile(lambda part: is_whole(part, job["dense"]), (part for _, part in numbered)))
    for part in found[len(parts) :]:
        shutil.rmtree(part)
    return parts


@contextmanager
def _ends_on_interrupt(footage: Footage) -> Iterator[None]:
    """Ctrl-C ends footage that cannot be read again, and what there is until then is written."""

    def stop(*_: object) -> None:
        if footage.stopped:  # once more: it waits for a frame that does not come
            raise KeyboardInterrupt
        footage.stopped = True

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _frames(part: Path) -> int:
    return int(pq.read_metadata(part / "frames.parquet").num_rows)


def _tracker(parts: Sequence[Path]) -> Tracker:
    """A tracker that knows the people of the finished parts."""
    tracker = Tracker(LINKER)
    for part in parts:
        for _, people in pd.read_parquet(part / "people.parquet").groupby("frame"):
            boxes = np.array(people["box"].to_list(), np.float64).reshape(-1, 4)
            poses = np.array(people["joints"].to_list(), np.float64).reshape(-1, 17, 2)
            tracker.remember(people["frame"].iloc[0], people["track"].to_numpy(np.int64), boxes, poses)
    return tracker
