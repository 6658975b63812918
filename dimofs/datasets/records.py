"""What a reader returns: videos, frames and people, the same for every data set.

Coordinates are pixels, 0-based, x to the right and y down; the centre of the top-left pixel is (0, 0).
A box is (x1, y1, x2, y2) with continuous edges: a mask that covers columns 3..7 has x1 = 3 and x2 = 8, so widths are
`x2 - x1` everywhere and no "+1" is needed.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dimofs import DimofsError

Array = NDArray[np.float32]
#: A picture, (H, W, 3) uint8 RGB.
Image = NDArray[np.uint8]

#: The 17 slots of PoseTrack18, in file order; the ears are never labelled (A20).
POSETRACK_JOINTS = (
    "nose", "head_bottom", "head_top", "left_ear", "right_ear",
    "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
    "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
)  # fmt: skip

#: The slots of the 15 PoseTrack joints that are labelled (A20), and so learned: all but the ears.
LABELLED_SLOTS = [slot for slot, name in enumerate(POSETRACK_JOINTS) if not name.endswith("_ear")]
LABELLED_JOINTS = tuple(POSETRACK_JOINTS[slot] for slot in LABELLED_SLOTS)

#: The 15 joints of JHMDB, in file order: right before left, opposite to PoseTrack18.
JHMDB_JOINTS = (
    "neck", "belly", "face", "right_shoulder", "left_shoulder", "right_hip", "left_hip",
    "right_elbow", "left_elbow", "right_knee", "left_knee", "right_wrist", "left_wrist", "right_ankle", "left_ankle",
)  # fmt: skip

#: The 21 classes of JHMDB, alphabetical; the label of a clip is its index here.
JHMDB_CLASSES = (
    "brush_hair", "catch", "clap", "climb_stairs", "golf", "jump", "kick_ball", "pick", "pour", "pullup", "push",
    "run", "shoot_ball", "shoot_bow", "shoot_gun", "sit", "stand", "swing_baseball", "throw", "walk", "wave",
)  # fmt: skip

#: The 48 classes of Diving48 as (take-off, somersaults, twists, position); the label of a dive is its index here.
DIVING48_CLASSES = (
    ("Back", "15som", "05Twis", "FREE"), ("Back", "15som", "15Twis", "FREE"), ("Back", "15som", "25Twis", "FREE"),
    ("Back", "15som", "NoTwis", "PIKE"), ("Back", "15som", "NoTwis", "TUCK"), ("Back", "25som", "15Twis", "PIKE"),
    ("Back", "25som", "25Twis", "PIKE"), ("Back", "25som", "NoTwis", "PIKE"), ("Back", "25som", "NoTwis", "TUCK"),
    ("Back", "2som", "15Twis", "FREE"), ("Back", "2som", "25Twis", "FREE"), ("Back", "35som", "NoTwis", "PIKE"),
    ("Back", "35som", "NoTwis", "TUCK"), ("Back", "3som", "NoTwis", "PIKE"), ("Back", "3som", "NoTwis", "TUCK"),
    ("Back", "Dive", "NoTwis", "PIKE"), ("Back", "Dive", "NoTwis", "TUCK"), ("Forward", "15som", "1Twis", "FREE"),
    ("Forward", "15som", "2Twis", "FREE"), ("Forward", "15som", "NoTwis", "PIKE"),
    ("Forward", "1som", "NoTwis", "PIKE"), ("Forward", "25som", "1Twis", "PIKE"),
    ("Forward", "25som", "2Twis", "PIKE"), ("Forward", "25som", "3Twis", "PIKE"),
    ("Forward", "25som", "NoTwis", "PIKE"), ("Forward", "25som", "NoTwis", "TUCK"),
    ("Forward", "35som", "NoTwis", "PIKE"), ("Forward", "35som", "NoTwis", "TUCK"),
    ("Forward", "45som", "NoTwis", "TUCK"), ("Forward", "Dive", "NoTwis", "PIKE"),
    ("Forward", "Dive", "NoTwis", "STR"), ("Inward", "15som", "NoTwis", "PIKE"),
    ("Inward", "15som", "NoTwis", "TUCK"), ("Inward", "25som", "NoTwis", "PIKE"),
    ("Inward", "25som", "NoTwis", "TUCK"), ("Inward", "35som", "NoTwis", "TUCK"),
    ("Inward", "Dive", "NoTwis", "PIKE"), ("Reverse", "15som", "05Twis", "FREE"),
    ("Reverse", "15som", "15Twis", "FREE"), ("Reverse", "15som", "25Twis", "FREE"),
    ("Reverse", "15som", "35Twis", "FREE"), ("Reverse", "15som", "NoTwis", "PIKE"),
    ("Reverse", "25som", "15Twis", "PIKE"), ("Reverse", "25som", "NoTwis", "PIKE"),
    ("Reverse", "25som", "NoTwis", "TUCK"), ("Reverse", "35som", "NoTwis", "TUCK"),
    ("Reverse", "Dive", "NoTwis", "PIKE"), ("Reverse", "Dive", "NoTwis", "TUCK"),
)  # fmt: skip


class DatasetError(DimofsError, ValueError):
    """Input that cannot be used; the message names the file, the field and what is wrong with it."""


@dataclass(frozen=True)
class Person:
    """One labelled person of a frame."""

    track_id: int
    box: Array  #: (4,) float32, x1 y1 x2 y2; NaN for a person of whom neither box nor joints are given
    head_box: Array | None  #: (4,) float32, x1 y1 x2 y2; None where the data set has none
    joints: Array  #: (J, 2) float32, x y; undefined where not labelled
    labelled: NDArray[np.bool_]  #: (J,) whether the joint is annotated


@dataclass(frozen=True)
class Frame:
    """One frame of a video."""

    path: Path
    labelled: bool  #: whether people were annotated at all
    people: tuple[Person, ...]
    ignore_regions: tuple[Array, ...]  #: polygons (K, 2) of x, y


@dataclass(frozen=True)
class Video:
    """One video: frames in temporal order, so that a frame is known by its 0-based position."""

    name: str
    split: str  #: "train", "val" or "test"
    joint_names: tuple[str, ...]
    frames: tuple[Frame, ...]
    label: int | None  #: action class (JHMDB), None elsewhere
