"""Motion-capture clips: their format, axes, time between frames, loops; files that are none."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.spatial.transform import Rotation

from dimofs.datasets.records import DatasetError
from dimofs.datasets.synthetic.motion_clips import HINGES, TURNS, at_times, find_clips, heading, read_clip, to_the_left

INSTALLED = importlib.util.find_spec("pybullet_data") is not None
needs_clips = pytest.mark.skipif(not INSTALLED, reason="the package pybullet, an optional extra, is not installed")


def row(lasts: float = 0.1, root: tuple[float, float, float] = (0, 0.9, 0), **joints: object) -> list[float]:
    """A row of the file: everything at rest but the joints that are named (quaternions w x y z, or an angle)."""
    values = np.zeros(44)
    values[0], values[1:4] = lasts, root
    for name, column in TURNS.items():
        values[column : column + 4] = joints.get(name, (1, 0, 0, 0))
    for name, column in HINGES.items():
        values[column] = joints.get(name, 0.0)
    return values.tolist()


def written(path: Path, rows: list[list[float]], loop: str = "none") -> Path:
    path.write_text(json.dumps({"Loop": loop, "Frames": rows}), encoding="utf-8")
    return path


def about(axis: tuple[float, float, float], degrees: float) -> tuple[float, ...]:
    """A quaternion of the file, about an axis of the file."""
    half = np.radians(degrees) / 2
    return (float(np.cos(half)), *(np.sin(half) * np.array(axis, float)))


def test_columns_are_one_after_another_and_none_is_left_out() -> None:
    used = [0, 1, 2, 3, *(start + k for start in TURNS.values() for k in range(4)), *HINGES.values()]
    assert sorted(used) == list(range(44))


def test_axes_are_left_up_forwards(tmp_path: Path) -> None:
    clip = read_clip(written(tmp_path / "a.txt", [row(root=(3, 2, 1)), row(root=(3, 2, 1))]))
    assert_allclose(clip.root[0], (-1, 2, 3))  # the file's x is forwards, its z to the right


def test_turns_keep_their_sense_in_our_axes(tmp_path: Path) -> None:
    """About the file's axes: forwards is a roll to the right, up is a turn to the left, to the right is a pitch up."""
    rows = [row(pelvis=about(axis, 90)) for axis in ((1, 0, 0), (0, 1, 0), (0, 0, 1))]
    pelvis = read_clip(written(tmp_path / "a.txt", rows)).turns["pelvis"]
    left, up, ahead = np.eye(3)
    assert_allclose(pelvis[0].apply(up), -left, atol=1e-12)
    assert_allclose(pelvis[1].apply(ahead), left, atol=1e-12)
    assert_allclose(pelvis[2].apply(ahead), up, atol=1e-12)
    assert_allclose(heading(pelvis)[1], np.pi / 2)
    assert_allclose(heading(to_the_left(0.3)), 0.3)


def test_rounded_quaternions_count_as_rotations(tmp_path: Path) -> None:
    rough = tuple(1.1 * value for value in about((0, 1, 0), 40))
    clip = read_clip(written(tmp_path / "a.txt", [row(chest=rough), row()]))
    assert_allclose(clip.turns["chest"][0].magnitude(), np.radians(40))


def test_a_frame_lasts_until_the_next_and_the_last_one_ends_the_clip(tmp_path: Path) -> None:
    clip = read_clip(written(tmp_path / "a.txt", [row(0.1), row(0.3), row(0.0)]))
    assert_allclose(clip.times, (0, 0.1, 0.4))
    assert clip.seconds == pytest.approx(0.4)


@given(st.floats(0, 1), st.floats(-170, 170))
def test_between_frames_turns_take_the_shortest_arc_at_even_speed(
    tmp_path_factory: pytest.TempPathFactory, share: float, degrees: float
) -> None:
    path = tmp_path_factory.getbasetemp() / "arc.txt"
    end = tuple(-value for value in about((0, 1, 0), degrees))  # the same rotation, the other sign
    rows = [row(0.2), row(0.0, root=(1, 0.5, 0), neck=end, left_knee=-1.0)]
    clip = at_times(read_clip(written(path, rows)), np.array([0.2 * share]))
    assert_allclose(clip.turns["neck"].as_rotvec(degrees=True), [[0, share * degrees, 0]], atol=1e-4)
    assert_allclose(clip.root, [[0, 0.9 - 0.4 * share, share]], atol=1e-12)
    assert_allclose(clip.hinges, [[0, 0, -share, 0]], atol=1e-12)


def test_what_does_not_loop_holds_its_ends(tmp_path: Path) -> None:
    clip = read_clip(written(tmp_path / "a.txt", [row(0.1), row(root=(1, 1, 0), right_elbow=1.0)]))
    late = at_times(clip, np.array([0.1, 0.7, 5.0]))
    assert_allclose(late.root, [(0, 1, 1)] * 3)
    assert_allclose(late.hinges[:, 1], 1.0)


def test_a_loop_goes_on_where_it_ended_in_the_direction_that_it_ended(tmp_path: Path) -> None:
    """One metre ahead and a quarter turn to the left in a second: four rounds of it close a square."""
    rows = [row(1.0), row(0.0, root=(1, 0.9, 0), pelvis=about((0, 1, 0), 90))]
    clip = read_clip(written(tmp_path / "a.txt", rows, "wrap"))
    found = at_times(clip, np.array([1, 2, 3, 4, 4.5, 9.0]))
    corners = [(0, 0.9, 1), (1, 0.9, 1), (1, 0.9, 0), (0, 0.9, 0), (0, 0.9, 0.5), (0, 0.9, 1)]
    assert_allclose(found.root, corners, atol=1e-4)
    assert_allclose(found.turns["pelvis"][3].magnitude(), 0, atol=1e-4)
    assert_allclose(found.turns["pelvis"][4].as_rotvec(), (0, np.pi / 4, 0), atol=1e-4)


def test_a_loop_that_does_not_close_takes_its_time_back_to_the_beginning(tmp_path: Path) -> None:
    """The elbow ends bent by 2 radians: a quarter of a second to stretch it, in which the person stays in place."""
    rows = [row(1.0), row(0.0, root=(1, 0.9, 0), left_elbow=2.0)]
    clip = read_clip(written(tmp_path / "a.txt", rows, "wrap"))
    found = at_times(clip, np.array([1.0, 1.125, 1.25, 2.25]))
    assert_allclose(found.hinges[:, list(HINGES).index("left_elbow")], (2, 1, 0, 2), atol=1e-9)
    assert_allclose(found.root[:, 2], (1, 1, 1, 2), atol=1e-9)


GOOD = [row(), row()]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "complete JSON"),
        ('{"Loop": "wrap", "Frames": [[0.1, 2', "complete JSON"),
        ("[1, 2]", "JSON object"),
        (json.dumps({"Frames": GOOD}), '"Loop" must be'),
        (json.dumps({"Loop": "bounce", "Frames": GOOD}), "'bounce'"),
        (json.dumps({"Loop": "none"}), '"Frames" must be'),
        (json.dumps({"Loop": "none", "Frames": GOOD[:1]}), "two or more rows"),
        (json.dumps({"Loop": "none", "Frames": [[*GOOD[0], 1.0]] * 2}), "rows of 44"),
        (json.dumps({"Loop": "none", "Frames": [GOOD[0], GOOD[0][:-1]]}), "rows of 44"),
        (json.dumps({"Loop": "none", "Frames": [["a"] * 44] * 2}), "rows of 44"),
        (json.dumps({"Loop": "none", "Frames": [row(float("nan")), row()]}), "finite"),
        (json.dumps({"Loop": "none", "Frames": [row(), row(0.0), row()]}), "row 1 does not last"),
        (json.dumps({"Loop": "none", "Frames": [row(), row(left_hip=(0, 0, 0, 0))]}), "row 1, left_hip"),
    ],
)
def test_a_broken_file_is_named_with_what_is_wrong(tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "broken.txt"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DatasetError) as caught:
        read_clip(path)
    assert str(path) in str(caught.value)
    assert says in str(caught.value)
    assert "install the package again" in str(caught.value)


def test_without_the_package_one_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DatasetError, match=r"pybullet, which is not installed; `pip install pybullet`") as caught:
        find_clips()
    assert "\n" not in str(caught.value)


@needs_clips
def test_every_clip_of_the_package_loads() -> None:
    clips = {name: read_clip(path) for name, path in find_clips().items()}
    assert {"walk", "run", "jump", "kick", "roll", "cartwheel", "backflip", "dance_a", "getup_faceup"} <= clips.keys()
    knees = [list(HINGES).index(f"{side}_knee") for side in ("left", "right")]
    elbows = [list(HINGES).index(f"{side}_elbow") for side in ("left", "right")]
    for name, clip in clips.items():
        assert 0.7 < clip.seconds < 6, name
        assert -2.9 < clip.hinges[:, knees].min() < -0.5, name  # knees bend backwards, and hardly over
        assert clip.hinges[:, knees].max() < 0.3, name
        assert 0.5 < clip.hinges[:, elbows].max() < 2.9, name  # elbows forwards
        assert clip.hinges[:, elbows].min() > -0.3, name
        assert (np.diff(clip.times) > 0).all(), name
    assert isinstance(clips["walk"].turns["neck"], Rotation)
