"""The motion-capture part: validation videos whose people move as real people did, in the PoseTrack18 layout.

From the validation videos of `posetrack18` it differs in the motions, and in that nobody is alone: builds and clothes,
backgrounds, cameras, things, light and sensor are drawn from the same distributions, and the same frames are labelled.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dimofs.config import Datasets
from dimofs.datasets.synthetic.motion_clips import find_clips, read_clip
from dimofs.datasets.synthetic.motions import Performance
from dimofs.datasets.synthetic.posetrack_files import (
    PoseSequence,
    distinct,
    draw,
    how_many_far,
    labelled_frames,
    write_clip,
)
from dimofs.datasets.synthetic.render import render
from dimofs.datasets.synthetic.retarget import perform_clip
from dimofs.datasets.synthetic.scene import Framing, random_scene
from dimofs.datasets.synthetic.seeds import stream
from dimofs.datasets.synthetic.skeleton import Build


@dataclass(frozen=True)
class CapturedSequence:
    """One sequence whose people move as in clips, to be rendered."""

    sequence: PoseSequence
    actions: tuple[str, ...]  #: the clip of each person
    clips: dict[str, Path]  #: name and file of every clip


def motion_capture_plan(datasets: Datasets, seed: int, root: Path) -> list[CapturedSequence]:
    """Validation sequences of two or three people; clips are dealt like cards, so none comes much oftener than others.

    Raises DatasetError where pybullet, whose clips they are, is not installed.
    """
    clips, sizes = find_clips(), datasets.posetrack18
    rng = np.random.default_rng(stream(seed, "motion_capture clips"))
    labelled = labelled_frames(sizes, "val")
    deck: list[str] = []
    tasks, actions = [], []
    for index in range(datasets.motion_capture.videos):
        people = 3 if rng.random() < 1 / 3 else 2
        while len(deck) < people:
            deck += map(str, rng.permutation(sorted(clips)))
        actions.append(tuple(deck[:people]))
        deck = deck[people:]
        number = 2 * (draw(seed, "motion_capture number", index) % 500_000) + 1
        seeds = stream(seed, "motion_capture", index)
        tasks.append(PoseSequence(root, "val", number, seeds, datasets.frame_size, sizes.frames, labelled))
    return [CapturedSequence(task, each, clips) for task, each in zip(distinct(tasks), actions, strict=True)]


def write_captured(task: CapturedSequence) -> None:
    """Render one sequence: `images/`, `annotations/` and `sidecar/` of its split."""
    sequence = task.sequence
    rng = np.random.default_rng(sequence.seeds)

    def perform(clip: str, frames: int, build: Build, rng: np.random.Generator) -> Performance:
        return perform_clip(read_clip(task.clips[clip]), frames, build, rng)

    far = how_many_far(rng)
    framing = Framing(
        sequence.frames, sequence.size, task.actions, distant=far, perform=perform, others=tuple(sorted(task.clips))
    )
    write_clip(sequence, render(random_scene(rng, framing), rng))
