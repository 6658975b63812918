"""The random draw of training pairs (§5): Frame A from the labelled frames, δ uniformly from the configured range.

Every draw is a function of (seed, position in the stream) alone, so a training that was killed goes on with exactly the
pairs it would have seen, and two networks with the same seed see the same Frames A in the same order.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray


@dataclass(frozen=True)
class Draw:
    """One training example: which pair, and the position in the stream that seeds its augmentation."""

    position: int
    video: str
    frame_a: int
    frame_b: int
    delta: int


class PairSampler:
    """An endless stream of pairs: a pass visits every labelled Frame A once, in a fresh order, with a fresh δ (A9)."""

    def __init__(self, pairs: pd.DataFrame, split: str, seed: int) -> None:
        """Take the rows of `split` from a pair index; every Frame A must have the same set of δ."""
        rows = pairs[pairs["split"] == split].sort_values(["video", "frame_a", "delta"], kind="stable")
        if rows.empty:
            raise ValueError(f"the pair index has no rows of split {split!r}")
        self._deltas: NDArray[np.int64] = np.unique(rows["delta"].to_numpy())
        if len(rows) % len(self._deltas):
            raise ValueError(f"the pair index of split {split!r} is not complete: some frame lacks some δ")
        shape = (-1, len(self._deltas))
        self._videos = rows["video"].to_numpy().reshape(shape)[:, 0]
        self._frames_a = rows["frame_a"].to_numpy().reshape(shape)[:, 0]
        self._frames_b = rows["frame_b"].to_numpy().reshape(shape)
        self._seed = seed
        self._shuffled = (-1, np.zeros(0, np.int64))  # the last pass asked for, and its order

    def __len__(self) -> int:
        """Number of Frames A, which is the length of one pass."""
        return len(self._videos)

    def draw(self, position: int) -> Draw:
        """Give the pair at a position (0, 1, 2, …) of the stream."""
        epoch, place = divmod(position, len(self))
        if epoch != self._shuffled[0]:
            self._shuffled = epoch, np.random.default_rng((self._seed, 0, epoch)).permutation(len(self))
        row = self._shuffled[1][place]
        column = np.random.default_rng((self._seed, 1, position)).integers(len(self._deltas))
        return Draw(
            position,
            str(self._videos[row]),
            int(self._frames_a[row]),
            int(self._frames_b[row, column]),
            int(self._deltas[column]),
        )
