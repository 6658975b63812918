import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dimofs.datasets.synthetic.skeleton import Build
from dimofs.datasets.synthetic.tracks import CHANNEL, CHANNELS, FPS, Stage, beats, clock, drift, key_poses, resting

SEEDS = st.integers(0, 2**32 - 1)
FRAMES = st.integers(15, 50)


def stage(seed: int, frames: int) -> Stage:
    rng = np.random.default_rng(seed)
    return Stage(frames, Build.sample(rng), rng)


@settings(max_examples=50, deadline=None)
@given(SEEDS, FRAMES)
def test_a_clock_runs_forwards_from_beginning_to_end(seed: int, frames: int) -> None:
    time = clock(stage(seed, frames))
    assert time.shape == (frames,)
    assert time[0] == 0
    assert abs(time[-1] - 1) < 1e-9
    assert (np.diff(time) > 0).all()


@settings(max_examples=50, deadline=None)
@given(SEEDS, FRAMES, st.floats(0.5, 3.0), st.floats(0.2, 0.8))
def test_a_trimmed_clock_keeps_the_moment_and_the_natural_tempo(
    seed: int, frames: int, lasts: float, around: float
) -> None:
    time = clock(stage(seed, frames), lasts, around)
    assert 0 <= time[0] <= around <= time[-1] <= 1 + 1e-9
    shown = (time[-1] - time[0]) * lasts
    assert shown <= frames / FPS / 0.85 + 1e-9, "never faster than 15 % above its natural tempo"


def test_clocks_hesitate_now_and_then() -> None:
    slowest = [np.diff(clock(stage(seed, 40))).min() * 39 for seed in range(60)]
    assert min(slowest) < 0.25
    assert max(slowest) > 0.5


@settings(max_examples=30, deadline=None)
@given(SEEDS, FRAMES)
def test_key_poses_are_met_and_never_overshot(seed: int, frames: int) -> None:
    time = np.linspace(0, 1, frames)
    keys = [(0.0, {"y": 0.1}), (0.5, {"y": -0.4, "left_foot_ahead": 0.3}), (0.7, {"foot_rise": 0.2}), (1.0, {"y": 0.0})]
    track = key_poses(stage(seed, frames), time, {"y": 0.0}, keys)
    assert track.shape == (frames, len(CHANNELS))
    y = track[:, CHANNEL["y"]]
    assert y.min() >= -0.4 - 1e-9
    assert y.max() <= 0.1 + 1e-9
    np.testing.assert_allclose([y[0], y[-1]], [0.1, 0.0], atol=1e-9)
    middle = np.interp(0.5, time, y)
    assert middle < -0.3
    ahead = track[:, CHANNEL["left_foot_ahead"]]
    np.testing.assert_allclose(ahead[time >= 0.5], 0.3, atol=1e-9)  # it stays where no later key names it
    assert (np.diff(ahead) >= -1e-12).all()
    np.testing.assert_array_equal(track[:, CHANNEL["left_foot_rise"]], track[:, CHANNEL["right_foot_rise"]])
    assert (track[:, CHANNEL["right_foot_ahead"]] == 0).all()


def test_takes_differ_in_size() -> None:
    time = np.linspace(0, 1, 20)
    tops = [
        key_poses(stage(seed, 20), time, {}, [(0.0, {}), (1.0, {"left_elbow": 1.0})])[-1, CHANNEL["left_elbow"]]
        for seed in range(30)
    ]
    assert 0.04 < np.std(tops) < 0.25


def test_beats_keep_their_rate() -> None:
    for seed in range(10):
        phase = beats(stage(seed, 300), 2.0, 2.0)
        assert (np.diff(phase) > 0).all()
        assert 15 < phase[-1] - phase[0] < 26


def test_drift_is_slow_and_of_unit_size() -> None:
    noise = drift(stage(1, 300), 200)
    assert noise.shape == (300, 200)
    assert 0.3 < noise.std() < 1.5
    assert np.abs(np.diff(noise, axis=0)).max() < 1.0


def test_people_stand_each_in_their_own_way() -> None:
    poses = [resting(stage(seed, 20)) for seed in range(20)]
    assert np.std([pose["shoulder_plane"] for pose in poses]) > 0.05
