"""Rendered dives in the Diving48 layout.

rgb/<video id>_<5 digits>.mp4       H.264; the id names the source video, of which there are many dives
Diving48_V2_{train,test}.json       vid_name, label, start_frame 0, end_frame (inclusive)
Diving48_vocab.json                 48 × [take-off, somersaults, twists, position]
sidecar/<name>.npz                  `sidecar`; the diver is person 0
"""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from dimofs.config import Datasets
from dimofs.datasets.records import DIVING48_CLASSES
from dimofs.datasets.synthetic.dives import parse, perform
from dimofs.datasets.synthetic.pool import Diver, Venue, pool_scene
from dimofs.datasets.synthetic.render import render
from dimofs.datasets.synthetic.seeds import stream
from dimofs.datasets.synthetic.sidecar import write_sidecar
from dimofs.datasets.synthetic.texture import Picture

#: The one class that has no dive in the official V2 labels: a straight forward dive.
EMPTY = 30
_SQUAD = 6  # divers of a source video


@dataclass(frozen=True)
class DiveClip:
    """One clip in the Diving48 layout, to be rendered."""

    root: Path
    split: str
    label: int
    name: str  #: <video id>_<5 digits>
    venue: np.random.SeedSequence
    diver: np.random.SeedSequence
    seeds: np.random.SeedSequence
    size: int
    rate: int  #: frames a second


def diving48_plan(datasets: Datasets, seed: int, root: Path) -> list[DiveClip]:
    """Train and test clips of every class but `EMPTY`, spread evenly over the source videos of their split."""
    sizes = datasets.diving48
    tasks = []
    for split, clips, videos in (
        ("train", sizes.train_clips_per_class, sizes.train_videos),
        ("test", sizes.test_clips_per_class, sizes.test_videos),
    ):
        taken: set[str] = set()
        for label in range(len(DIVING48_CLASSES)):
            if label == EMPTY:
                continue
            order = np.random.default_rng(stream(seed, "diving48 order", split, label)).permutation(videos)
            for index in range(clips):
                rng = np.random.default_rng(stream(seed, "diving48 clip", split, label, index))
                video = int(order[index % videos])
                name = _name(seed, split, video, int(rng.integers(100_000)), taken)
                squad = int(rng.integers(_SQUAD))
                tasks.append(
                    DiveClip(
                        root,
                        split,
                        label,
                        name,
                        venue=stream(seed, "diving48 venue", split, video),
                        diver=stream(seed, "diving48 diver", split, video, squad),
                        seeds=stream(seed, "diving48", split, label, index),
                        size=datasets.frame_size,
                        rate=sizes.frame_rate,
                    )
                )
    return tasks


def _name(seed: int, split: str, video: int, number: int, taken: set[str]) -> str:
    """A name like the official ones: eleven letters of YouTube's alphabet, five digits; none is given twice."""
    words = stream(seed, "diving48 video", split, video).generate_state(2)
    letters = base64.urlsafe_b64encode(words.astype("<u4").tobytes()).decode()[:11]
    while (name := f"{letters}_{number:05d}") in taken:
        number = (number + 1) % 100_000
    taken.add(name)
    return name


def write_dive(task: DiveClip) -> None:
    """Render one clip: `rgb/` and `sidecar/`."""
    venue = Venue.sample(np.random.default_rng(task.venue), task.size)
    diver = Diver.sample(np.random.default_rng(task.diver))
    rng = np.random.default_rng(task.seeds)
    take = perform(parse(DIVING48_CLASSES[task.label]), venue.board, diver.build, task.rate, rng)
    clip = render(pool_scene(venue, diver, take, task.size, rng), rng)
    _write_video(clip.frames, task.root / "rgb" / f"{task.name}.mp4", task.rate, venue.quality)
    write_sidecar(clip, task.root / "sidecar" / f"{task.name}.npz")


def _write_video(frames: Sequence[Picture], path: Path, rate: int, quality: int) -> None:
    """The clip as H.264 in mp4; the constant rate factor `quality` is 0 (lossless) to 51."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = frames[0].shape[:2]
    # Without threads and dates equal frames give equal bytes.
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
        options = {"crf": str(quality), "preset": "superfast", "threads": "1"}
        track = container.add_stream("libx264", rate=rate, options=options)
        track.height, track.width, track.pix_fmt = height, width, "yuv420p"
        track.codec_context.thread_count = 1
        for picture in frames:
            container.mux(track.encode(av.VideoFrame.from_ndarray(picture, "bgr24")))
        container.mux(track.encode())


def write_labels(root: Path, tasks: Sequence[DiveClip]) -> None:
    """Write the label files and the vocabulary of clips that are there."""
    for split in ("train", "test"):
        entries = [
            {
                "vid_name": task.name,
                "label": task.label,
                "start_frame": 0,
                "end_frame": frames_of(root / "rgb" / f"{task.name}.mp4") - 1,
            }
            for task in tasks
            if task.split == split
        ]
        (root / f"Diving48_V2_{split}.json").write_text(json.dumps(entries), encoding="utf-8")
    vocabulary = json.dumps([list(words) for words in DIVING48_CLASSES], indent=2)
    (root / "Diving48_vocab.json").write_text(vocabulary, encoding="utf-8")


def frames_of(video: Path) -> int:
    """How many frames an mp4 file holds, as its header says."""
    with av.open(str(video)) as container:
        return container.streams.video[0].frames
