import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dimofs.datasets.records import JHMDB_CLASSES
from dimofs.datasets.synthetic.motions import FREE_MOTIONS, Performance, perform
from dimofs.datasets.synthetic.programmes import ACTIONS
from dimofs.datasets.synthetic.skeleton import JOINT, LIMITS, Build

EVERYTHING = tuple(dict.fromkeys(JHMDB_CLASSES + FREE_MOTIONS))


def take(action: str, seed: int, frames: int = 40) -> tuple[Build, Performance]:
    rng = np.random.default_rng([zlib.crc32(action.encode()), seed])
    build = Build.sample(rng)
    return build, perform(action, frames, build, rng)


def bend(positions: np.ndarray, a: str, b: str, c: str) -> np.ndarray:
    """Angle between two bones, 0 when they are in line."""
    first = positions[:, JOINT[b]] - positions[:, JOINT[a]]
    second = positions[:, JOINT[c]] - positions[:, JOINT[b]]
    cosine = (first * second).sum(-1) / np.linalg.norm(first, axis=-1) / np.linalg.norm(second, axis=-1)
    return np.arccos(np.clip(cosine, -1, 1))


def test_every_class_has_a_programme_and_there_are_many_free_motions() -> None:
    assert tuple(ACTIONS) == JHMDB_CLASSES
    assert len(set(FREE_MOTIONS)) == len(FREE_MOTIONS) >= 12


@pytest.mark.parametrize("action", EVERYTHING)
def test_a_take_is_a_person_who_moves_and_stays_whole(action: str) -> None:
    for seed, frames in enumerate((15, 18, 27, 40, 50)):
        build, performance = take(action, seed, frames)
        positions = performance.positions
        assert positions.shape == (frames, 21, 3)
        assert positions.dtype == np.float32
        assert np.isfinite(positions).all()

        for side in ("left", "right"):
            for a, b, length in (
                ("shoulder", "elbow", build.upper_arm),
                ("elbow", "wrist", build.forearm),
                ("hip", "knee", build.thigh),
                ("knee", "ankle", build.shank),
            ):
                between = positions[:, JOINT[f"{side}_{a}"]] - positions[:, JOINT[f"{side}_{b}"]]
                np.testing.assert_allclose(np.linalg.norm(between, axis=-1), length, rtol=1e-3)
            slack = 1e-2
            elbow = bend(positions, f"{side}_shoulder", f"{side}_elbow", f"{side}_wrist")
            knee = bend(positions, f"{side}_hip", f"{side}_knee", f"{side}_ankle")
            assert elbow.max() <= LIMITS["left_elbow"][1] + slack
            assert knee.max() <= LIMITS["left_knee"][1] + slack
            # A knee never bends forwards: the shank lies behind the thigh's continuation, seen along the foot.
            thigh = positions[:, JOINT[f"{side}_knee"]] - positions[:, JOINT[f"{side}_hip"]]
            shank = positions[:, JOINT[f"{side}_ankle"]] - positions[:, JOINT[f"{side}_knee"]]
            foot = positions[:, JOINT[f"{side}_toe"]] - positions[:, JOINT[f"{side}_ankle"]]
            hinge = np.cross(thigh, shank)
            forwards = (np.cross(shank, foot) * hinge).sum(-1) > 1e-4
            assert not (forwards & (knee > 0.2)).any()
        trunk = bend(positions, "pelvis", "belly", "head_bottom")
        assert trunk.max() < 1.5

        toes = positions[:, JOINT["left_toe"] :, 1]
        ankles = positions[:, JOINT["left_ankle"] : JOINT["left_toe"], 1]
        assert toes.min() >= build.foot_radius - 1e-3
        assert ankles.min() >= build.ankle_height - 1e-3
        assert positions[..., 1].min() > 0
        assert np.linalg.norm(positions[0, 0, [0, 2]]) < 2.0, "it begins near the origin"

        for prop in performance.props:
            assert prop.kind in ("ball", "stick")
            assert prop.start.shape == prop.end.shape == (frames, 3)
            assert prop.start.dtype == prop.end.dtype == np.float32
            assert np.isfinite(prop.start).all()
            assert np.isfinite(prop.end).all()
            assert prop.present.shape == (frames,)
            assert prop.present.dtype == bool
            assert 0.005 < prop.radius < 0.2
            if prop.kind == "ball":
                np.testing.assert_array_equal(prop.start, prop.end)


@pytest.mark.parametrize("action", [name for name in EVERYTHING if name != "idle"])
def test_a_take_moves_without_jumps(action: str) -> None:
    farthest, jolts = [], []
    for seed in range(12):
        _, performance = take(action, 100 + seed)
        relative = performance.positions - performance.positions[:, :1]
        farthest.append(np.linalg.norm(np.ptp(relative, axis=0), axis=-1).max())
        jolts.append(np.linalg.norm(np.diff(performance.positions, n=2, axis=0), axis=-1).max())
    assert np.median(farthest) > 0.05
    assert max(jolts) < 0.6, "metres a frame²: a hand that swings a bat turns round in some frames, not in one"


def test_standing_people_move_less_than_others() -> None:
    def size(action: str) -> float:
        return float(
            np.median([np.ptp(take(action, seed)[1].positions, axis=0).max(axis=-1).mean() for seed in range(15)])
        )

    assert 0.003 < size("idle") < 0.12 < size("dance")


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(EVERYTHING), st.integers(0, 2**31), st.integers(15, 50))
def test_equal_generators_give_equal_takes(action: str, seed: int, frames: int) -> None:
    _, one = take(action, seed, frames)
    _, two = take(action, seed, frames)
    _, other = take(action, seed + 1, frames)
    np.testing.assert_array_equal(one.positions, two.positions)
    assert len(one.props) == len(two.props)
    for a, b in zip(one.props, two.props, strict=True):
        assert (a.kind, a.radius) == (b.kind, b.radius)
        np.testing.assert_array_equal(a.start, b.start)
        np.testing.assert_array_equal(a.end, b.end)
        np.testing.assert_array_equal(a.present, b.present)
    assert np.abs(one.positions - other.positions).max() > 1e-3


def test_standing_up_is_sitting_down_backwards() -> None:
    build = Build.sample(np.random.default_rng(1))
    for seed in range(20):
        sit = perform("sit", 30, build, np.random.default_rng(seed)).positions
        stand = perform("stand", 30, build, np.random.default_rng(seed)).positions
        np.testing.assert_array_equal(sit, stand[::-1])
        fell = sit[-1, 0, 1] - sit[0, 0, 1]
        assert fell < -0.2 * build.leg


def test_a_throw_sends_the_ball_away_and_a_catch_brings_it() -> None:
    widening: dict[str, list[float]] = {"throw": [], "catch": []}
    for action, found in widening.items():
        for seed in range(60):
            _, performance = take(action, seed)
            ball = performance.props[0]
            assert ball.kind == "ball"
            hands = performance.positions[:, JOINT["left_hand"] : JOINT["left_hip"]]
            gap = np.linalg.norm(hands - ball.start[:, None], axis=-1).min(axis=1)
            assert gap.min() < 0.25
            found.append(float(gap[-1] - gap[0]))
    assert min(widening["throw"]) > 0.3
    assert max(widening["catch"]) < -0.3


def test_runners_are_faster_than_walkers_with_some_overlap_in_speed() -> None:
    def speeds(action: str) -> np.ndarray:
        found = []
        for seed in range(60):
            build, performance = take(action, seed)
            steps = np.diff(performance.positions[:, 0, [0, 2]], axis=0)
            found.append(np.linalg.norm(steps, axis=-1).mean() * 30 / build.leg)
        return np.array(found)

    walk, run = speeds("walk"), speeds("run")
    assert walk.min() > 0.6
    assert walk.max() < 2.6
    assert np.median(run) > 1.8 * np.median(walk)
    assert run.min() < 1.25 * walk.max(), "a jog is hardly faster than a hurry"


def test_feet_of_those_who_stand_stay_where_they_are() -> None:
    for action in ("wave", "clap", "pour", "brush_hair", "shoot_gun", "talk", "sit"):
        for seed in range(10):
            _, performance = take(action, seed)
            toes = performance.positions[:, JOINT["left_toe"] :]
            assert np.ptp(toes, axis=0).max() < 0.04, (action, seed)


def test_both_hands_and_feet_get_their_turn() -> None:
    left = 0
    for seed in range(60):
        _, performance = take("kick_ball", seed)
        highest = performance.positions[:, JOINT["left_ankle"] : JOINT["left_toe"], 1].max(axis=0)
        left += int(highest[0] > highest[1])
    assert 15 <= left <= 45


def test_who_hangs_from_a_bar_keeps_the_hands_on_it() -> None:
    for seed in range(10):
        build, performance = take("pullup", seed)
        wrists = performance.positions[:, JOINT["left_wrist"] : JOINT["left_hand"]]
        assert np.ptp(wrists, axis=0).max() < 0.1
        assert np.ptp(performance.positions[:, JOINT["head_top"], 1]) > 0.08 * build.height


def test_hands_meet_in_a_clap() -> None:
    for seed in range(10):
        _, performance = take("clap", seed)
        gap = np.linalg.norm(
            performance.positions[:, JOINT["left_hand"]] - performance.positions[:, JOINT["right_hand"]], axis=-1
        )
        assert gap.min() < 0.15
        assert gap.max() > gap.min() + 0.05


def test_an_unknown_action_is_named() -> None:
    with pytest.raises(ValueError, match="'fly'"):
        perform("fly", 20, Build.sample(np.random.default_rng(0)), np.random.default_rng(0))
