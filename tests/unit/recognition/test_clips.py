"""Frames in memory: which are held, which a network sees, and what flow becomes in 8 bits."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dimofs.config import Rivals, load_config
from dimofs.datasets.diving48 import Dive
from dimofs.pairs.loading import Change
from dimofs.recognition.clips import (
    LARGEST_FLOW,
    NO_FLOW,
    ClipLoader,
    HeldVideo,
    Sampling,
    _middle,
    as_flow,
    change_flow,
    clip,
    hold,
)

RIVALS = load_config(Path(__file__).parents[3] / "scenarios/smoke/config/config.yaml").recognition.rivals


@given(
    length=st.integers(1, 80),
    images=st.integers(1, 16),
    stacked=st.integers(1, 5),
    stride=st.one_of(st.none(), st.integers(1, 4)),
    place=st.floats(0, 1, exclude_max=True),
)
def test_positions_lie_in_the_video_and_in_order(
    length: int, images: int, stacked: int, stride: int | None, place: float
) -> None:
    positions = Sampling(images, stacked, stride).positions(length, np.full(images, place))
    assert positions.shape == (images, stacked)
    assert positions.min() >= 0
    assert positions.max() < length
    assert (np.diff(positions, axis=0) >= 0).all()


def test_segments_are_equal_parts() -> None:
    low = Sampling(4, 1, None).positions(20, np.zeros(4))
    high = Sampling(4, 1, None).positions(20, np.full(4, 0.99))
    assert low.ravel().tolist() == [0, 5, 10, 15]
    assert high.ravel().tolist() == [4, 9, 14, 19]


def test_clips_reach_from_the_first_to_the_last_image() -> None:
    sampling = Sampling(4, 1, 2)
    assert sampling.positions(10, np.zeros(4)).ravel().tolist() == [0, 2, 4, 6]
    assert sampling.positions(10, np.full(4, 0.99)).ravel().tolist() == [3, 5, 7, 9]
    assert sampling.positions(5, np.full(4, 0.99)).ravel().tolist() == [0, 2, 4, 4]


def test_views_are_spread_over_the_video() -> None:
    starts = [int(view[0, 0]) for view in Sampling(4, 1, 2).views(46, 4)]
    assert starts == [5, 15, 25, 35]


def test_a_clip_holds_images_by_channel() -> None:
    images = np.arange(5 * 2 * 2 * 2, dtype=np.uint8).reshape(5, 2, 2, 2)
    taken = clip(images, np.array([[0, 1], [3, 4]]))
    assert taken.shape == (2, 4, 2, 2)
    np.testing.assert_array_equal(taken[1, 2], images[4, :, :, 0])
    np.testing.assert_array_equal(taken[1, 1], images[3, :, :, 1])


def test_the_middle_square_of_every_nth_frame_is_held(tmp_path: Path, encode: Callable[..., Path]) -> None:
    frames = [np.full((64, 96, 3), 10 * number + 20, np.uint8) for number in range(21)]
    for frame in frames:
        frame[:, :16] = 255
    encode(tmp_path / "a.mp4", frames, crf="0")
    settings = RIVALS.model_copy(update={"frames": 5, "crop": 1.0})
    held = hold(Dive("a", "train", tmp_path / "a.mp4", 7, 21), settings)  # 21 // 5: every fourth
    assert (held.name, held.label) == ("a", 7)
    assert held.images.shape == (6, settings.frame_size, settings.frame_size, 3)
    assert held.images.mean((1, 2, 3)) == pytest.approx([20, 60, 100, 140, 180, 220], abs=4)
    shorter = hold(Dive("a", "train", tmp_path / "a.mp4", 7, 9), settings)  # less than twice as many: all of them
    assert shorter.images.mean((1, 2, 3)) == pytest.approx(range(20, 110, 10), abs=4)


def test_the_crop_is_the_middle() -> None:
    frame = np.zeros((64, 96, 3), np.uint8)
    frame[16:48, 32:64] = 200
    assert _middle(frame, RIVALS.model_copy(update={"crop": 1.0})).mean() == pytest.approx(50, abs=1)
    assert _middle(frame, RIVALS.model_copy(update={"crop": 0.5})).min() == 200


def moving(step: int) -> HeldVideo:
    texture = np.random.default_rng(0).integers(0, 255, (40, 60), np.uint8).repeat(4, 0).repeat(4, 1)
    frames = [np.roll(texture, step * number, axis=1)[:64, :64] for number in range(3)]
    return HeldVideo("a", 3, np.stack([np.stack([frame] * 3, axis=-1) for frame in frames]))


@pytest.mark.parametrize("step", [-2, 0, 2])
def test_flow_is_motion_to_the_right_above_the_middle(step: int) -> None:
    flow = as_flow(moving(step))
    assert flow.images.shape == (2, 64, 64, 2)
    assert flow.label == 3
    inner = np.median(flow.images[:, 16:48, 16:48], axis=(0, 1, 2))
    assert inner == pytest.approx([NO_FLOW + step * (NO_FLOW - 1) / LARGEST_FLOW, NO_FLOW], abs=3)


def test_a_flip_turns_flow_round() -> None:
    field = np.full((8, 8, 2), NO_FLOW, np.uint8)
    field[:, :4] = (NO_FLOW + 20, NO_FLOW + 5)
    flipped = change_flow(Change(np.eye(2, 3), True, 2.0, 50.0), field)
    assert flipped[0, -1].tolist() == [NO_FLOW - 20, NO_FLOW + 5]
    assert flipped[0, 0].tolist() == [NO_FLOW, NO_FLOW]
    assert change_flow(Change(np.eye(2, 3), True, 1.0, 0.0), np.zeros((8, 8, 2), np.uint8)).max() == 255


def videos(count: int, channels: int = 3) -> list[HeldVideo]:
    rng = np.random.default_rng(3)
    return [HeldVideo(f"v{n}", n, rng.integers(0, 255, (9 + n, 32, 32, channels), np.uint8)) for n in range(count)]


def loader(channels: int = 3) -> ClipLoader:
    return ClipLoader(videos(6, channels), Sampling(4, 1, None), RIVALS.augmentation, seed=5)


def test_a_pass_visits_every_video_once() -> None:
    batches = list(loader().batches(3, 0, 4))
    names = [draw.video for batch in batches for draw in batch.draws]
    assert sorted(names[:6]) == sorted(names[6:]) == [f"v{n}" for n in range(6)]
    for batch in batches:
        assert [f"v{int(target['label'])}" for target in batch.targets] == [draw.video for draw in batch.draws]
        assert [frame.shape for frame in batch.frames] == [(3, 3, 32, 32)] * 4


@pytest.mark.parametrize("channels", [2, 3])
def test_batches_are_a_function_of_their_step(channels: int) -> None:
    def later(source: ClipLoader, first: int) -> Iterator[np.ndarray]:
        for batch in source.batches(2, first, 5):
            yield np.stack([frame.numpy() for frame in batch.frames])

    whole, rest = list(later(loader(channels), 0)), list(later(loader(channels), 3))
    for left, right in zip(whole[3:], rest, strict=True):
        np.testing.assert_array_equal(left, right)


def test_settings_of_the_rivals_are_strict() -> None:
    with pytest.raises(ValueError, match="Extra inputs"):
        Rivals.model_validate({**RIVALS.model_dump(), "crops": 10})


def test_all_images_of_a_clip_change_as_the_settings_say() -> None:
    mirrored = {"flip": 1.0, "min_scale": 1.0, "max_scale": 1.0, "shift": 0.0, "brightness": 0.0}
    (video,) = videos(1)
    source = ClipLoader([video], Sampling(9, 1, None), RIVALS.augmentation.model_copy(update=mirrored), seed=5)
    (batch,) = source.batches(1, 0, 1)
    for frame, image in zip(batch.frames, video.images, strict=True):
        np.testing.assert_array_equal(frame[0].permute(1, 2, 0), image[:, ::-1])


def test_every_pass_has_an_order_and_images_of_its_own() -> None:
    (batch,) = loader().batches(36, 0, 1)
    passes = [batch.draws[start : start + 6] for start in range(0, 36, 6)]
    assert len({tuple(draw.video for draw in one) for one in passes}) > 1
    alone = ClipLoader(videos(1), Sampling(1, 1, None), RIVALS.augmentation, seed=5)
    (batch,) = alone.batches(12, 0, 1)
    assert len({draw.frame_a for draw in batch.draws}) > 1


def test_stacks_end_with_the_video() -> None:
    positions = Sampling(2, 5, None).positions(10, np.full(2, 0.99))
    assert positions.tolist() == [[2, 3, 4, 5, 6], [5, 6, 7, 8, 9]]


def test_the_square_of_a_portrait_is_as_wide_as_it() -> None:
    frame = np.zeros((96, 64, 3), np.uint8)
    frame[16:80] = 200
    assert _middle(frame, RIVALS.model_copy(update={"crop": 1.0})).min() == 200


def test_flow_that_is_too_fast_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    fast = np.broadcast_to(np.array([3.0, -3.0], np.float32) * LARGEST_FLOW, (64, 64, 2))
    monkeypatch.setattr("dimofs.recognition.clips.farneback", lambda *_: fast)
    assert (as_flow(moving(0)).images == (255, 0)).all()


def test_what_comes_into_view_does_not_move() -> None:
    field = np.full((8, 8, 2), NO_FLOW + 30, np.uint8)
    moved = change_flow(Change(np.array([[1.0, 0, 3], [0, 1, 0]]), False, 1.0, 0.0), field)
    assert (moved[:, :3] == NO_FLOW).all()
    assert (moved[:, 3:] == NO_FLOW + 30).all()
