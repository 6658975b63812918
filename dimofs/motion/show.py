"""The pairs that Figure 3 shows, chosen by a rule, and what there is to see of them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from torch import Tensor

from dimofs.config import Model
from dimofs.datasets.records import Array, DatasetError, Video
from dimofs.datasets.synthetic.sidecar import load_sidecar, person_flow
from dimofs.flow import farneback
from dimofs.model.pose_detector import PoseDetector
from dimofs.motion.examples import Example, spread
from dimofs.motion.predict import PairMotion, pair_motions
from dimofs.pairs.loading import Image, read_frame
from dimofs.training.loop import device

#: Rows of Figure 3.
ROWS = 5


def chosen_pairs(videos: Sequence[Video], pairs: pd.DataFrame) -> list[tuple[Video, int, int]]:
    """Choose the pairs of Figure 3 by how much moves, not by looks: (video, A, B).

    Each video offers one pair at the largest δ of the index, the one whose Frame A is nearest to the video's middle and
    whose Frame B is not clamped. The videos are ranked by the mean length of Farneback's flow, and ROWS evenly spread
    ranks are shown, the fastest first.

    Raises DatasetError where no pair of the index is unclamped.
    """
    by_name = {video.name: video for video in videos}
    usable = pairs[~pairs["clamped"]]
    offered = []
    for name, rows in usable[usable["delta"] == usable["delta"].max()].groupby("video", sort=True):
        video = by_name[str(name)]
        middle = (rows["frame_a"] - len(video.frames) // 2).abs().to_numpy().argmin()
        offered.append((video, int(rows["frame_a"].iloc[middle]), int(rows["frame_b"].iloc[middle])))
    if not offered:
        raise DatasetError("pairs: every pair is clamped at the end of its video; list pairs of a smaller δ")
    lengths = []
    for video, a, b in offered:
        flow = farneback(read_frame(video.frames[a]), read_frame(video.frames[b]), "detect_and_track")
        lengths.append(float(np.linalg.norm(flow, axis=-1).mean()))
    return [offered[index] for index in spread(lengths, ROWS)]


def show_pairs(
    network: PoseDetector,
    coefficients: Tensor,
    chosen: Sequence[tuple[Video, int, int]],
    sidecars: Path,
    model: Model,
    seed: int,
) -> list[Example]:
    """Gather what Figure 3 shows of pairs; its two channels of the finest scale are drawn at random from `seed`.

    coefficients: of the read-out, (2, D). sidecars: folder with a `<video>.npz` for every rendered video.
    """
    network.eval().to(device())
    shown = shown_channels(model, seed)
    examples = []
    for video, a, b in chosen:
        (motion,) = pair_motions(network, video, [(a, b)], model, 2)
        frames = read_frame(video.frames[a]), read_frame(video.frames[b])
        sidecar = sidecars / f"{video.name}.npz"
        exact = person_flow(load_sidecar(sidecar), a, b)[0] if sidecar.is_file() else None
        examples.append(example_of(video.name, motion, frames, shown, coefficients, exact))
    return examples


def shown_channels(model: Model, seed: int) -> tuple[int, int]:
    """Draw the two channels of the finest scale that are shown."""
    first, second = np.sort(np.random.default_rng((seed, 3)).choice(model.fpn_channels, 2, replace=False)).tolist()
    return first, second


def example_of(
    video: str,
    motion: PairMotion,
    frames: tuple[Image, Image],
    shown: tuple[int, int],
    coefficients: Tensor | None,
    exact: Array | None,
) -> Example:
    """Gather what Figure 3 shows of one pair; without `coefficients` there is no predicted motion.

    frames: A and B, (H, W, 3) uint8 RGB. exact: see `Example`.
    """
    return Example(
        video=video,
        position_a=motion.frame_a,
        position_b=motion.frame_b,
        frame_a=frames[0],
        frame_b=frames[1],
        channel=shown,
        channels=motion.channels(shown),
        saliency=motion.saliency()[0],
        farneback=farneback(*frames, "detect_and_track"),
        predicted=None if coefficients is None else motion.read_out(coefficients),
        exact=exact,
    )
