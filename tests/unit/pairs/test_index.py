"""The pair index: its invariants, its order, and what it refuses."""

import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dimofs.datasets.records import JHMDB_JOINTS, DatasetError, Frame, Video
from dimofs.io import write_parquet
from dimofs.pairs.index import pair_index, read_pairs

COLUMNS = ["split", "video", "frame_a", "frame_b", "delta", "clamped"]


def video(name: str, split: str, labelled: Sequence[bool]) -> Video:
    frames = tuple(Frame(Path(f"{position:06d}.jpg"), flag, (), ()) for position, flag in enumerate(labelled))
    return Video(name, split, JHMDB_JOINTS, frames, None)


@st.composite
def videos_strategy(draw: st.DrawFn) -> list[Video]:
    names = draw(st.lists(st.tuples(st.sampled_from(["train", "val"]), st.text("ab/!", min_size=1, max_size=3)),
                          min_size=1, max_size=5, unique=True))  # fmt: skip
    videos = [video(name, split, draw(st.lists(st.booleans(), min_size=1, max_size=8))) for split, name in names]
    return [*videos, video("z", "val", [False, True])]  # some frame is labelled


DELTAS = st.fixed_dictionaries({
    split: st.lists(st.integers(-12, 12), min_size=1, max_size=6, unique=True) for split in ("train", "val")
})  # fmt: skip


def test_a_small_index_by_hand() -> None:
    pairs = pair_index([video("b", "val", [True]), video("a", "train", [False, True, False])],
                       {"train": [2, -1, 0], "val": [1]})  # fmt: skip
    assert pairs.to_numpy().tolist() == [
        ["train", "a", 1, 0, -1, False],
        ["train", "a", 1, 1, 0, False],
        ["train", "a", 1, 2, 2, True],
        ["val", "b", 0, 0, 1, True],
    ]
    assert list(pairs.columns) == COLUMNS
    assert [pairs[name].dtype for name in COLUMNS[2:]] == [np.int32, np.int32, np.int32, np.bool_]


@given(videos_strategy(), DELTAS)
@settings(max_examples=80)
def test_invariants(videos: list[Video], deltas: Mapping[str, Sequence[int]]) -> None:
    pairs = pair_index(videos, deltas)
    known = {(item.split, item.name): item for item in videos}
    expected = {
        (*key, position, delta)
        for key, item in known.items()
        for position, frame in enumerate(item.frames)
        if frame.labelled
        for delta in deltas[key[0]]
    }
    keys = list(zip(pairs["split"], pairs["video"], pairs["frame_a"], pairs["delta"], strict=True))
    assert keys == sorted(expected)  # every wanted row, once, in order

    last = np.array([len(known[split, name].frames) - 1 for split, name, _, _ in keys])
    aim = pairs["frame_a"] + pairs["delta"]
    assert ((pairs["frame_b"] >= 0) & (pairs["frame_b"] <= last)).all()
    assert (pairs["clamped"] == ((aim < 0) | (aim > last))).all()
    assert (pairs["frame_b"][~pairs["clamped"]] == aim[~pairs["clamped"]]).all()
    assert ((pairs["frame_b"] - pairs["frame_a"]).abs() <= pairs["delta"].abs()).all()


@given(videos_strategy(), DELTAS, st.randoms(use_true_random=False))
@settings(max_examples=20)
def test_the_order_of_the_input_does_not_matter(
    videos: list[Video], deltas: dict[str, list[int]], order: random.Random
) -> None:
    shuffled = order.sample(videos, len(videos))
    other = {split: order.sample(deltas[split], len(deltas[split])) for split in ("val", "train")}
    pd.testing.assert_frame_equal(pair_index(videos, deltas), pair_index(shuffled, other))


def test_a_split_without_labels_needs_no_delta() -> None:
    videos = [video("a", "test", [False, False]), video("a", "val", [True])]
    assert set(pair_index(videos, {"val": [0]})["split"]) == {"val"}


def test_a_split_with_labels_needs_a_delta() -> None:
    with pytest.raises(DatasetError, match="video a: its split val has no configured δ"):
        pair_index([video("a", "val", [True])], {"train": [0]})


def test_two_videos_of_one_name_are_refused() -> None:
    with pytest.raises(DatasetError, match="two videos of split val are called a"):
        pair_index([video("a", "val", [True]), video("a", "val", [True])], {"val": [0]})
    assert len(pair_index([video("a", "val", [True]), video("a", "train", [True])], {"val": [0], "train": [0]})) == 2


@pytest.mark.parametrize("videos", [[], [video("a", "train", [False, False])]], ids=["no video", "no label"])
def test_an_index_without_a_pair_is_refused(videos: list[Video]) -> None:
    with pytest.raises(DatasetError, match="no pair"):
        pair_index(videos, {"train": [0]})


# ---- the file


@pytest.fixture
def pairs() -> pd.DataFrame:
    return pair_index([video("a", "train", [True] * 4), video("b", "val", [True])], {"train": range(-2, 3), "val": [0]})


def test_what_is_written_is_read(tmp_path: Path, pairs: pd.DataFrame) -> None:
    write_parquet(pairs, tmp_path / "pairs.parquet")
    pd.testing.assert_frame_equal(read_pairs(tmp_path / "pairs.parquet"), pairs)


@pytest.mark.parametrize("column", COLUMNS)
def test_a_missing_column_is_named(tmp_path: Path, pairs: pd.DataFrame, column: str) -> None:
    path = tmp_path / "pairs.parquet"
    write_parquet(pairs.drop(columns=column), path)
    with pytest.raises(DatasetError, match=rf"{re.escape(str(path))}: the column {column} is missing; .*dimofs pairs"):
        read_pairs(path)


@pytest.mark.parametrize("column", COLUMNS)
def test_a_column_of_another_type_is_named(tmp_path: Path, pairs: pd.DataFrame, column: str) -> None:
    path = tmp_path / "pairs.parquet"
    write_parquet(pairs.assign(**{column: np.linspace(0, 1, len(pairs))}), path)
    with pytest.raises(DatasetError, match=rf"{re.escape(str(path))}: the column {column} has the wrong type"):
        read_pairs(path)


def test_a_missing_or_damaged_file_is_named(tmp_path: Path, pairs: pd.DataFrame) -> None:
    path = tmp_path / "pairs.parquet"
    with pytest.raises(DatasetError, match=re.escape(str(path))):
        read_pairs(path)
    write_parquet(pairs, path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DatasetError, match=re.escape(str(path))):
        read_pairs(path)


def test_a_long_index_is_right_at_its_ends() -> None:
    count = 928
    videos = [video(f"catch/{index:04d}", "train", [True] * 40) for index in range(count)]
    pairs = pair_index(videos, {"train": range(0, 41, 2)})
    assert len(pairs) == count * 40 * 21
    assert pairs.iloc[-1].to_list() == ["train", f"catch/{count - 1:04d}", 39, 39, 40, True]
    assert pairs["clamped"].mean() == pytest.approx(np.mean([a + d > 39 for a in range(40) for d in range(0, 41, 2)]))
