"""Recorded motions done by other people: forward kinematics, bone lengths, sides, feet on the ground."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from test_motion_clips import about, needs_clips, row, written

from dimofs.datasets.synthetic.motion_clips import MotionClip, at_times, find_clips, read_clip
from dimofs.datasets.synthetic.retarget import HUMANOID, joint_positions, lowest, perform_clip, retargeted
from dimofs.datasets.synthetic.skeleton import DOFS, JOINT, Array64, Build, forward_kinematics

FILE_RIGHT, FILE_UP = (0.0, 0.0, 1.0), (0.0, 1.0, 0.0)
BONES = {
    ("pelvis", "belly"): "lower_trunk", ("belly", "head_bottom"): "upper_trunk",
    **{(f"{side}_{a}", f"{side}_{b}"): length for side in ("left", "right") for a, b, length in (
        ("shoulder", "elbow", "upper_arm"), ("elbow", "wrist", "forearm"), ("wrist", "hand", "hand"),
        ("hip", "knee", "thigh"), ("knee", "ankle", "shank"),
    )},
}  # fmt: skip


def posed(tmp_path: Path, **joints: object) -> MotionClip:
    return read_clip(written(tmp_path / "pose.txt", [row(**joints), row(**joints)]))  # type: ignore[arg-type]


def builds() -> list[Build]:
    return [Build.sample(np.random.default_rng(seed)) for seed in range(5)]


def at(positions: Array64, joint: str) -> Array64:
    return positions[0, JOINT[joint]]


def test_at_rest_it_is_the_rest_pose_of_our_own_skeleton(tmp_path: Path) -> None:
    clip = posed(tmp_path)
    for build in builds():
        own = forward_kinematics(build, np.zeros((2, len(DOFS))), clip.root, np.zeros((2, 3)))
        assert_allclose(joint_positions(clip, build), own, atol=1e-5)


def test_a_trunk_bent_forwards_is_that_of_our_own_skeleton(tmp_path: Path) -> None:
    """The whole body pitched by 30°, and turned to the left by 50°."""
    clip = posed(tmp_path, pelvis=about(FILE_UP, 50))
    (build, *_) = builds()
    own = forward_kinematics(build, np.zeros((2, len(DOFS))), clip.root, np.tile([0, np.radians(50), 0], (2, 1)))
    assert_allclose(joint_positions(clip, build), own, atol=1e-5)
    clip = posed(tmp_path, pelvis=about(FILE_RIGHT, -30))
    own = forward_kinematics(build, np.zeros((2, len(DOFS))), clip.root, np.tile([np.radians(30), 0, 0], (2, 1)))
    assert_allclose(joint_positions(clip, build), own, atol=1e-5)


def test_known_turns_put_limbs_where_they_belong(tmp_path: Path) -> None:
    (build, *_) = builds()
    raised = joint_positions(posed(tmp_path, left_shoulder=about(FILE_RIGHT, 90)), build)
    assert_allclose(at(raised, "left_wrist") - at(raised, "left_shoulder"), (0, 0, build.arm), atol=1e-9)
    assert_allclose(at(raised, "right_wrist") - at(raised, "right_shoulder"), (0, -build.arm, 0), atol=1e-9)

    bent = joint_positions(posed(tmp_path, right_knee=-np.pi / 2, left_elbow=np.pi / 2), build)
    assert_allclose(at(bent, "right_ankle") - at(bent, "right_knee"), (0, 0, -build.shank), atol=1e-9)  # backwards
    assert_allclose(at(bent, "left_ankle") - at(bent, "left_knee"), (0, -build.shank, 0), atol=1e-9)
    assert_allclose(at(bent, "left_wrist") - at(bent, "left_elbow"), (0, 0, build.forearm), atol=1e-9)  # forwards

    tiptoe = joint_positions(posed(tmp_path, right_ankle=about(FILE_RIGHT, -60)), build)
    assert at(tiptoe, "right_toe")[1] < at(tiptoe, "left_toe")[1] - 0.02


def test_children_turn_with_their_parents(tmp_path: Path) -> None:
    """Chest bent by 90°: neck, head and arms go along, and an arm raised by 90° in it points along the trunk."""
    (build, *_) = builds()
    found = joint_positions(
        posed(tmp_path, chest=about(FILE_RIGHT, -90), left_shoulder=about(FILE_RIGHT, 180), left_elbow=np.pi / 2), build
    )
    assert_allclose(at(found, "head_bottom") - at(found, "belly"), (0, 0, build.upper_trunk), atol=1e-9)
    assert_allclose(at(found, "left_elbow") - at(found, "left_shoulder"), (0, 0, build.upper_arm), atol=1e-9)
    assert_allclose(at(found, "left_wrist") - at(found, "left_elbow"), (0, build.forearm, 0), atol=1e-9)


def test_the_left_is_left_of_who_faces_forwards(tmp_path: Path) -> None:
    found = joint_positions(posed(tmp_path), HUMANOID)
    for joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle"):
        assert at(found, f"left_{joint}")[0] > 0 > at(found, f"right_{joint}")[0]
    assert at(found, "nose")[2] > at(found, "head_bottom")[2]


def test_feet_stand_on_the_ground_whatever_the_build(tmp_path: Path) -> None:
    """The recorded person's soles are at 0; of one in the air the same share of the leg's length stays."""
    standing = HUMANOID.leg + HUMANOID.ankle_height
    for lift in (0.0, 0.3):
        clip = read_clip(written(tmp_path / "a.txt", [row(root=(2, standing + lift, 0))] * 2))
        for build in builds():
            scale = (build.leg + build.ankle_height) / standing
            found = retargeted(clip, build)
            assert_allclose(lowest(build, found), scale * lift, atol=1e-5)
            assert_allclose(found[:, JOINT["pelvis"], [0, 2]], [[0, 2 * scale]] * 2, atol=1e-5)


def test_who_sank_into_the_ground_is_lifted_out_of_it(tmp_path: Path) -> None:
    clip = read_clip(written(tmp_path / "a.txt", [row(root=(0, 0.5, 0))] * 2))
    for build in builds():
        assert_allclose(lowest(build, retargeted(clip, build)), 0, atol=1e-5)


@pytest.mark.parametrize("seed", range(6))
def test_a_take_starts_above_the_origin_and_faces_forwards(tmp_path: Path, seed: int) -> None:
    rows = [row(0.5, root=(7, 0.9, 3), pelvis=about(FILE_UP, 70)), row(0, root=(8, 0.9, 3), pelvis=about(FILE_UP, 75))]
    clip, rng = read_clip(written(tmp_path / "a.txt", rows)), np.random.default_rng(seed)
    take = perform_clip(clip, 5, Build.sample(rng), rng)
    assert take.positions.shape == (5, 21, 3)
    assert take.positions.dtype == np.float32
    assert take.props == ()
    assert_allclose(take.positions[0, JOINT["pelvis"], [0, 2]], 0, atol=1e-5)
    across = take.positions[0, JOINT["left_hip"]] - take.positions[0, JOINT["right_hip"]]
    assert_allclose(across / np.linalg.norm(across), (1, 0, 0), atol=1e-4)


def test_takes_begin_anywhere_and_with_either_hand(tmp_path: Path) -> None:
    rows = [row(1.0), row(0, root=(0, 0.9, 0), left_shoulder=about(FILE_RIGHT, 90))]
    heights: dict[str, set[float]] = {"left": set(), "right": set()}
    clip = read_clip(written(tmp_path / "a.txt", rows))
    for seed in range(12):
        positions = perform_clip(clip, 2, HUMANOID, np.random.default_rng(seed)).positions
        for side, found in heights.items():
            drop = positions[0, JOINT[f"{side}_shoulder"]] - positions[0, JOINT[f"{side}_wrist"]]
            found.add(round(float(drop[1]), 3))
    hanging = round(HUMANOID.arm, 3)
    assert hanging in heights["left"]  # in mirrored takes the left arm hangs
    assert hanging in heights["right"]
    assert len(heights["left"] | heights["right"]) == 13  # every phase another height


@needs_clips
def test_real_clips_keep_the_bones_stand_upright_and_touch_the_ground() -> None:
    (build, *_) = builds()
    for name, path in find_clips().items():
        clip = read_clip(path)
        found = retargeted(at_times(clip, np.arange(0, clip.seconds, 1 / 30)), build)
        for (a, b), length in BONES.items():
            bone = np.linalg.norm(found[:, JOINT[a]] - found[:, JOINT[b]], axis=-1)
            assert_allclose(bone, getattr(build, length), rtol=1e-4, err_msg=name)
        ground = lowest(build, found)
        assert ground.min() > -1e-4, name
        assert np.median(ground) < 0.12, name  # in the air now and then, but not floating
        steps = np.linalg.norm(np.diff(found[:, JOINT["pelvis"]], axis=0), axis=-1)
        assert steps.max() < 0.35, name  # metres in a thirtieth of a second
    walk = retargeted(read_clip(find_clips()["walk"]), build)
    assert (walk[:, JOINT["head_top"], 1] > 0.9 * build.height).all()
    assert walk[-1, JOINT["pelvis"], 2] > 0.8  # it goes forwards
