"""Late fusion of Ours-final and R(2+1)D (§6.3, A39)."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import softmax

from dimofs.datasets.diving48 import Dive

Scores = NDArray[np.floating]


def fusion_weights(ours: Scores, theirs: Scores, dives: Sequence[Dive]) -> pd.DataFrame:
    """Try our weight in the fusion on scores (N, LABELS) of N dives that neither has learned from (A39).

    Columns: weight (0, 0.05, …, 1), recognised (dives) and chosen (true for the best, of several for the middle one).
    """
    labels = [dive.label for dive in dives]
    weights = np.linspace(0, 1, 21).round(2)
    recognised = np.array([(fuse(ours, theirs, weight).argmax(1) == labels).sum() for weight in weights])
    best = np.flatnonzero(recognised == recognised.max())
    chosen = np.arange(len(weights)) == best[(len(best) - 1) // 2]
    return pd.DataFrame({"weight": weights, "recognised": recognised, "chosen": chosen})


def fuse(ours: Scores, theirs: Scores, weight: float) -> NDArray[np.float32]:
    """Fuse scores (N, LABELS) late: the logarithm of the weighted mean of both probabilities (A39)."""
    mean = weight * softmax(ours, axis=1) + (1 - weight) * softmax(theirs, axis=1)
    return np.log(np.maximum(mean, np.finfo(np.float32).tiny)).astype(np.float32)
