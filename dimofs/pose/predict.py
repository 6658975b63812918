"""Pose in Frame A from Frame B, for every pair of an index (§5); each frame passes the backbone once for all δ."""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from dimofs.config import Model
from dimofs.datasets.records import Video
from dimofs.model.backbone import SCALES
from dimofs.model.pose_detector import Detections, PoseDetector
from dimofs.pairs.loading import zoomed
from dimofs.pairs.window import FeatureWindow
from dimofs.training.loop import device, encode

#: Columns of a table of predictions: one row a detected person.
COLUMNS = ("video", "frame", "delta", "score", "box", "joints", "joint_scores")


def detect_pairs(
    network: PoseDetector, video: Video, pairs: Sequence[tuple[int, int]], model: Model, batch_size: int
) -> Iterator[tuple[int, int, dict[str, Tensor]]]:
    """Detect the people of Frame A from Frame B for pairs (A, B) of one video; a single-frame network looks at B alone.

    Gives (A, B, detections) with `boxes` (D, 4), `scores` (D,), `keypoints` (D, 17, 2) in pixels of the file, and
    `keypoints_scores` (D, 17).
    """
    ordered = sorted(set(pairs))

    def layers(frames: Tensor) -> list[Tensor]:
        levels = network.backbone(frames)
        return levels if network.offsets is None else [*levels, *network.offsets.projections(levels)]

    window = FeatureWindow(partial(encode, layers), video, model, batch_size)
    for start in range(0, len(ordered), batch_size):
        chunk = ordered[start : start + batch_size]
        window.forget(min(min(pair) for pair in ordered[start:]))
        features = window.features([b for _, b in chunk])
        if network.resampling is not None:
            features_b, projected_b = features[:SCALES], features[SCALES:]
            projected_a = window.features([a for a, _ in chunk])[SCALES:]
            offsets = [a - b for a, b in zip(projected_a, projected_b, strict=True)]
            features = network.resampling(features_b, offsets)
        detections: Detections = network.detect(features, [window.size] * len(chunk))
        for (a, b), found in zip(chunk, detections, strict=True):
            yield (
                a,
                b,
                {
                    "boxes": found["boxes"] / window.scale,
                    "scores": found["scores"],
                    "keypoints": zoomed(found["keypoints"][..., :2], 1 / window.scale),
                    "keypoints_scores": found["keypoints_scores"],
                },
            )


def predict(
    network: PoseDetector, videos: Sequence[Video], pairs: pd.DataFrame, model: Model, batch_size: int
) -> pd.DataFrame:
    """Predict every pair of an index (columns video, frame_a, frame_b, delta; clamped pairs are computed once).

    Returns a table with COLUMNS, sorted by video, frame, δ and falling score: `frame` is Frame A; `box` (4,), `joints`
    (34,) = 17 PoseTrack18 slots x y, `joint_scores` (17,), all float32, pixels of the file.
    """
    network.eval().to(device())
    by_name = {video.name: video for video in videos}
    rows: list[dict[str, object]] = []
    with torch.inference_mode():
        for name, group in tqdm(pairs.groupby("video", sort=True), desc="pose", unit="video", dynamic_ncols=True):
            wanted: dict[tuple[int, int], list[int]] = {}
            for a, b, delta in zip(group["frame_a"], group["frame_b"], group["delta"], strict=True):
                wanted.setdefault((int(a), int(b)), []).append(int(delta))
            for a, b, found in detect_pairs(network, by_name[str(name)], list(wanted), model, batch_size):
                people = {key: value.float().cpu().numpy() for key, value in found.items()}
                for delta in wanted[a, b]:
                    rows.extend(
                        {
                            "video": name,
                            "frame": np.int32(a),
                            "delta": np.int32(delta),
                            "score": people["scores"][person],
                            "box": people["boxes"][person],
                            "joints": people["keypoints"][person].reshape(-1),
                            "joint_scores": people["keypoints_scores"][person],
                        }
                        for person in range(len(people["scores"]))
                    )
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    table = table.astype({"frame": "int32", "delta": "int32", "score": "float32"})
    return table.sort_values(["video", "frame", "delta"], kind="stable", ignore_index=True)


def every_frame(pairs: pd.DataFrame, videos: Sequence[Video]) -> pd.DataFrame:
    """Pairs (frame, frame) at δ = 0 for all frames of the videos of an index: what the copy baseline draws on (A22)."""
    names = set(pairs["video"])
    return pd.DataFrame(
        [
            {"video": video.name, "frame_a": frame, "frame_b": frame, "delta": 0}
            for video in videos
            if video.name in names
            for frame in range(len(video.frames))
        ]
    )
