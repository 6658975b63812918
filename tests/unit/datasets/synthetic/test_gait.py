import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dimofs.datasets.synthetic.gait import Gait, walk_along
from dimofs.datasets.synthetic.plan import Feet
from dimofs.datasets.synthetic.skeleton import Array64, Build
from dimofs.datasets.synthetic.tracks import CHANNEL, CHANNELS, FPS, Stage

WALK = Gait(cadence=0.9, stride=1.4, stance=0.6, lift=0.12, bounce=0.01, height=0.03, push=0.6, strike=0.2, width=0.0)
RUN = Gait(cadence=1.4, stride=2.4, stance=0.36, lift=0.4, bounce=-0.03, height=0.07, push=0.8, strike=0.0, width=-0.05)
STAIRS = Gait(
    cadence=0.9, stride=0.7, stance=0.6, lift=0.12, bounce=0.01, height=0.03, push=0.4, strike=0.0, width=0.0, climb=0.2
)
FRAMES = 60


def gone(seed: int, gait: Gait, curvature: float = 0.0) -> tuple[Build, Array64, Feet, Array64]:
    rng = np.random.default_rng(seed)
    build = Build.sample(rng)
    track, feet, phase = walk_along(
        Stage(FRAMES, build, rng), gait, np.zeros((FRAMES, len(CHANNELS))), curvature, np.ones(FRAMES)
    )
    return build, track, feet, phase


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([WALK, RUN, STAIRS]), st.floats(-1.0, 1.0))
def test_a_planted_foot_does_not_move(seed: int, gait: Gait, curvature: float) -> None:
    _, _, feet, phase = gone(seed, gait, curvature)
    for side, offset in enumerate((0.0, 0.5)):
        part = (phase + offset) % 1.0
        standing = (part > 0.01) & (part < gait.stance - 0.01)
        both = standing[1:] & standing[:-1]
        moved = np.linalg.norm(np.diff(feet.ankles[:, side], axis=0), axis=-1)
        assert moved[both].max(initial=0.0) < 1e-6
        assert moved[~both].max() > 0.02


def test_speed_is_stride_times_cadence() -> None:
    for gait in (WALK, RUN):
        build, track, _, _ = gone(3, gait)
        travelled = track[-1, CHANNEL["z"]] * build.leg
        assert abs(travelled - gait.stride * gait.cadence * (FRAMES - 1) / FPS * build.leg) < 0.1


def test_a_walk_always_has_a_foot_on_the_ground_and_a_run_has_not() -> None:
    for gait, always in ((WALK, True), (RUN, False)):
        _, _, _, phase = gone(5, gait)
        grounded = [((phase + offset) % 1.0 < gait.stance) for offset in (0.0, 0.5)]
        assert (grounded[0] | grounded[1]).all() == always


def test_stairs_lead_up_by_their_height() -> None:
    build, track, feet, phase = gone(2, STAIRS)
    steps = np.unique(np.round((feet.ankles[:, 0, 1] - build.ankle_height)[(phase % 1.0) < 0.5] / build.leg, 3))
    assert len(steps) >= 2
    np.testing.assert_allclose(np.diff(steps), 2 * STAIRS.climb, atol=1e-6)  # the other foot has the step between
    assert feet.ankles[..., 1].min() >= build.ankle_height - 1e-9
    climbed = track[-1, CHANNEL["y"]] - track[0, CHANNEL["y"]]
    assert abs(climbed - STAIRS.climb * 2 * (phase[-1] - phase[0])) < 0.05


def test_a_curved_path_turns() -> None:
    _, track, _, phase = gone(4, WALK, curvature=1.0)
    heading = track[:, CHANNEL["heading"]]
    assert abs((heading[-1] - heading[0]) - (phase[-1] - phase[0])) < 0.25
    assert track[-1, CHANNEL["x"]] > 0.3, "to the left"
