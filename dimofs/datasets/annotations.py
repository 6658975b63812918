"""What of a frame's annotations poseval judges against: which frames count, and their poses."""

import numpy as np

from dimofs.datasets.records import DatasetError, Frame
from dimofs.metrics import POSEVAL, PoseRules, TruePoses, true_poses


def counts(frame: Frame) -> bool:
    """Whether a frame is judged at all: it is labelled and people were annotated in it. The others are left out."""
    return frame.labelled and len(frame.people) > 0


def annotated_poses(video: str, position: int, frame: Frame, rules: PoseRules = POSEVAL) -> TruePoses:
    """Prepare the annotated people of a frame for judging; `source` tells their positions in `frame.people`.

    Raises DatasetError where a person with a labelled joint has no head box.
    """
    for person in frame.people:
        if person.head_box is None and person.labelled.any():
            raise DatasetError(f"{video}, frame {position}, track {person.track_id}: no bbox_head, which PCKh needs")
    nowhere = np.zeros(4)
    return true_poses(
        [person.joints for person in frame.people],
        [person.labelled for person in frame.people],
        [nowhere if person.head_box is None else person.head_box for person in frame.people],
        frame.ignore_regions if rules.ignore_regions else (),
    )
