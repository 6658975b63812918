import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dimofs.datasets.synthetic.plan import mirrored
from dimofs.datasets.synthetic.skeleton import (
    DOF,
    DOFS,
    JOINT,
    JOINTS,
    LIMITS,
    Array64,
    Build,
    clamp,
    forward_kinematics,
    solve_arms,
    solve_legs,
    torso,
)

SEEDS = st.integers(0, 2**32 - 1)
FRAMES = 6


def drawn(seed: int) -> tuple[Build, Array64, Array64, Array64]:
    """A person in random poses inside the limits."""
    rng = np.random.default_rng(seed)
    low, high = np.array(list(LIMITS.values())).T
    angles = rng.uniform(low, high, (FRAMES, len(DOFS)))
    return Build.sample(rng), angles, rng.normal(0, 1, (FRAMES, 3)), rng.uniform(-1, 1, (FRAMES, 3))


def at_rest(build: Build, **angles: float) -> np.ndarray:
    pose = np.zeros((1, len(DOFS)))
    for name, value in angles.items():
        pose[0, DOF[name]] = value
    return forward_kinematics(build, pose, np.zeros((1, 3)), np.zeros((1, 3)))[0]


@pytest.fixture
def build() -> Build:
    return Build.sample(np.random.default_rng(7))


@settings(max_examples=40, deadline=None)
@given(SEEDS)
def test_bones_keep_the_lengths_of_the_build(seed: int) -> None:
    build, angles, root, orientation = drawn(seed)
    positions = forward_kinematics(build, angles, root, orientation)
    assert positions.shape == (FRAMES, len(JOINTS), 3)
    assert positions.dtype == np.float32

    def length(a: str, b: str) -> np.ndarray:
        return np.linalg.norm(positions[:, JOINT[a]] - positions[:, JOINT[b]], axis=-1)

    foot = np.hypot(build.foot, build.ankle_height - build.foot_radius)
    bones = {
        ("pelvis", "belly"): build.lower_trunk,
        ("belly", "head_bottom"): build.upper_trunk,
        ("head_bottom", "head_top"): build.head,
        ("left_hip", "right_hip"): 2 * build.hip_half_width,
    }
    for side in ("left", "right"):
        bones |= {
            ("head_bottom", f"{side}_shoulder"): np.hypot(build.shoulder_half_width, build.shoulder_drop),
            (f"{side}_shoulder", f"{side}_elbow"): build.upper_arm,
            (f"{side}_elbow", f"{side}_wrist"): build.forearm,
            (f"{side}_wrist", f"{side}_hand"): build.hand,
            (f"{side}_hip", f"{side}_knee"): build.thigh,
            (f"{side}_knee", f"{side}_ankle"): build.shank,
            (f"{side}_ankle", f"{side}_toe"): foot,
        }
    for (a, b), expected in bones.items():
        np.testing.assert_allclose(length(a, b), expected, rtol=1e-4, err_msg=f"{a} to {b}")
    np.testing.assert_allclose(length("nose", "head_top"), length("nose", "head_top")[0], rtol=1e-4)


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_a_pose_beyond_the_limits_is_the_pose_at_the_limits(seed: int) -> None:
    build, angles, root, orientation = drawn(seed)
    wild = angles * 3
    assert (wild != clamp(wild)).any()
    np.testing.assert_array_equal(
        forward_kinematics(build, wild, root, orientation), forward_kinematics(build, clamp(wild), root, orientation)
    )


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_mirrored_angles_give_mirrored_positions(seed: int) -> None:
    build, angles, root, orientation = drawn(seed)
    swap = [DOF[n.replace("left", "L").replace("right", "left").replace("L", "right")] for n in DOFS]
    other = angles[:, swap]
    for name in ("spine_twist", "spine_side", "neck_turn", "neck_side"):
        other[:, DOF[name]] *= -1
    positions = forward_kinematics(build, other, root * [-1, 1, 1], orientation * [1, -1, -1])
    np.testing.assert_allclose(
        positions, mirrored(forward_kinematics(build, angles, root, orientation)), rtol=0, atol=1e-5
    )


def test_a_person_at_rest_stands_upright_and_faces_forwards(build: Build) -> None:
    rest = at_rest(build)
    sole = rest[JOINT["left_ankle"], 1] - build.ankle_height
    assert rest[JOINT["head_top"], 1] - sole == pytest.approx(build.height, rel=0.01)
    assert rest[JOINT["nose"], 2] > 0.05
    assert rest[JOINT["left_shoulder"], 0] > 0 > rest[JOINT["right_shoulder"], 0]
    assert rest[JOINT["left_toe"], 2] > rest[JOINT["left_ankle"], 2]
    assert rest[JOINT["left_toe"], 1] - build.foot_radius == pytest.approx(sole, abs=1e-4)


def test_angles_move_limbs_the_way_they_say(build: Build) -> None:
    def limb(a: str, b: str, **angles: float) -> np.ndarray:
        pose = at_rest(build, **angles)
        vector = pose[JOINT[b]] - pose[JOINT[a]]
        return vector / np.linalg.norm(vector)

    upper, fore = ("left_shoulder", "left_elbow"), ("left_elbow", "left_wrist")
    close = {"rtol": 0, "atol": 1e-4}
    np.testing.assert_allclose(limb(*upper, left_shoulder_lift=np.pi / 2), [0, 0, 1], **close)
    sideways = {"left_shoulder_plane": np.pi / 2, "left_shoulder_lift": np.pi / 2}
    np.testing.assert_allclose(limb(*upper, **sideways), [1, 0, 0], **close)
    np.testing.assert_allclose(limb(*fore, left_elbow=np.pi / 2), [0, 0, 1], **close)
    np.testing.assert_allclose(limb(*fore, left_elbow=np.pi / 2, left_shoulder_twist=np.pi / 2), [-1, 0, 0], **close)
    np.testing.assert_allclose(limb("right_knee", "right_ankle", right_knee=np.pi / 2), [0, 0, -1], **close)
    aside = limb("right_hip", "right_knee", right_hip_plane=np.pi / 2, right_hip_lift=1.0)
    np.testing.assert_allclose(aside, [-np.sin(1), -np.cos(1), 0], **close)
    assert limb("pelvis", "head_bottom", spine_bend=0.5)[2] > 0.3
    assert limb("pelvis", "head_bottom", spine_side=0.5)[0] > 0.3
    assert limb("head_bottom", "nose", neck_turn=0.7)[0] > 0.1
    assert limb("left_ankle", "left_toe", left_ankle=0.8)[1] < -0.5


def test_a_heading_turns_to_the_left(build: Build) -> None:
    turned = forward_kinematics(build, np.zeros((1, len(DOFS))), np.zeros((1, 3)), np.array([[0.0, np.pi / 2, 0.0]]))[0]
    assert turned[JOINT["nose"], 0] > 0.05
    assert abs(turned[JOINT["nose"], 2]) < 1e-4


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_legs_reach_for_ankles_with_flat_feet(seed: int) -> None:
    rng = np.random.default_rng(seed)
    build = Build.sample(rng)
    root = np.tile([0.0, build.leg * rng.uniform(0.6, 0.95) + build.ankle_height, 0.0], (FRAMES, 1))
    # A deep crouch on flat feet is beyond the ankle's limits, so stay above it.
    orientation = rng.uniform(-0.3, 0.3, (FRAMES, 3))
    ankles = np.array([[0.12, build.ankle_height, 0.0], [-0.12, build.ankle_height, 0.0]])
    ankles = ankles + np.concatenate([rng.uniform(-0.1, 0.1, (FRAMES, 2, 3)) * [1, 0, 1]])
    yaw = rng.uniform(-0.2, 0.2, (FRAMES, 2))
    rest = np.zeros((FRAMES, len(DOFS)))
    solved = solve_legs(build, rest, root, orientation, ankles, np.zeros((FRAMES, 2)), yaw)
    positions = forward_kinematics(build, solved, root, orientation)
    np.testing.assert_allclose(positions[:, JOINT["left_ankle"] : JOINT["left_toe"]], ankles, rtol=0, atol=0.01)
    knees = positions[:, JOINT["left_knee"] : JOINT["left_ankle"]]
    hips = positions[:, JOINT["left_hip"] : JOINT["left_knee"]]
    ahead = np.stack([np.sin(yaw), np.zeros_like(yaw), np.cos(yaw)], -1)
    assert (((knees - (hips + ankles) / 2) * ahead).sum(-1) > 0).all(), "knees point where the toes point"
    inside = solved[:, [DOF["left_ankle"], DOF["right_ankle"]]]
    flat = (inside > LIMITS["left_ankle"][0]) & (inside < LIMITS["left_ankle"][1])
    toes = positions[:, JOINT["left_toe"] :, 1]
    np.testing.assert_allclose(toes[flat], build.foot_radius, rtol=0, atol=0.02)


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_arms_come_back_to_where_a_pose_had_the_wrists(seed: int) -> None:
    build, angles, root, orientation = drawn(seed)
    for name in ("elbow", "shoulder_plane", "shoulder_lift", "shoulder_twist"):  # poses that people have
        for side in ("left", "right"):
            low, high = {"elbow": (0.3, 2.0), "shoulder_plane": (0.0, 1.5), "shoulder_lift": (0.2, 1.8)}.get(
                name, (-0.5, 0.5)
            )
            column = DOF[f"{side}_{name}"]
            angles[:, column] = np.clip(angles[:, column], low, high)
    posed = forward_kinematics(build, angles, root, orientation).astype(np.float64)
    wrists = posed[:, JOINT["left_wrist"] : JOINT["left_hand"]]
    _, chest, spine = torso(build, angles, root, orientation)
    targets = (wrists - spine[:, 1, None]) @ chest
    resting = angles.copy()
    for side in ("left", "right"):
        resting[:, DOF[f"{side}_shoulder_lift"]] = 0.6
        resting[:, DOF[f"{side}_elbow"]] = 1.0
    everything, nothing = np.ones((FRAMES, 2)), np.zeros((FRAMES, 2))
    solved = forward_kinematics(build, solve_arms(build, resting, targets, everything), root, orientation)
    error = np.linalg.norm(solved[:, JOINT["left_wrist"] : JOINT["left_hand"]] - wrists, axis=-1)
    assert np.median(error) < 0.01
    np.testing.assert_array_equal(solve_arms(build, resting, targets, nothing), resting)


def test_a_hand_out_of_reach_stretches_towards_its_target(build: Build) -> None:
    target = np.tile([[0.3, 0.0, 3.0], [-0.3, 0.0, 3.0]], (1, 1, 1))
    solved = solve_arms(build, np.zeros((1, len(DOFS))), target, np.ones((1, 2)))
    positions = forward_kinematics(build, solved, np.zeros((1, 3)), np.zeros((1, 3)))[0]
    arm = positions[JOINT["left_wrist"]] - positions[JOINT["left_shoulder"]]
    assert np.linalg.norm(arm) == pytest.approx(build.arm, rel=0.01)
    assert arm[2] / build.arm > 0.97


def test_builds_are_varied_and_add_up() -> None:
    rng = np.random.default_rng(0)
    builds = [Build.sample(rng) for _ in range(200)]
    for one in builds:
        total = one.head + one.upper_trunk + one.lower_trunk + one.thigh + one.shank + one.ankle_height
        assert total == pytest.approx(one.height)
        assert min(vars(one).values()) > 0
    heights = np.array([one.height for one in builds])
    assert 0.1 < (heights < 1.45).mean() < 0.35, "some children"
    assert heights.max() > 1.8
    heads = np.array([one.head / one.height for one in builds])
    assert heads[heights < 1.3].mean() > heads[heights > 1.6].mean() + 0.01, "children have larger heads"
    waists = np.array([one.waist_radius / one.height for one in builds])
    assert waists.max() / waists.min() > 1.5, "slim and heavy"
    assert Build.sample(np.random.default_rng(3)) == Build.sample(np.random.default_rng(3))
