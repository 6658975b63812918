from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dimofs.datasets.records import DatasetError
from dimofs.motion.examples import Example, read_examples, spread, write_examples


def example(height: int = 6, width: int = 8, exact: bool = True) -> Example:
    generator = np.random.default_rng(height)
    size = (height, width)

    def field(*leading: int) -> np.ndarray:
        return generator.normal(size=(*leading, *size, 2)).astype(np.float32)

    frame_a, frame_b = generator.integers(0, 256, (2, *size, 3)).astype(np.uint8)
    heat = generator.random(size).astype(np.float32)
    motions = (field(), field(), field() if exact else None)
    return Example("v", 3, 13, frame_a, frame_b, (1, 4), field(2), heat, *motions)


def same(one: Example, other: Example) -> None:
    for each in fields(Example):
        left, right = getattr(one, each.name), getattr(other, each.name)
        assert type(left) is type(right)
        np.testing.assert_array_equal(left, right)


def test_round_trip_of_pairs_of_different_sizes(tmp_path):
    written = [example(), example(10, 4, exact=False)]
    write_examples(written, tmp_path / "e.npz")
    for one, other in zip(written, read_examples(tmp_path / "e.npz"), strict=True):
        same(one, other)


def test_equal_examples_give_equal_bytes(tmp_path):
    for name in "ab":
        write_examples([example(), replace(example(), video="w")], tmp_path / f"{name}.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_a_file_that_holds_none_is_named(tmp_path):
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    (tmp_path / "text.npz").write_text("text")
    np.savez(tmp_path / "empty.npz")
    for name in ("other.npz", "text.npz", "missing.npz", "empty.npz"):
        with pytest.raises(DatasetError, match=f"{name}: holds no examples for Figure 3"):
            read_examples(tmp_path / name)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=30), st.integers(1, 6))
def test_chosen_ranks_are_different_and_spread(scores, count):
    chosen = spread(scores, count)
    assert len(chosen) == len(set(chosen)) == min(count, len(scores))
    assert [scores[index] for index in chosen] == sorted((scores[index] for index in chosen), reverse=True)


def test_each_choice_is_the_middle_of_its_share():
    assert spread([10, 30, 20, 0, 50, 40], 3) == [5, 2, 3]
    assert spread(range(9), 3) == [7, 4, 1]
    assert spread([3.0], 5) == [0]
