"""Action detections in Frame A for every pair of an index (§6.2); what does not depend on δ is computed once."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from dimofs.actions.ablations import ActionTraining
from dimofs.actions.flow import flow_levels
from dimofs.config import Config
from dimofs.datasets.records import Video
from dimofs.io import replacing
from dimofs.model.action_localizer import ActionLocalizer
from dimofs.model.backbone import SCALES
from dimofs.pairs.loading import load_frames
from dimofs.pairs.window import FeatureWindow
from dimofs.training.loop import device, encode

#: A table of action detections: one row a detected box (x1, y1, x2, y2, pixels of the file) and class.
SCHEMA = pa.schema(
    {
        "video": pa.string(),
        "frame": pa.int32(),
        "delta": pa.int32(),
        "label": pa.int32(),
        "score": pa.float32(),
        "box": pa.list_(pa.float32(), 4),
    }
)

#: A Frame A, a δ, and what was found there: arrays of boxes, scores and labels.
_Row = tuple[int, int, dict[str, NDArray[np.float32]]]


def detect_actions(
    network: ActionLocalizer, plan: ActionTraining, video: Video, pairs: Sequence[tuple[int, int]], config: Config
) -> Iterator[tuple[int, int, dict[str, Tensor]]]:
    """Localise actions for pairs (A, B) of one video.

    Gives (A, B, detections) with `boxes` (D, 4) in pixels of the file, `scores` (D,), `labels` (D,) in 0..classes − 1.
    """
    batch_size = config.actions.batch_size
    target = device()
    length = len(video.frames)

    def layers(frames: Tensor) -> list[Tensor]:
        levels = network.backbone(frames)
        return levels if network.offsets is None else [*levels, *network.projections(levels)]

    window = FeatureWindow(partial(encode, layers), video, config.model, batch_size)
    frames, _, _ = load_frames(video, range(length), config.model) if plan.motion == "flow" else (None, None, None)
    ordered = sorted(set(pairs))
    frames_a = sorted({a for a, _ in ordered})
    for start in range(0, len(frames_a), batch_size):
        chunk = frames_a[start : start + batch_size]
        window.forget(min(min(pair) for pair in ordered if pair[0] >= chunk[0]))
        if plan.inflated_3d:
            features, sizes = _inflated_features(network, video, chunk, config, window)
        else:
            features = window.features(chunk)
            features, projected = features[:SCALES], features[SCALES:]
            sizes = [window.size] * len(chunk)
        proposals, appearance = network.propose(features, sizes)
        place = {frame: row for row, frame in enumerate(chunk)}
        todo = [pair for pair in ordered if pair[0] in place]
        for first in range(0, len(todo), batch_size):
            part = todo[first : first + batch_size]
            rows = [place[a] for a, _ in part]
            if plan.motion == "offsets":
                projected_b = window.features([b for _, b in part])[SCALES:]
                motion = [a[rows] - b for a, b in zip(projected, projected_b, strict=True)]
            elif plan.motion == "flow":
                assert frames is not None
                first_frames, second_frames = frames[[a for a, _ in part]], frames[[b for _, b in part]]
                levels = flow_levels(first_frames, second_frames, config.actions.flow)
                motion = [level.to(target) for level in levels]
            else:
                motion = []
            found = network.classify(
                [proposals[r] for r in rows], [appearance[r] for r in rows], motion, [sizes[0]] * len(part)
            )
            for (a, b), detections in zip(part, found, strict=True):
                yield (
                    a,
                    b,
                    {
                        "boxes": detections["boxes"] / window.scale,
                        "scores": detections["scores"],
                        "labels": detections["labels"] - 1,
                    },
                )


def _inflated_features(
    network: ActionLocalizer, video: Video, chunk: Sequence[int], config: Config, window: FeatureWindow
) -> tuple[list[Tensor], list[tuple[int, int]]]:
    last = len(video.frames) - 1
    clips = [[min(max(frame + step, 0), last) for frame in chunk] for step in (0, -1, 1)]
    loaded = [load_frames(video, positions, config.model) for positions in clips]
    window.scale = loaded[0][2]
    features = encode(lambda *frames: network.encode(frames), *(frames for frames, _, _ in loaded))
    return features, loaded[0][1]


def predict(
    network: ActionLocalizer, plan: ActionTraining, videos: Sequence[Video], pairs: pd.DataFrame, config: Config
) -> Iterator[pa.Table]:
    """Predict every pair of an index (columns video, frame_a, frame_b, delta; clamped pairs are computed once).

    Gives a table with SCHEMA for each video, by name, sorted by frame, δ and falling score. A sweep has millions of
    detections, so each video's can be written before the next video's are made.
    """
    network.eval().to(device())
    by_name = {video.name: video for video in videos}
    for name, group in tqdm(pairs.groupby("video", sort=True), desc=plan.name, unit="clip", dynamic_ncols=True):
        wanted: dict[tuple[int, int], list[int]] = {}
        for a, b, delta in zip(group["frame_a"], group["frame_b"], group["delta"], strict=True):
            wanted.setdefault((int(a), int(b)), []).append(int(delta))
        rows: list[_Row] = []
        with torch.inference_mode():
            for a, b, found in detect_actions(network, plan, by_name[str(name)], list(wanted), config):
                values = {key: value.float().cpu().numpy() for key, value in found.items()}
                rows += [(a, delta, values) for delta in wanted[a, b]]
        yield _table(str(name), sorted(rows, key=lambda row: row[:2]))


def write_detections(tables: Iterable[pa.Table], path: Path) -> None:
    """Write tables with SCHEMA one under the other into one Parquet file (zstd), each as it comes."""
    with replacing(path) as temporary, pq.ParquetWriter(temporary, SCHEMA, compression="zstd") as writer:
        for table in tables:
            writer.write_table(table)


def _table(video: str, rows: Sequence[_Row]) -> pa.Table:
    """Write the detections of a video's pairs one under the other."""
    counts = [len(found["scores"]) for *_, found in rows]
    boxes, scores, labels = (
        np.concatenate([found[key] for *_, found in rows]) for key in ("boxes", "scores", "labels")
    )
    columns = {
        "video": [video] * sum(counts),
        "frame": np.repeat(np.array([a for a, *_ in rows], np.int32), counts),
        "delta": np.repeat(np.array([delta for _, delta, _ in rows], np.int32), counts),
        "label": labels.astype(np.int32),
        "score": scores,
        "box": pa.FixedSizeListArray.from_arrays(boxes.ravel(), 4),
    }
    return pa.table(columns, schema=SCHEMA)
