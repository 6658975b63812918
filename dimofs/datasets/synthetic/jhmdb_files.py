"""Rendered clips in the JHMDB layout.

ReCompress_Videos/<class>/<clip>.avi                  MPEG-4, 30 frames a second
Rename_Images/<class>/<clip>/<5-digit frame>.png      counted from 1, the frames of the video
joint_positions/<class>/<clip>/joint_positions.mat    pos_img, pos_world, scale, viewpoint
puppet_mask/<class>/<clip>/puppet_mask.mat            part_mask
splits/<class>_test_split{1,2,3}.txt
sidecar/<class>/<clip>.npz                            `sidecar`; the actor is person 0
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import scipy.io
from numpy.typing import NDArray

from dimofs.config import Datasets
from dimofs.datasets.records import JHMDB_CLASSES
from dimofs.datasets.synthetic import labels
from dimofs.datasets.synthetic.render import Clip, render
from dimofs.datasets.synthetic.scene import Framing, Scene, random_scene
from dimofs.datasets.synthetic.seeds import stream
from dimofs.datasets.synthetic.sidecar import write_sidecar
from dimofs.datasets.synthetic.skeleton import JOINT
from dimofs.datasets.synthetic.texture import Picture
from dimofs.datasets.synthetic.things import FRAME_RATE

# Three times as fast as the default and hardly larger on noisy pictures.
_PNG = [
    *(cv2.IMWRITE_PNG_COMPRESSION, 1),
    *(cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_HUFFMAN_ONLY),
    *(cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_AVG),
]
_FIRST = ("Summer", "Garden", "Sports_Day", "My", "Old", "Practice", "Lesson", "Home", "Camp", "School", "Park")
_SECOND = ("Session", "Video", "Afternoon", "Training", "Trick_Shots", "Match", "Tutorial", "Workout", "Challenge")
_TAIL = ("", "", "", "", "_(part_2)", "!", "_@_home", "_-_slow", "+more", "_(1)")
_COMPASS = ("N", "NNE", "NE", "ENE", "E", "ESE", "SE", "SSE", "S", "SSW", "SW", "WSW", "W", "WNW", "NW", "NNW")


@dataclass(frozen=True)
class ActionClip:
    """One clip in the JHMDB layout, to be rendered."""

    root: Path
    label: str
    index: int
    seeds: np.random.SeedSequence
    size: int
    frames: int
    title: str


def jhmdb_plan(datasets: Datasets, seed: int, root: Path) -> list[ActionClip]:
    """Clips of all classes. Half of them are as long as the longest, as in the original."""
    sizes = datasets.jhmdb
    tasks = []
    for label in JHMDB_CLASSES:
        for index in range(sizes.clips_per_class):
            rng = np.random.default_rng(stream(seed, "jhmdb clip", label, index))
            drawn = int(rng.integers(sizes.min_frames, sizes.max_frames + 1))
            frames = sizes.max_frames if rng.random() < 0.5 else drawn
            title = f"{rng.choice(_FIRST)}_{rng.choice(_SECOND)}{rng.choice(_TAIL)}"
            seeds = stream(seed, "jhmdb", label, index)
            tasks.append(ActionClip(root, label, index, seeds, datasets.frame_size, frames, title))
    return tasks


def film(task: ActionClip) -> tuple[Scene, Clip, NDArray[np.uint8], int]:
    """Draw a scene and render it: with the mask (T, H, W) of its actor, and the quantiser of the video."""
    rng = np.random.default_rng(task.seeds)
    others = int(rng.choice((0, 1, 2, 3), p=(0.55, 0.25, 0.12, 0.08)))
    framing = Framing(
        task.frames,
        task.size,
        (task.label,),
        tallest=0.9,
        smallest=0.45,
        spread=0.3,
        margin=0.1,
        tripods=0.49,
        pan=0.08,
        close_ups=0.2,
        bystanders=others,
    )
    while True:
        scene = random_scene(rng, framing)
        clip = render(scene, rng)
        mask = labels.puppet_mask(clip)
        if mask.any((1, 2)).all():  # no frame of JHMDB is without its actor: a scene that loses him is drawn anew
            break
    return scene, clip, mask, int(rng.choice((2, 3, 4, 6), p=(0.135, 0.365, 0.365, 0.135)))


def write_action_clip(task: ActionClip) -> None:
    """Render one clip: video, frames (those of the video, as in the original), joints, mask and sidecar."""
    scene, clip, mask, quantiser = film(task)
    facing = _facing(scene)
    name = _clip_name(task, scene, clip, facing, quantiser)

    video = task.root / "ReCompress_Videos" / task.label / f"{name}.avi"
    write_video(clip.frames, video, quantiser)
    frames = task.root / "Rename_Images" / task.label / name
    frames.mkdir(parents=True)
    for number, picture in enumerate(_read_video(video), 1):
        cv2.imwrite(str(frames / f"{number:05d}.png"), picture, _PNG)
    joints = task.root / "joint_positions" / task.label / name / "joint_positions.mat"
    _write_mat(_joint_positions(scene, clip, facing), joints)
    puppet = task.root / "puppet_mask" / task.label / name / "puppet_mask.mat"
    _write_mat({"part_mask": np.moveaxis(mask, 0, -1)}, puppet)
    write_sidecar(clip, task.root / "sidecar" / task.label / f"{name}.npz")


def _facing(scene: Scene) -> float:
    """Where the actor faces at first, radians clockwise from above; 0: away from the camera (north), π: towards it."""
    across = scene.members[0].joints[0, JOINT["left_shoulder"]] - scene.members[0].joints[0, JOINT["right_shoulder"]]
    return float(np.arctan2(-across[2], -across[0]))


def _clip_name(task: ActionClip, scene: Scene, clip: Clip, facing: float, quantiser: int) -> str:
    """The clip's name in HMDB's manner: title, action, body shown, camera motion, actors, view, quality, number."""
    ankles = clip.joints[:, 0, [JOINT["left_ankle"], JOINT["right_ankle"]]]
    shown = "f" if np.median(ankles[..., 1]) < scene.camera.size else "u"
    moving = "cm" if np.ptp(scene.camera.rotation, axis=0).max() > 0.01 else "nm"
    view = ("ba", "ri", "fr", "le")[round(facing / (np.pi / 2)) % 4]
    quality = "goo" if quantiser < 3 else "med" if quantiser < 6 else "bad"
    return f"{task.title}_{task.label}_{shown}_{moving}_np1_{view}_{quality}_{task.index}"


def _joint_positions(scene: Scene, clip: Clip, facing: float) -> dict[str, Any]:
    """The variables of joint_positions.mat; `scale` is the actor's standing height as a fraction of the frame's."""
    camera, actor = scene.camera, scene.members[0]
    distance = camera.view(actor.joints[:, :1])[:, 0, 2]
    scale = (camera.focal * actor.build.height / distance / camera.size)[None].astype(np.float64)
    image = labels.jhmdb_joints(clip).transpose(2, 1, 0).astype(np.float64) + 1
    x, y = image / camera.size
    return {
        "pos_img": image,
        "pos_world": np.stack([(x - 0.5) / scale, (y - 0.5) / scale]),  # width and height are equal
        "scale": scale,
        "viewpoint": _COMPASS[round(facing / (2 * np.pi) * 16) % 16],
    }


def _write_mat(variables: dict[str, Any], path: Path) -> None:
    """A MATLAB 5 file whose header holds no date, so that equal contents give equal bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(str(path), variables, do_compression=True)
    with path.open("r+b") as file:
        file.write(b"MATLAB 5.0 MAT-file, rendered by dimofs".ljust(116))


def write_video(frames: Sequence[Picture], path: Path, quantiser: int) -> None:
    """The clip as MPEG-4 in AVI at 30 frames a second; the quantiser is 1 (best) to 31."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = frames[0].shape[:2]
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
        options = {"qmin": str(quantiser), "qmax": str(quantiser)}
        track = container.add_stream("mpeg4", rate=FRAME_RATE, options=options)
        track.height, track.width, track.pix_fmt = height, width, "yuv420p"
        track.codec_context.thread_count = 1
        for picture in frames:
            container.mux(track.encode(av.VideoFrame.from_ndarray(picture, "bgr24")))
        container.mux(track.encode())


def _read_video(path: Path) -> Iterator[Picture]:
    """The frames of a video, (H, W, 3) BGR."""
    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="bgr24")


def write_splits(root: Path, seed: int) -> None:
    """Write the split files of the clips under `root`: every clip tests in one split, a third of each class in each."""
    (root / "splits").mkdir()
    for folder in sorted((root / "ReCompress_Videos").iterdir()):
        clips = sorted(path.name for path in folder.iterdir())
        rng = np.random.default_rng(stream(seed, "jhmdb splits", folder.name))
        tests = rng.permutation(len(clips)) % 3 + 1
        for split in (1, 2, 3):
            lines = [f"{clip} {2 if test == split else 1}\n" for clip, test in zip(clips, tests, strict=True)]
            (root / "splits" / f"{folder.name}_test_split{split}.txt").write_text("".join(lines), encoding="ascii")
