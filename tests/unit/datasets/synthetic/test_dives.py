"""Dives obey physics and the words of their class."""

import json
from dataclasses import fields, replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from dimofs.datasets.records import DIVING48_CLASSES
from dimofs.datasets.synthetic.dives import GRAVITY, Board, Dive, Take, parse, perform
from dimofs.datasets.synthetic.flight import centre_of_mass, fly, moments, oriented
from dimofs.datasets.synthetic.skeleton import DOFS, JOINT, LIMITS, Build, forward_kinematics

SPRINGBOARD = Board(height=3.0, give=0.5, spring=(4.4, 5.4))
PLATFORM = Board(height=10.0, give=0.0, spring=(2.5, 3.3))
ALL = pytest.mark.parametrize("words", DIVING48_CLASSES, ids="-".join)


@cache
def take(words: tuple[str, str, str, str], board: Board = SPRINGBOARD, rate: int = 25) -> tuple[Build, Take]:
    rng = np.random.default_rng([DIVING48_CLASSES.index(words), round(board.height)])
    build = Build.sample(rng)
    while build.height < 1.5:
        build = Build.sample(rng)
    return build, perform(parse(words), board, build, rate, rng)


def axes(positions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The pelvis' own left, up and front (T, 3), from the hips and the spine."""
    left = positions[:, JOINT["left_hip"]] - positions[:, JOINT["right_hip"]]
    left = left / np.linalg.norm(left, axis=-1, keepdims=True)
    thighs = positions[:, JOINT["pelvis"]] - positions[:, [JOINT["left_knee"], JOINT["right_knee"]]].mean(1)
    up = thighs - (thighs * left).sum(-1, keepdims=True) * left
    up = up / np.linalg.norm(up, axis=-1, keepdims=True)
    return left, up, np.cross(left, up)


def test_the_vocabulary_is_the_official_one(samples: Path) -> None:
    official = json.loads((samples / "diving48" / "Diving48_vocab.json").read_text())
    assert [list(words) for words in DIVING48_CLASSES] == official


def test_every_word_means_something() -> None:
    assert parse(("Reverse", "35som", "NoTwis", "TUCK")) == Dive(3.5, 0.0, "TUCK", outwards=True, forwards=False)
    assert parse(("Inward", "Dive", "NoTwis", "PIKE")) == Dive(0.5, 0.0, "PIKE", outwards=False, forwards=True)
    assert parse(("Back", "2som", "05Twis", "FREE")) == Dive(2.0, 0.5, "FREE", outwards=False, forwards=False)
    assert len({parse(words) for words in DIVING48_CLASSES}) == 48


@pytest.mark.parametrize("words", [
    ("Armstand", "2som", "NoTwis", "TUCK"), ("Back", "2som", "NoTwis", "BALL"), ("Back", "som", "NoTwis", "PIKE"),
    ("Back", "2", "NoTwis", "PIKE"), ("Back", "2som", "125Twis", "PIKE"),
])  # fmt: skip
def test_words_without_meaning_are_refused(words: tuple[str, str, str, str]) -> None:
    with pytest.raises(ValueError, match="no "):
        parse(words)


@ALL
def test_the_centre_of_mass_flies_a_parabola(words: tuple[str, str, str, str]) -> None:
    for board in (SPRINGBOARD, PLATFORM):
        _, dive = take(words, board)
        np.testing.assert_allclose(centre_of_mass(dive.positions.astype(float)), dive.mass, atol=1e-4)
        path = dive.mass[dive.takeoff : dive.entry]
        speed = np.diff(path, axis=0) * dive.rate
        np.testing.assert_allclose(np.diff(speed[:, 1]) * dive.rate, -GRAVITY, atol=1e-6)
        np.testing.assert_allclose(np.diff(speed[:, ::2], axis=0), 0, atol=1e-9)
        assert (speed[:, 2] > 0).all(), "away from the board"
        assert 1.1 < len(path) / dive.rate < 2.2


@ALL
def test_divers_pass_the_board_at_a_distance(words: tuple[str, str, str, str]) -> None:
    for board in (SPRINGBOARD, PLATFORM):
        _, dive = take(words, board, rate=100)
        flight = slice(dive.takeoff + 30, dive.entry)
        under = dive.positions[flight, :, 1] < dive.tip[flight, None]
        assert under.any()
        assert dive.positions[flight, :, 2][under].min() > 0.29
        assert dive.mass[dive.entry, 2] < 4


@ALL
def test_a_dive_turns_as_often_as_its_class_says(words: tuple[str, str, str, str]) -> None:
    """Counted on the joints: the hips' axis for the somersault where it can, else the long axis; the twist about it."""
    meant = parse(words)
    _, dive = take(words, rate=100)
    positions = dive.positions[dive.takeoff : dive.entry].astype(float)
    left, up, front = axes(positions)
    # Where the body's up axis points in the plane of the somersault, as an angle that goes on counting.
    turned = np.unwrap(np.arctan2(up[:, 2], up[:, 1]))
    facing = front[0, 2]
    assert (facing > 0) == meant.outwards
    somersault = (turned[-1] - 0) / (2 * np.pi) * np.sign(facing)
    # The take-off is not upright any more; the count begins at upright, half a turn away at most.
    assert abs(abs(turned[0])) < 1.2
    assert somersault * (1 if meant.forwards else -1) == pytest.approx(meant.somersaults, abs=0.12)
    # Angle of the hips' axis about the long axis, against the horizontal across the dive: it swings with the twist.
    across = np.array([1.0, 0, 0])
    along = np.cross(across, up)
    twist = np.unwrap(
        np.arctan2((left * along).sum(-1), (left * (across - up * (up * across).sum(-1, keepdims=True))).sum(-1))
    )
    assert abs(twist[-1] - twist[0]) / (2 * np.pi) == pytest.approx(meant.twists, abs=0.06)


@ALL
def test_a_dive_ends_upright_in_the_water_with_the_right_end_first(words: tuple[str, str, str, str]) -> None:
    _, dive = take(words)
    body = dive.positions[dive.entry]
    long = body[JOINT["head_top"]] - body[JOINT["left_ankle"]]
    assert abs(long[1]) / np.linalg.norm(long) > 0.95
    assert (long[1] < 0) == parse(words).headfirst
    assert dive.positions[: dive.entry, :, 1].min() > 0
    assert dive.positions[-1, :, 1].mean() < 0, "more under than above at the end"


def test_a_fold_is_a_fold() -> None:
    def bend(words: tuple[str, str, str, str], a: str, b: str, c: str) -> float:
        _, dive = take(words)
        first, second = (
            dive.positions[:, JOINT[f"left_{b}"]] - dive.positions[:, JOINT[f"left_{end}"]] for end in (a, c)
        )
        cosine = (first * second).sum(-1) / np.linalg.norm(first, axis=-1) / np.linalg.norm(second, axis=-1)
        return float(np.arccos(np.clip(cosine[dive.takeoff :], -1, 1)).min())

    for words in DIVING48_CLASSES:
        hip, knee = bend(words, "shoulder", "hip", "knee"), bend(words, "hip", "knee", "ankle")
        if words[3] == "TUCK":
            assert hip < 0.9, words
            assert knee < 0.9, words
        else:
            assert knee > 2.3, words
        if words[3] == "PIKE":
            assert hip < 1.0, words
        if words[3] in ("FREE", "STR"):
            assert hip > 2.0, words


@ALL
def test_joints_keep_their_limits_and_bones_their_lengths(words: tuple[str, str, str, str]) -> None:
    build, dive = take(words)
    for side in ("left", "right"):
        for a, b, length, hinge in (
            ("shoulder", "elbow", build.upper_arm, ""), ("elbow", "wrist", build.forearm, "elbow"),
            ("hip", "knee", build.thigh, ""), ("knee", "ankle", build.shank, "knee"),
        ):  # fmt: skip
            bone = dive.positions[:, JOINT[f"{side}_{b}"]] - dive.positions[:, JOINT[f"{side}_{a}"]]
            np.testing.assert_allclose(np.linalg.norm(bone, axis=-1), length, rtol=1e-3)
            if hinge:
                before = {"elbow": "shoulder", "knee": "hip"}[hinge]
                parent = dive.positions[:, JOINT[f"{side}_{a}"]] - dive.positions[:, JOINT[f"{side}_{before}"]]
                cosine = (bone * parent).sum(-1) / np.linalg.norm(bone, axis=-1) / np.linalg.norm(parent, axis=-1)
                assert np.arccos(np.clip(cosine, -1, 1)).max() < LIMITS[f"left_{hinge}"][1] + 0.01


def test_momentum_is_that_of_divers() -> None:
    """Somersaulting divers are measured at 20 to 70 kg·m²/s; the few that twist in a pike, and tall people, more."""
    found = [abs(take(words)[1].momentum) for words in DIVING48_CLASSES]
    assert 35 < np.median(found) < 80
    assert max(found) < 170
    assert min(found) > 5


@pytest.mark.parametrize("seed", range(3))
def test_angular_momentum_is_conserved_and_a_tuck_spins_faster(seed: int) -> None:
    """Measured on a body in the world, point by point, against the momentum that the solver says.

    The body is thin: points have no spin of their own, and so the sum over points is all of its momentum.
    """
    rng = np.random.default_rng(seed)
    full = Build.sample(rng)
    build = replace(full, **{field.name: 1e-6 for field in fields(full) if field.name.endswith("radius")})
    interval, frames = 1 / 400, 480
    fold = np.interp(np.arange(frames), [0, 80, 160, 320, 400, 479], [0, 0, 1, 1, 0, 0])[:, None]
    ease = fold * fold * (3 - 2 * fold)
    pose = np.array(
        [
            {"hip_lift": 2.2, "knee": 2.4, "spine_bend": 0.8}.get(
                name.removeprefix("left_").removeprefix("right_"), 0.0
            )
            for name in DOFS
        ]
    )
    still = np.zeros((frames, 3))
    body = forward_kinematics(build, ease * pose, still, still).astype(float)
    flown = fly(body, build, interval, start=0.1, lean=0.2, somersault=-9.0, twist=0.0, tilting=np.zeros(frames))
    assert flown.somersault[-1] == pytest.approx(-9.0, abs=1e-3)
    assert not flown.tilt.any()
    assert not flown.twist.any()

    # Inertia and inner momentum of the *turned* body, which lies still in the world's frame but for its motion.
    turned = np.einsum("tij,tpj->tpi", flown.orientation(), body - centre_of_mass(body)[:, None])
    _, momentum = moments(turned, build, interval)
    np.testing.assert_allclose(momentum[5:-5, 0], flown.momentum, rtol=0.01)
    np.testing.assert_allclose(momentum[5:-5, 1:], 0, atol=0.01 * abs(flown.momentum))
    rates = np.abs(np.gradient(flown.somersault, interval))
    assert rates[240] > 2.2 * rates[40]


def test_a_tilted_top_twists_as_a_symmetric_top_does() -> None:
    """A stiff body: the twist's rate over the somersault's is sin(tilt) · (A/C − 1), of any textbook."""
    build = Build.sample(np.random.default_rng(4))
    frames, interval = 400, 1 / 400
    body = np.repeat(forward_kinematics(build, np.zeros((1, len(DOFS))), np.zeros((1, 3)), np.zeros((1, 3))), frames, 0)
    tilting = np.ones(frames)
    flown = fly(body.astype(float), build, interval, start=0, lean=0, somersault=6.0, twist=9.0, tilting=tilting)
    inertia, _ = moments(body.astype(float), build, interval)
    across, along = (inertia[0, 0, 0] + inertia[0, 2, 2]) / 2, inertia[0, 1, 1]
    assert flown.twist[-1] == pytest.approx(9.0, abs=1e-3)
    assert abs(np.sin(flown.tilt[0])) * (across / along - 1) * 6.0 == pytest.approx(9.0, rel=0.05)


def test_a_body_that_cannot_twist_says_so() -> None:
    build = Build.sample(np.random.default_rng(4))
    body = np.zeros((50, 21, 3)) + forward_kinematics(
        build, np.zeros((1, len(DOFS))), np.zeros((1, 3)), np.zeros((1, 3))
    )
    with pytest.raises(RuntimeError, match="no momentum"):
        fly(body, build, 0.01, start=0, lean=0, somersault=6.0, twist=3.0, tilting=np.zeros(50))


def test_orientations_are_rotations() -> None:
    angles = np.random.default_rng(0).normal(size=(3, 20))
    turn = oriented(*angles)
    np.testing.assert_allclose(turn @ turn.transpose(0, 2, 1), np.broadcast_to(np.eye(3), (20, 3, 3)), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(turn), 1)


def test_equal_generators_give_equal_takes() -> None:
    words = DIVING48_CLASSES[40]
    build = Build.sample(np.random.default_rng(1))
    first, again, other = (
        perform(parse(words), PLATFORM, build, 25, np.random.default_rng(seed)) for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first.positions, again.positions)
    assert first.positions.shape != other.positions.shape or not np.array_equal(first.positions, other.positions)
