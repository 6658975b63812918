"""What the rows of others in Table 4 cost, each run from the video file to the scores of a dive."""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dimofs.config import Config, Rivals
from dimofs.datasets.diving48 import Dive
from dimofs.recognition.clips import hold
from dimofs.recognition.cost import Way, count_weights, measure_costs
from dimofs.recognition.rivals import Part, recognise


def cost_rivals(config: Config, rows: Mapping[str, Sequence[Part]], dives: Sequence[Dive]) -> pd.DataFrame:
    """Measure what it costs to recognise a dive, from the file on: a row of `cost.COLUMNS` for each of `rows`."""
    rivals = config.recognition.rivals
    ways = {
        row: Way(count_weights(*(part.network for part in parts)), partial(_from_file, parts, rivals))
        for row, parts in rows.items()
    }
    return measure_costs(ways, dives)


def _from_file(row: Sequence[Part], rivals: Rivals, dive: Dive) -> NDArray[np.float32]:
    return recognise(row, hold(dive, rivals), rivals)
