import numpy as np
import pandas as pd
import pytest

from dimofs.pairs.sampling import PairSampler


def index(videos: int = 3, frames: int = 5, reach: int = 4) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "split": "train",
                "video": f"v{video}",
                "frame_a": frame,
                "frame_b": min(max(frame + delta, 0), frames - 1),
                "delta": delta,
            }
            for video in range(videos)
            for frame in range(frames)
            for delta in range(-reach, reach + 1)
        ]
    )


def test_delta_is_uniform_over_the_range():
    sampler = PairSampler(index(), "train", seed=0)
    counts = np.bincount([sampler.draw(position).delta + 4 for position in range(9000)], minlength=9)
    # chi-square with 8 degrees of freedom: 26.1 is its 99.9 % point
    assert ((counts - 1000) ** 2 / 1000).sum() < 26.1


def test_a_pass_visits_every_frame_a_once():
    sampler = PairSampler(index(), "train", seed=0)
    assert len(sampler) == 15
    for start in (0, 15, 30):
        assert len({(d.video, d.frame_a) for d in map(sampler.draw, range(start, start + 15))}) == 15


def test_passes_have_different_orders():
    sampler = PairSampler(index(), "train", seed=0)
    first, second = ([sampler.draw(start + place).frame_a for place in range(15)] for start in (0, 15))
    assert first != second


def test_frame_b_is_the_one_of_the_index():
    rows = index().set_index(["video", "frame_a", "delta"])["frame_b"]
    sampler = PairSampler(index().sample(frac=1, random_state=1), "train", seed=0)
    assert all(d.frame_b == rows[d.video, d.frame_a, d.delta] for d in map(sampler.draw, range(200)))


def test_a_draw_depends_on_its_position_alone():
    sampler, twin = PairSampler(index(), "train", seed=3), PairSampler(index(), "train", seed=3)
    for position in range(50):
        twin.draw(position)
    assert sampler.draw(49) == twin.draw(49)
    assert any(sampler.draw(p) != PairSampler(index(), "train", seed=4).draw(p) for p in range(10))


def test_the_baseline_sees_the_same_frames_a_in_the_same_order():
    """The single-frame baseline draws from the same rows, so its Frames A are those of DiMoFs (equal data)."""
    wide, narrow = PairSampler(index(reach=4), "train", 0), PairSampler(index(reach=0), "train", 0)
    for position in range(40):
        assert (wide.draw(position).video, wide.draw(position).frame_a) == (
            narrow.draw(position).video,
            narrow.draw(position).frame_a,
        )


def test_a_missing_split_or_an_incomplete_index_is_an_error():
    with pytest.raises(ValueError, match="'val'"):
        PairSampler(index(), "val", 0)
    with pytest.raises(ValueError, match="not complete"):
        PairSampler(index().iloc[1:], "train", 0)
