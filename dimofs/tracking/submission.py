"""Tracks as official PoseTrack18 prediction files, one JSON file a sequence, for the official program to read."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dimofs.datasets.posetrack import read_labels
from dimofs.datasets.records import DatasetError
from dimofs.io import replacing
from dimofs.metrics import Flags, Floats, Neck, RankedBy, exported_scores
from dimofs.tracking.link import exported_joints

#: poseval refuses larger ones.
_LARGEST_TRACK = 9999
_IMAGE_FIELDS = ("id", "frame_id", "vid_id", "file_name", "nframes", "is_labeled")


def write_submission(
    tracks: pd.DataFrame,
    annotations: Path,
    folder: Path,
    joint_score: float | None,
    neck: Neck,
    ranked_by: RankedBy,
) -> None:
    """Write `folder/<sequence>.json` for each label file of `annotations`, a split's folder of official label files.

    tracks: one linker's tracks at one operating point (`dimofs.tracking.link.link`) of sequences named as their label
    files. Every frame of a label file is listed, labelled or not, with the ids that the file gives; a joint is exported
    as in `exported_joints` and scored as in `exported_scores`, and is (0, 0, 0) with the score 0 where it is not.

    Raises DatasetError where tracks are of other sequences or frames, or have an id that poseval refuses.
    """
    paths = {path.stem: path for path in sorted(annotations.glob("*.json")) if not path.name.startswith(".")}
    unknown = sorted({*tracks["video"]} - {*paths})
    if unknown:
        raise DatasetError(f"{annotations}: holds no label file of {', '.join(unknown)}; give the split's own folder")
    if tracks["track"].max() > _LARGEST_TRACK:
        raise DatasetError(
            f"tracks: {tracks['track'].max()} is above {_LARGEST_TRACK}, which the official program refuses; "
            "raise the operating point's score"
        )
    by_video = dict(list(tracks.groupby("video")))
    for name, path in paths.items():
        record = _submission(path, by_video.get(name, tracks.iloc[:0]), joint_score, neck, ranked_by)
        with replacing(folder / f"{name}.json") as temporary:
            temporary.write_text(json.dumps(record), encoding="utf-8")


def _submission(
    path: Path, tracks: pd.DataFrame, joint_score: float | None, neck: Neck, ranked_by: RankedBy
) -> dict[str, Any]:
    labels = read_labels(path)
    images = [{field: image[field] for field in _IMAGE_FIELDS if field in image} for image in labels["images"]]
    if len(tracks) and tracks["frame"].max() >= len(images):
        raise DatasetError(f"tracks: {path.stem}, frame {tracks['frame'].max()} is not in {path}; predict again")
    joints = np.array(tracks["joints"].to_list(), np.float64).reshape(-1, 17, 2)
    logits = np.array(tracks["joint_scores"].to_list(), np.float64).reshape(-1, 17)
    exported = exported_joints(joints, logits, joint_score, neck)
    scores = exported_scores(tracks["score"], logits, ranked_by, neck)
    people = []
    persons_before: dict[int, int] = {}
    for points, frame, track, score, box in zip(
        exported, tracks["frame"], tracks["track"], scores, tracks["box"], strict=True
    ):
        if np.isnan(points).any(axis=1).all():
            continue
        image_id = images[frame]["id"]
        person = persons_before.get(image_id, 0)
        persons_before[image_id] = person + 1
        people.append(prediction(image_id, person, int(track), score, box, points))
    return {"images": images, "annotations": people, "categories": labels["categories"]}


def prediction(image_id: int, person: int, track: int, scores: Floats, box: Floats, points: Floats) -> dict[str, Any]:
    """The `annotations` record of one person, `person` counting those of the image from 0.

    scores: (17,) as `exported_scores` gives them; box: (4,) x1 y1 x2 y2; points: (17, 2) as `exported_joints` gives
    them, NaN where a joint is not exported; pixels.
    """
    shown: Flags = np.asarray(np.isfinite(points).all(axis=1), bool)
    x1, y1, x2, y2 = map(float, box)
    return {
        "id": image_id * 100 + person,
        "image_id": image_id,
        "track_id": track,
        "category_id": 1,
        "keypoints": np.column_stack([np.where(shown[:, None], points, 0.0), shown]).ravel().tolist(),
        "scores": np.where(shown, scores, 0.0).tolist(),
        "bbox": [x1, y1, x2 - x1, y2 - y1],
    }
