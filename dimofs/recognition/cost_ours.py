"""What our rows of Table 4 cost, each run from the video file to the scores of a dive."""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from dimofs.config import Config
from dimofs.datasets.diving48 import Dive
from dimofs.flow import farneback
from dimofs.model.action_localizer import ActionLocalizer
from dimofs.model.pose_detector import PoseDetector
from dimofs.recognition.classify import (
    cluster_histograms,
    count_parameters,
    fit_classifier,
    label_scores,
    summed_activations,
)
from dimofs.recognition.cluster_network import sum_activations
from dimofs.recognition.cost import Way, count_weights, measure_costs
from dimofs.recognition.features import Flow, Projection, inner_pairs, no_flow, observe, prepare
from dimofs.training.loop import device


def cost_ours(
    detector: PoseDetector,
    projection: Projection,
    network: ActionLocalizer,
    dives: Sequence[Dive],
    pairs: pd.DataFrame,
    ids: Mapping[str, pd.DataFrame],
    activations: pd.DataFrame,
    config: Config,
) -> pd.DataFrame:
    """Measure Ours-init by each kind of clusters, and Ours-final, on test dives.

    detector, projection: what makes the features; network: Ours-final. pairs: the index of the test dives; ids: tables
    of `clusters.cluster_ids` by kind; activations: the table of `cluster_network.describe_dives`. Returns a table with
    `cost.COLUMNS`. Which of the centres is nearest to a person is looked up, not computed again: 100 distances of 255
    numbers a person are nothing beside the networks.
    """
    train, test = ([dive for dive in dives if dive.split == split] for split in ("train", "test"))
    wanted = inner_pairs(pairs)
    timed = [dive for dive in test if dive.name in wanted]
    labels = [dive.label for dive in train]
    prepare(detector, config.features)
    network.eval().to(device())
    ways = {}
    for kind, table in ids.items():
        flow = partial(farneback, settings=config.features.flow.settings) if kind == "pose_flow" else no_flow
        fitted = fit_classifier(
            cluster_histograms(table, train, config.clusters.clusters),
            labels,
            config.recognition.classifier,
            config.seed,
        )

        def init(
            dive: Dive, kind: str = kind, table: pd.DataFrame = table, flow: Flow = flow, fitted: Pipeline = fitted
        ) -> None:
            for _, people in observe(detector, dive, list(wanted[dive.name]), config.model, config.features, flow):
                if kind == "pose_dimofs":
                    projection.apply(people.dimofs)
            label_scores(fitted, cluster_histograms(table, [dive], config.clusters.clusters))

        reduced = projection.components.size if kind == "pose_dimofs" else 0
        parameters = count_weights(detector) + reduced + count_parameters(fitted)
        ways[f"init_{kind}"] = Way(parameters, init)
    fitted = fit_classifier(summed_activations(activations, train), labels, config.recognition.classifier, config.seed)

    def final(dive: Dive) -> None:
        label_scores(fitted, sum_activations(network, dive, list(wanted[dive.name]), config)[None].astype(np.float64))

    ways["final"] = Way(count_weights(network) + count_parameters(fitted), final)
    return measure_costs(ways, timed)
