"""The pairs that Figure 3 shows, chosen by a rule, and what there is to see of them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from torch import Tensor

from dimofs.config import Model
from dimofs.datasets.records import DatasetError, Video
from dimofs.datasets.synthetic.sidecar import load_sidecar, person_flow
from dimofs.flow import farneback
from dimofs.model.pose_detector import PoseDetector
from dimofs.motion.examples import Example, spread
from dimofs.motion.predict import pair_motions
from dimofs.pairs.loading import read_frame
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
    first, second = np.sort(np.random.default_rng((seed, 3)).choice(model.fpn_channels, 2, replace=False)).tolist()
    examples = []
    for video, a, b in chosen:
        (motion,) = pair_motions(network, video, [(a, b)], model, 2)
        frame_a, frame_b = read_frame(video.frames[a]), read_frame(video.frames[b])
        sidecar = sidecars / f"{video.name}.npz"
        examples.append(
            Example(
                video=video.name,
                position_a=a,
                position_b=b,
                frame_a=frame_a,
                frame_b=frame_b,
                channel=(first, second),
                channels=motion.channels((first, second)),
                saliency=motion.saliency()[0],
                farneback=farneback(frame_a, frame_b, "detect_and_track"),
                predicted=motion.read_out(coefficients),
                exact=person_flow(load_sidecar(sidecar), a, b)[0] if sidecar.is_file() else None,
            )
        )
    return examples
