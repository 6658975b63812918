"""What a row of Table 4 costs: weights, arithmetic and time of one video, counted alike for all.

`results/recognition/cost_ours.csv` and `cost_rivals.csv` hold COLUMNS, a row for each of their names but fusion, which
costs what its two parts cost together. Seconds differ from run to run; nothing else in the project does.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from time import process_time

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from dimofs.datasets.diving48 import Dive

#: Columns of a table of costs; seconds_per_video is the one that differs from run to run.
COLUMNS = ("name", "parameters", "gflops_per_video", "seconds_per_video")

#: Test dives that are timed, evenly over the list.
DIVES = 3


@dataclass(frozen=True)
class Cost:
    """The cost of recognising one video."""

    parameters: int
    gflops_per_video: float  #: mean; a multiplication with an addition counts as two
    seconds_per_video: float  #: median processor seconds of one thread: what else the machine does is not in them


def count_weights(*networks: nn.Module) -> int:
    """Count the weights of networks, trained here or not; fixed statistics of a normalisation are none."""
    return sum(weight.numel() for network in networks for weight in network.parameters())


def measure_cost(parameters: int, recognise: Callable[[Dive], object], dives: Sequence[Dive]) -> Cost:
    """Measure what `recognise` takes from the video file to the scores of a dive: decoding, flow and all.

    parameters: of all networks and classifiers that a video passes. Convolutions and products of matrices of torch are
    counted as arithmetic, so a flow, a PCA or a classifier outside torch show in the seconds alone.
    """
    chosen = [dives[index] for index in np.unique(np.linspace(0, len(dives) - 1, DIVES).astype(int))]
    torch.set_num_threads(1)
    operations, seconds = [], []
    with torch.inference_mode():
        for dive in chosen:  # comes first and warms up
            with FlopCounterMode(display=False) as counter:
                recognise(dive)
            operations.append(counter.get_total_flops() / 1e9)
        for dive in chosen:
            start = process_time()
            recognise(dive)
            seconds.append(process_time() - start)
    return Cost(parameters, fmean(operations), median(seconds))
