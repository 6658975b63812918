"""The fusion of two recognitions and the choice of its weight."""

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dimofs.datasets.diving48 import Dive
from dimofs.recognition.fusion import fuse, fusion_weights
from dimofs.recognition.predictions import LABELS


def scores_of(labels: list[int], certainty: float) -> np.ndarray:
    scores = np.zeros((len(labels), LABELS), np.float32)
    scores[np.arange(len(labels)), labels] = certainty
    return scores


DIVES = [Dive(f"v{n}", "train", Path("x"), n, 9) for n in range(4)]


def test_the_weight_that_recognises_most_is_chosen_of_ties_the_middle() -> None:
    right, wrong = scores_of([0, 1, 2, 3], 3.0), scores_of([1, 2, 3, 0], 3.0)
    table = fusion_weights(right, wrong, DIVES)
    assert table["weight"].to_list() == [round(0.05 * step, 2) for step in range(21)]
    assert table["chosen"].sum() == 1
    assert table.loc[table["weight"] > 0.5, "recognised"].eq(4).all()
    assert table.loc[table["weight"] < 0.5, "recognised"].eq(0).all()
    assert table.loc[table["chosen"], "weight"].item() == 0.75
    assert fusion_weights(right, right, DIVES).query("chosen")["weight"].item() == 0.5


def test_two_that_know_different_dives_are_better_together() -> None:
    ours, theirs = scores_of([0, 1, 9, 9], 2.0), scores_of([8, 8, 2, 3], 2.0)
    ours[2:, 9], theirs[:2, 8] = 1.0, 1.0  # they are less sure where they are wrong
    table = fusion_weights(ours, theirs, DIVES)
    assert table["recognised"].max() == 4
    assert 0 < table.loc[table["chosen"], "weight"].item() < 1
    assert table.loc[table["weight"].isin([0, 1]), "recognised"].to_list() == [2, 2]


@given(st.floats(0, 1))
def test_a_fusion_is_a_distribution_between_its_parts(weight: float) -> None:
    rng = np.random.default_rng(0)
    ours, theirs = rng.normal(size=(2, 5, LABELS)).astype(np.float32)
    fused = np.exp(fuse(ours, theirs, weight))
    np.testing.assert_allclose(fused.sum(1), 1, rtol=1e-5)
    both = [np.exp(part) / np.exp(part).sum(1, keepdims=True) for part in (ours, theirs)]
    assert (fused <= np.maximum(*both) * (1 + 1e-5)).all()
    assert (fused >= np.minimum(*both) * (1 - 1e-5)).all()
