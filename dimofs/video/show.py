"""The rows of Figure 3 for anyone's video: moments at which the network sees people, and what its offsets show of them.

The video is read twice, first to find the people, then for the frames that are shown, so memory does not grow with it.
"""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from torch import Tensor
from tqdm import tqdm

from dimofs.config import Model
from dimofs.datasets.records import DatasetError
from dimofs.model.pose_detector import PoseDetector
from dimofs.motion.examples import Example, spread
from dimofs.motion.predict import pair_motions
from dimofs.motion.read_out import load_read_out
from dimofs.motion.show import ROWS, example_of, shown_channels
from dimofs.pairs.loading import Image, network_frames, resize
from dimofs.pose.pretrain import detector_of
from dimofs.tracking.link import Tracker
from dimofs.video.analyse import LINKER, SCORE, analyse_pictures, check_deltas
from dimofs.video.read import Footage, open_footage

#: How the rows are chosen.
RULE = (
    f"Rows: of the frames in which the network finds a person and that have a Frame B, up to {ROWS} evenly spread. "
    "The channels of the finest scale were drawn at random."
)

#: Frames with a longer side than so many pixels are shown smaller, and displacements are in the pixels shown.
LONGEST = 640


def show_video(source: str | Path, checkpoint: Path, read_out: Path | None, delta: int) -> list[Example]:
    """Gather what Figure 3 shows of moments of a video, chosen by RULE.

    source: a file or a folder of images. checkpoint: a DiMoFs network. read_out: what `dimofs motion fit` made of it;
    without it there is no predicted motion. delta: gap in frames from A to B. Nobody knows the exact motion.

    Raises CheckpointError and DatasetError, also where the network finds nobody.
    """
    check_deltas([delta])
    detector, model = detector_of(checkpoint)
    coefficients = None if read_out is None else load_read_out(read_out, model.fpn_channels, checkpoint)
    footage = open_footage(source)
    if not footage.lasting:
        raise DatasetError(f"{source}: can be read only once; record it and give the file")
    found, frames = _with_people(detector, model, footage, delta)
    if not frames:
        raise DatasetError(f"{source}: has no frame with another {abs(delta)} frames away; give a smaller δ (--delta)")
    if not found:
        raise DatasetError(
            f"{source}: the network finds nobody (score {SCORE:g} or more) in the {frames} frames with a Frame B at "
            f"δ = {delta}; it knows people like those that it was trained on"
        )
    chosen = [found[index] for index in spread([-a for a in found], ROWS)]  # the earliest first
    return _examples(detector, model, footage, [(a, a + delta) for a in chosen], coefficients)


def _with_people(detector: PoseDetector, model: Model, footage: Footage, delta: int) -> tuple[list[int], int]:
    """Find the frames that have a person and a Frame B, and count those that have a Frame B."""
    analysed = analyse_pictures(detector, model, footage.pictures(), [delta], SCORE, Tracker(LINKER))
    found, frames = [], 0
    for frame in tqdm(analysed, footage.name, footage.expected(), unit="frame", dynamic_ncols=True):
        a = frame.picture.position
        if frame.frames_b[delta] == a + delta:
            frames += 1
            found += [a] if frame.people else []
    return found, frames


def _examples(
    detector: PoseDetector,
    model: Model,
    footage: Footage,
    pairs: Sequence[tuple[int, int]],
    coefficients: Tensor | None,
) -> list[Example]:
    """Read the frames of pairs (A, B) and gather what there is to see of each."""
    held = _read(footage, {position for pair in pairs for position in pair})
    shown = shown_channels(model, seed=0)
    motions = pair_motions(
        detector, lambda frames: network_frames([held[frame] for frame in frames], model), pairs, model, batch_size=2
    )
    return [
        example_of(footage.name, motion, (held[motion.frame_a], held[motion.frame_b]), shown, coefficients, None)
        for motion in motions
    ]


def _read(footage: Footage, wanted: set[int]) -> dict[int, Image]:
    """Read the frames at some positions, none larger than LONGEST."""
    held: dict[int, Image] = {}
    with closing(footage.pictures()) as pictures:
        for picture in pictures:
            if picture.position in wanted:
                held[picture.position] = resize(picture.image, min(1.0, LONGEST / max(picture.image.shape[:2])))
            if len(held) == len(wanted):
                break
    return held
