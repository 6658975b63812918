"""A picture of the clusters (§5.2): the members nearest to the centre, drawn as poses with their motion."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from dimofs.datasets.contact_sheet import Picture, draw_skeleton
from dimofs.datasets.records import LABELLED_JOINTS
from dimofs.io import replacing
from dimofs.recognition.clusters import column

_SHOWN = 12  # clusters
_MEMBERS = 8  # of each, of as many videos
_CELL = 128  # pixels
_HEADING = 16  # pixels over each row
_FILL = 0.42  # of a cell that the larger half of a person takes
_INK, _BAND, _ARROW = (40, 40, 40), (236, 236, 236), (40, 40, 220)
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw_clusters(ids: pd.DataFrame, features: pd.DataFrame, out: Path) -> None:
    """Draw a dozen clusters, large to small, as a PNG: a row each, its nearest training members of different dives.

    ids: a table of `cluster_ids`; features: those of the training dives, in the same order. Orange is the person's
    left, blue the right; the red lines are the optical flow at the joints until Frame B.
    """
    train = ids[ids["split"] == "train"].reset_index(drop=True)
    present = np.unique(train["cluster"])
    chosen = present[np.unique(np.linspace(0, len(present) - 1, _SHOWN).astype(int))]
    sheet = np.concatenate([_row(train[train["cluster"] == cluster], features, int(cluster)) for cluster in chosen])
    with replacing(out) as temporary:
        cv2.imwrite(str(temporary), sheet)


def _row(members: pd.DataFrame, features: pd.DataFrame, cluster: int) -> Picture:
    nearest = members.sort_values("distance", kind="stable").drop_duplicates("video").index[:_MEMBERS]
    row = np.full((_CELL, _MEMBERS * _CELL, 3), 255, np.uint8)
    shown = features.iloc[nearest]
    joints, flow = (column(shown, name).reshape(-1, len(LABELLED_JOINTS), 2) for name in ("joints", "flow"))
    for place, (pose, motion) in enumerate(zip(joints, flow, strict=True)):
        _draw(row[:, place * _CELL : (place + 1) * _CELL], pose, motion)
    heading = np.full((_HEADING, row.shape[1], 3), _BAND, np.uint8)
    people, dives = len(members), members["video"].nunique()
    note = f"cluster {cluster}: {people} {'person' if people == 1 else 'people'} of {dives} dive{'s' * (dives > 1)}"
    cv2.putText(heading, note, (4, 11), _FONT, 0.36, _INK, 1, cv2.LINE_AA)
    return np.concatenate([heading, row])


def _draw(view: Picture, pose: np.ndarray, motion: np.ndarray) -> None:
    """One person (15, 2) with the displacements (15, 2) of the joints, made to fill a cell."""
    middle = (pose.max(0) + pose.min(0)) / 2
    scale = _FILL * _CELL / max(float(np.ptp(pose, axis=0).max()) / 2, 1.0)
    placed = pose - middle + _CELL / 2 / scale
    for start, step in zip((placed + 0.5) * scale, motion * scale, strict=True):
        first, last = (tuple(np.round(point).astype(int).tolist()) for point in (start, start + step))
        cv2.line(view, first, last, _ARROW, 1, cv2.LINE_AA)
    draw_skeleton(view, placed.astype(np.float32), np.ones(len(LABELLED_JOINTS), bool), LABELLED_JOINTS, scale)
