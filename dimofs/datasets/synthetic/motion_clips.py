"""Motion-capture clips in DeepMimic's format (arXiv:1804.02717), as the package pybullet carries them.

A file is a JSON object: "Loop" ("wrap" or "none") and "Frames", rows of 44 numbers: how long the frame lasts (seconds),
the position of the pelvis (metres) and its rotation, then the joints' rotations in the order of `TURNS` and `HINGES`
below. Rotations are quaternions (w, x, y, z) relative to the parent segment. The file's axes are x forwards, y up, z to
the right; everything here is in the axes of `skeleton`: x to the left, y up, z forwards. Checked against the joints and
limits of the package's own humanoid model.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from dimofs.datasets.json_files import read_json
from dimofs.datasets.records import DatasetError
from dimofs.datasets.synthetic.skeleton import Array64

_REMEDY = "it is no motion-capture clip as pybullet carries them; install the package again"
_COLUMNS = 44
_FASTEST = 8.0  # radians a second, of a joint between the end of a loop and its beginning, where they differ

#: Ball joints, and the first of a row's four columns of each.
TURNS: dict[str, int] = {
    "pelvis": 4, "chest": 8, "neck": 12, "right_hip": 16, "right_ankle": 21, "right_shoulder": 25,
    "left_hip": 30, "left_ankle": 35, "left_shoulder": 39,
}  # fmt: skip

#: Hinges, and the column of each: the turn about the axis to the right. A bent knee is negative, a bent elbow positive.
HINGES: dict[str, int] = {"right_knee": 20, "right_elbow": 29, "left_knee": 34, "left_elbow": 43}


@dataclass(frozen=True)
class MotionClip:
    """The motion of one person; N frames."""

    times: Array64  #: (N,) seconds, rising from 0
    root: Array64  #: (N, 3) position of the pelvis, metres
    turns: dict[str, Rotation]  #: by names of TURNS: N rotations, of the pelvis in the world, of others in their parent
    hinges: Array64  #: (N, 4) radians, in the order of HINGES
    loops: bool  #: whether the last frame leads on to the first, somewhere else

    @property
    def seconds(self) -> float:
        """How long it lasts; a clip that loops begins again then."""
        return float(self.times[-1])


def find_clips() -> dict[str, Path]:
    """Every clip of a person that the package pybullet carries: its name (such as "walk") and its file.

    Raises DatasetError where the package is not installed.
    """
    package = importlib.util.find_spec("pybullet_data")
    folders = package.submodule_search_locations if package else None
    files = sorted(Path(folders[0]).glob("data/motions/humanoid3d_*.txt")) if folders else []
    if not files:
        raise DatasetError(
            "motion capture: the clips come with the package pybullet, which is not installed; "
            "`pip install pybullet` (Python 3.11; for 3.12 there is no wheel, so it would be built from its sources)"
        )
    return {path.stem.removeprefix("humanoid3d_"): path for path in files}


def read_clip(path: Path) -> MotionClip:
    """Read a clip. Raises DatasetError naming the file and what is wrong in it."""
    content = read_json(path, dict, _REMEDY)
    loop, frames = content.get("Loop"), content.get("Frames")
    if loop not in ("wrap", "none"):
        raise DatasetError(f'{path}: "Loop" must be "wrap" or "none", got {loop!r:.40}; {_REMEDY}')
    try:
        rows = np.array(frames, np.float64)
    except (TypeError, ValueError):
        rows = np.zeros(0)
    if rows.ndim != 2 or rows.shape[1] != _COLUMNS or len(rows) < 2 or not np.isfinite(rows).all():
        raise DatasetError(f'{path}: "Frames" must be two or more rows of {_COLUMNS} finite numbers; {_REMEDY}')
    if (rows[:-1, 0] <= 0).any():  # how long the last one lasts says nothing: the clip ends there
        raise DatasetError(f"{path}: row {int((rows[:-1, 0] <= 0).argmax())} does not last above 0 seconds; {_REMEDY}")
    for name, column in TURNS.items():
        length = np.linalg.norm(rows[:, column : column + 4], axis=1)
        if (np.abs(length - 1) > 0.5).any():  # the files' own were smoothed number by number: 0.58 to 1.12
            row = int(np.abs(length - 1).argmax())
            raise DatasetError(f"{path}: row {row}, {name}: a quaternion of length {length[row]:.3g}, not 1; {_REMEDY}")
    return MotionClip(
        times=np.concatenate([[0.0], np.cumsum(rows[:-1, 0])]),
        root=_axes(rows[:, 1:4]),
        turns={name: _rotation(rows[:, column : column + 4]) for name, column in TURNS.items()},
        hinges=rows[:, list(HINGES.values())],
        loops=loop == "wrap",
    )


def at_times(clip: MotionClip, seconds: Array64) -> MotionClip:
    """The same motion at other times (T,), rising: rotations on the shortest arc between frames, the rest linear.

    A clip that loops goes on from where it ended and the way that it faced then; any other holds its ends.
    """
    whole = clip
    while clip.loops and whole.seconds < seconds[-1]:
        whole = _again(whole, clip)
    inside = np.clip(seconds, 0.0, whole.seconds)
    return MotionClip(
        times=seconds,
        root=_linear(inside, whole.times, whole.root),
        turns={name: Slerp(whole.times, turn)(inside) for name, turn in whole.turns.items()},
        hinges=_linear(inside, whole.times, whole.hinges),
        loops=False,
    )


def heading(turn: Rotation) -> Array64:
    """Which way a pelvis faces, radians to the left of +z: (N,) for N rotations."""
    ahead = turn.apply([0.0, 0.0, 1.0])
    return np.arctan2(ahead[..., 0], ahead[..., 2])


def to_the_left(angle: float) -> Rotation:
    """The rotation about the vertical axis by that many radians."""
    return Rotation.from_rotvec([0.0, angle, 0.0])


def _again(whole: MotionClip, clip: MotionClip) -> MotionClip:
    """`whole` and after it the clip once more, with as much time between them as their poses are apart."""
    turn = to_the_left(float(heading(whole.turns["pelvis"][-1]) - heading(clip.turns["pelvis"][0])))
    root = turn.apply(clip.root - clip.root[0]) + whole.root[-1]
    root[:, 1] = clip.root[:, 1]
    placed = clip.turns | {"pelvis": turn * clip.turns["pelvis"]}
    angles = [(whole.turns[name][-1].inv() * placed[name][0]).magnitude() for name in TURNS]
    angle = max(*angles, np.abs(whole.hinges[-1] - clip.hinges[0]).max())
    return MotionClip(
        times=np.concatenate([whole.times, whole.seconds + max(angle / _FASTEST, 1e-6) + clip.times]),
        root=np.concatenate([whole.root, root]),
        turns={name: Rotation.concatenate([whole.turns[name], placed[name]]) for name in TURNS},
        hinges=np.concatenate([whole.hinges, clip.hinges]),
        loops=True,
    )


def _linear(query: Array64, times: Array64, values: Array64) -> Array64:
    return np.stack([np.interp(query, times, column) for column in values.T], axis=1)


def _axes(vectors: Array64) -> Array64:
    """Vectors (..., 3) of the file (forwards, up, to the right) in our axes (to the left, up, forwards)."""
    return np.stack([-vectors[..., 2], vectors[..., 1], vectors[..., 0]], axis=-1)


def _rotation(quaternions: Array64) -> Rotation:
    """Rotations of quaternions (N, 4) of the file: w, then the axis."""
    return Rotation.from_quat(np.concatenate([_axes(quaternions[:, 1:]), quaternions[:, :1]], axis=1))
