"""From what describes a dive to its class: the shallow network behind all our rows of Table 4 (§5.2, A37, A38)."""

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from threadpoolctl import threadpool_limits

from dimofs.config import Classifier
from dimofs.datasets.diving48 import Dive
from dimofs.recognition.predictions import LABELS

Array = NDArray[np.float64]

_LEAST = np.log(1e-9)  # of a label that no training dive has, and of what is less likely still


def cluster_histograms(ids: pd.DataFrame, dives: Sequence[Dive], clusters: int) -> Array:
    """Count the clusters of all people in all pairs of N dives, (N, clusters): Ours-init (§6.3, A37).

    ids: a table of `clusters.cluster_ids`. A dive in which nobody was found has zeros.
    """
    place = {dive.name: row for row, dive in enumerate(dives)}
    known = ids[ids["video"].isin(place)]
    counts = np.zeros((len(dives), clusters))
    np.add.at(counts, (known["video"].map(place).to_numpy(), known["cluster"].to_numpy()), 1)
    return counts


def summed_activations(table: pd.DataFrame, dives: Sequence[Dive]) -> Array:
    """Give a table of `cluster_network.describe_dives` for N dives, in their order, (N, clusters)."""
    by_video = table.set_index("video")["activations"]
    return np.stack([np.asarray(by_video[dive.name], np.float64) for dive in dives])


def shares(descriptors: Array) -> Array:
    """Scale rows (N, F) of sums over pairs, none negative, to sum to 1: the length of a clip is not in them (A38)."""
    return descriptors / np.maximum(descriptors.sum(axis=1, keepdims=True), 1e-9)


def fit_classifier(descriptors: Array, labels: Sequence[int], classifier: Classifier, seed: int) -> Pipeline:
    """Fit the two-layer MLP on z-scores of descriptors (N, F), see `shares` for what may come before.

    Pipelines of scikit-learn: what is applied to the training dives is applied to all others.
    """
    scaling = [FunctionTransformer(shares)] if classifier.normalise else []
    network = MLPClassifier(
        (classifier.hidden,),
        solver="lbfgs",
        alpha=classifier.penalty,
        max_iter=classifier.iterations,
        random_state=seed,
    )
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the iterations are a setting
        return make_pipeline(*scaling, StandardScaler(), network).fit(descriptors, np.asarray(labels))


def label_scores(fitted: Pipeline, descriptors: Array) -> Array:
    """Log-probabilities of every label of the vocabulary, (N, LABELS)."""
    scores = np.full((len(descriptors), LABELS), _LEAST)
    with threadpool_limits(1):
        scores[:, fitted.classes_] = np.maximum(fitted.predict_log_proba(descriptors), _LEAST)
    return scores


def count_parameters(fitted: Pipeline) -> int:
    """Count the weights of a fitted classifier."""
    network = fitted[-1]
    return sum(weights.size for weights in (*network.coefs_, *network.intercepts_))
