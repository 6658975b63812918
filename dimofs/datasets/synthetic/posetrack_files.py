"""Rendered sequences in the PoseTrack18 layout: images, annotations, sidecars.

images/<split>/<sequence>/<6-digit frame>.jpg     counted from 0
annotations/<split>/<sequence>.json               every field of the official v0.45 files
sidecar/<split>/<sequence>.npz                    `sidecar`, for sequences of more than one frame
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from dimofs.config import Datasets, PoseTrackSize
from dimofs.datasets.posetrack import CATEGORY
from dimofs.datasets.synthetic import labels, motions
from dimofs.datasets.synthetic.render import Clip, render
from dimofs.datasets.synthetic.scene import Framing, random_scene
from dimofs.datasets.synthetic.seeds import stream
from dimofs.datasets.synthetic.sidecar import write_sidecar

_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 95]


@dataclass(frozen=True)
class PoseSequence:
    """One sequence in the PoseTrack18 layout, to be rendered."""

    root: Path
    split: str
    number: int  #: the official file name's six digits
    seeds: np.random.SeedSequence
    size: int
    frames: int
    labelled: tuple[int, ...]
    moments: int | None = None  #: see `scene.Framing`

    @property
    def name(self) -> str:
        """The official name: validation videos come from MPII's test half and are called so."""
        return f"{self.number:06d}_mpii_{'train' if self.split == 'train' else 'test'}"


def posetrack_plan(datasets: Datasets, seed: int, root: Path) -> list[PoseSequence]:
    """Train and validation sequences; the labelled frames are those in the middle, in validation every n-th as well."""
    sizes = datasets.posetrack18
    tasks = []
    for split, videos, half in (("train", sizes.train_videos, 0), ("val", sizes.val_videos, 1)):
        for index in range(videos):
            number = 2 * (draw(seed, "posetrack18 number", split, index) % 500_000) + half
            tasks.append(
                PoseSequence(
                    root,
                    split,
                    number,
                    stream(seed, "posetrack18", split, index),
                    datasets.frame_size,
                    sizes.frames,
                    labelled_frames(sizes, split),
                )
            )
    return distinct(tasks)


def labelled_frames(sizes: PoseTrackSize, split: str) -> tuple[int, ...]:
    """The labelled frames of a sequence: those in the middle, and in validation every n-th."""
    first = (sizes.frames - sizes.labelled_frames) // 2
    others = range(0, sizes.frames, sizes.val_label_step) if split == "val" else ()
    return tuple(sorted({*range(first, first + sizes.labelled_frames), *others}))


def stills_plan(datasets: Datasets, seed: int, root: Path) -> list[PoseSequence]:
    """Sequences of one labelled frame, each a scene of its own at a random moment of its motions."""
    tasks = []
    for index in range(datasets.stills.images):
        number = draw(seed, "stills number", index) % 1_000_000
        seeds = stream(seed, "stills", index)
        tasks.append(PoseSequence(root, "train", number, seeds, datasets.frame_size, 1, (0,), moments=24))
    return distinct(tasks)


def draw(seed: int, *names: str | int) -> int:
    """A number of its own for that name."""
    return int(stream(seed, *names).generate_state(1)[0])


def distinct(tasks: list[PoseSequence]) -> list[PoseSequence]:
    """Give sequences with a taken number the next free one of the same parity (the splits' halves never meet)."""
    taken: set[int] = set()
    found = []
    for task in tasks:
        number = task.number
        while number in taken:
            number = (number + 2) % 1_000_000
        taken.add(number)
        found.append(replace(task, number=number))
    return found


#: What people in PoseTrack's scenes do: sports and dance, mostly. One in six does anything at all, standing included.
_LIVELY = (
    "run", "run", "run", "walk", "walk", "march", "wander", "jump", "jump", "kick", "lunge", "squat", "dance",
    "jumping_jack", "side_bend", "pick", "sit", "stand", "tennis_swing",
)  # fmt: skip


def write_sequence(task: PoseSequence) -> None:
    """Render one sequence: `images/`, `annotations/` and `sidecar/` of its split."""
    rng = np.random.default_rng(task.seeds)
    people = rng.choice((1, 2, 3), p=(0.4, 0.4, 0.2))
    actions = tuple(str(rng.choice(_LIVELY if rng.random() < 5 / 6 else motions.FREE_MOTIONS)) for _ in range(people))
    framing = Framing(task.frames, task.size, actions, distant=how_many_far(rng), moments=task.moments)
    write_clip(task, render(random_scene(rng, framing), rng))


def how_many_far(rng: np.random.Generator) -> int:
    """How many people are seen far behind those whom a scene is about."""
    return int(rng.integers(1, 4)) if rng.random() < 0.25 else 0


def write_clip(task: PoseSequence, clip: Clip) -> None:
    """Write a rendered sequence: `images/`, `annotations/` and `sidecar/` of its split."""
    folder = f"images/{task.split}/{task.name}"
    (task.root / folder).mkdir(parents=True)
    ids = [10_000_000_000 + task.number * 10_000 + frame for frame in range(task.frames)]
    found = labels.posetrack_labels(clip, {frame: ids[frame] for frame in task.labelled})
    images = []
    for frame, picture in enumerate(clip.frames):
        file_name = f"{folder}/{frame:06d}.jpg"
        cv2.imwrite(str(task.root / file_name), picture, _JPEG)
        image: dict[str, Any] = {
            "has_no_densepose": True,
            "is_labeled": frame in task.labelled,
            "file_name": file_name,
            "nframes": task.frames,
            "frame_id": ids[frame],
            "vid_id": f"{task.number:06d}",
            "id": ids[frame],
        }
        if frame in found:
            image |= {"ignore_regions_x": found[frame].ignore_x, "ignore_regions_y": found[frame].ignore_y}
        images.append(image)
    annotations = [annotation for frame in sorted(found) for annotation in found[frame].annotations]
    record = {"images": images, "annotations": annotations, "categories": [CATEGORY]}
    path = task.root / "annotations" / task.split / f"{task.name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record), encoding="utf-8")
    if task.frames > 1:
        write_sidecar(clip, task.root / "sidecar" / task.split / f"{task.name}.npz")
