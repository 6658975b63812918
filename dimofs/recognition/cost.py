"""What a row of Table 4 costs: weights, arithmetic and time of one video, counted alike for all.

`results/recognition/cost_ours.csv` and `cost_rivals.csv` hold COLUMNS, a row for each of their names but fusion, which
costs what its two parts cost together. Seconds differ from run to run; nothing else in the project does.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from time import process_time

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from dimofs.datasets.diving48 import Dive

#: Columns of a table of costs; seconds_per_video is the one that differs from run to run.
COLUMNS = ("name", "parameters", "gflops_per_video", "seconds_per_video")

#: Enlarging heat maps is no convolution and counts nothing; torch would take it apart to find that out, for seconds.
_UNCOUNTED = {torch.ops.aten.upsample_bicubic2d.vec: lambda *_, **__: 0}

#: Test dives that are timed, evenly over the list.
DIVES = 3

#: Rounds in which all rows take their turns, so that a slow minute of the machine is not one row's alone.
ROUNDS = 3


@dataclass(frozen=True)
class Way:
    """A row of Table 4 at work."""

    parameters: int  #: of all networks and classifiers that a video passes
    recognise: Callable[[Dive], object]  #: from the video file to the scores of a dive: decoding, flow and all


def count_weights(*networks: nn.Module) -> int:
    """Count the weights of networks, trained here or not; fixed statistics of a normalisation are none."""
    return sum(weight.numel() for network in networks for weight in network.parameters())


def measure_costs(ways: Mapping[str, Way], dives: Sequence[Dive]) -> pd.DataFrame:
    """Measure what each way takes for a dive: a table with COLUMNS.

    gflops_per_video: mean over DIVES dives, a multiplication with an addition as two. Convolutions and products of
    matrices of torch are counted, so a flow, a PCA or a classifier outside torch show in the seconds alone.
    seconds_per_video: median over these dives of the quickest of ROUNDS, in processor seconds of one thread, so that
    what else the machine does is not in them.
    """
    chosen = [dives[index] for index in np.unique(np.linspace(0, len(dives) - 1, DIVES).astype(int))]
    torch.set_num_threads(1)
    with torch.inference_mode():
        operations = {name: fmean(_operations(way, dive) for dive in chosen) for name, way in ways.items()}  # warms up
        rounds = [{name: [_seconds(way, dive) for dive in chosen] for name, way in ways.items()} for _ in range(ROUNDS)]
    seconds = {name: median(map(min, zip(*(times[name] for times in rounds), strict=True))) for name in ways}
    rows = [(name, way.parameters, operations[name], seconds[name]) for name, way in ways.items()]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _operations(way: Way, dive: Dive) -> float:
    with FlopCounterMode(display=False, custom_mapping=_UNCOUNTED) as counter:
        way.recognise(dive)
    return counter.get_total_flops() / 1e9


def _seconds(way: Way, dive: Dive) -> float:
    start = process_time()
    way.recognise(dive)
    return process_time() - start
