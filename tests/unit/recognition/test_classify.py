"""From descriptors of dives to scores: histograms, sums, the classifier."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dimofs.config import Classifier
from dimofs.datasets.diving48 import Dive
from dimofs.recognition.classify import (
    cluster_histograms,
    count_parameters,
    fit_classifier,
    label_scores,
    shares,
    summed_activations,
)
from dimofs.recognition.predictions import LABELS

SETTINGS = Classifier(hidden=12, penalty=0.1, iterations=100, normalise=True)
DIVES = [Dive(name, "train", Path("v.mp4"), 0, 9) for name in ("b_1", "a_1", "nobody_1")]


def test_histograms_count_people_of_the_dives_in_their_order() -> None:
    ids = pd.DataFrame({"video": ["a_1", "b_1", "a_1", "other_1", "a_1"], "cluster": [2, 0, 2, 1, 3]})
    assert cluster_histograms(ids, DIVES, 4).tolist() == [[1, 0, 0, 0], [0, 0, 2, 1], [0, 0, 0, 0]]


def test_activations_come_in_the_order_of_the_dives() -> None:
    table = pd.DataFrame({"video": ["a_1", "nobody_1", "b_1"], "activations": [[1.0, 2.0], [0.0, 0.0], [3.0, 4.0]]})
    assert summed_activations(table, DIVES).tolist() == [[3, 4], [1, 2], [0, 0]]


def test_shares_forget_the_length() -> None:
    np.testing.assert_allclose(shares(np.array([[1.0, 3], [10, 30], [0, 0]])), [[0.25, 0.75], [0.25, 0.75], [0, 0]])


def data(seed: int) -> tuple[np.ndarray, list[int]]:
    """Classes 2, 7 and 40 by their share of three clusters; lengths differ."""
    rng = np.random.default_rng(seed)
    labels = np.repeat([2, 7, 40], 20)
    mean = np.eye(3)[np.repeat(np.arange(3), 20)] * 10 + 5
    return rng.poisson(mean * rng.uniform(0.5, 2, (60, 1))), labels.tolist()


def test_the_classifier_learns_and_never_says_a_label_it_has_not_seen() -> None:
    descriptors, labels = data(0)
    fitted = fit_classifier(descriptors, labels, SETTINGS, seed=0)
    others, truth = data(1)
    scores = label_scores(fitted, others)
    assert scores.shape == (60, LABELS)
    assert np.isfinite(scores).all()
    assert np.mean(scores.argmax(1) == truth) > 0.9
    np.testing.assert_allclose(np.exp(scores[:, [2, 7, 40]]).sum(1), 1, atol=1e-6)
    assert np.delete(scores, [2, 7, 40], axis=1).max() < -20
    assert count_parameters(fitted) == 3 * 12 + 12 + 12 * 3 + 3


def test_equal_seeds_give_equal_scores() -> None:
    descriptors, labels = data(0)
    first, again, other = (
        label_scores(fit_classifier(descriptors, labels, SETTINGS, seed), descriptors) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(("normalise", "same"), [(True, True), (False, False)])
def test_length_counts_only_where_it_may(normalise: bool, same: bool) -> None:
    descriptors, labels = data(0)
    fitted = fit_classifier(descriptors, labels, SETTINGS.model_copy(update={"normalise": normalise}), seed=0)
    assert np.allclose(label_scores(fitted, descriptors), label_scores(fitted, 7 * descriptors)) == same


def test_a_larger_penalty_makes_smaller_weights() -> None:
    descriptors, labels = data(0)
    sizes = []
    for penalty in (0.001, 100.0):
        fitted = fit_classifier(descriptors, labels, SETTINGS.model_copy(update={"penalty": penalty}), seed=0)
        sizes.append(sum(np.square(weights).sum() for weights in fitted[-1].coefs_))
    assert sizes[1] < 0.1 * sizes[0]


def test_scores_are_finite_where_the_classifier_has_no_doubt() -> None:
    """Predictions with infinite scores are not written."""
    descriptors, labels = data(0)
    fitted = fit_classifier(descriptors, labels, SETTINGS.model_copy(update={"normalise": False}), seed=0)
    assert np.isfinite(label_scores(fitted, 1e6 * descriptors)).all()


def test_the_unit_of_a_column_does_not_count() -> None:
    descriptors, labels = data(0)
    plain = SETTINGS.model_copy(update={"normalise": False})
    units = np.array([1.0, 1000.0, 0.001])
    here, there = (
        label_scores(fit_classifier(x, labels, plain, seed=0), x) for x in (descriptors, units * descriptors)
    )
    np.testing.assert_allclose(here, there, atol=1e-3)
