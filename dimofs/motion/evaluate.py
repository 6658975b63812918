"""Figures of merit of the motion in DiMoFs, over δ, with bootstrap intervals over videos (§4).

Each is a function of sums over videos (`measure`), so a resample of the videos is a weighted sum, and two motions that
are compared share the resamples.
"""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pandas as pd

from dimofs.config import Paper
from dimofs.datasets.synthetic.body import BODY
from dimofs.metrics import Floats
from dimofs.statistics import interval, resample_weights

#: Columns of the table: `against` names what a difference or a correlation is with.
COLUMNS = ("quantity", "method", "against", "delta", "value", "ci_low", "ci_high", "pairs", "videos")

FLOWS = ("farneback", "farneback_opencv", "dis")
MOTIONS = ("read_out", *FLOWS)
SALIENCIES = ("saliency_of_sum", "saliency_of_magnitudes")

#: Gives the sum of a name, (R, …), one a resample.
Total = Callable[[str], Floats]

_CHUNK = 500  # resamples at a time: the products of all channels are large


def evaluate_motion(sums: pd.DataFrame, paper: Paper, seed: int) -> pd.DataFrame:
    """Make the figures of merit at every δ from the sums of `dimofs motion measure`; one row each, with COLUMNS.

    Lengths are in pixels of the file. What cannot be measured, such as errors on people without a sidecar, has no row.

    - joint_error, people_error: mean end-point error at labelled joints, and at all pixels of people; and for all but
      `zero` motion how much smaller than its, joint_gain and people_gain, percent.
    - joint_r2: variance of the joints' displacements that is explained.
    - noise, variation: mean length of the motion outside people, and mean length of its change between neighbouring
      pixels there. Flow outside people is in part the camera's true motion, of which `variation` takes little notice.
    - correlation: of the displacements on people, read-out against flow or against the exact motion.
    - saliency_ratio: mean saliency on people over the mean elsewhere.
    - discrimination: area under the ROC curve, people against things that move as much (0.5: not told apart).
    - channel_correlation: mean absolute correlation of two channels of the finest scale, on people.
    - followed_parts: by each channel's largest correlation with the motion of a part of the body, the effective number
      of parts that channels follow best (1: all the same part, 14: each part as many channels).

    Differences (`against` set, of joint_error, people_error, noise, variation and discrimination) are paired.
    """
    names = sorted(sums["video"].unique())
    weights = resample_weights(len(names), paper.resamples, seed)
    surface = "people" in sums
    rows = []
    for delta, of_delta in sums.groupby("delta", sort=True):
        totals = _totals(of_delta.set_index("video").reindex(names))
        with np.errstate(invalid="ignore", divide="ignore"):
            values = dict(quantities(totals(np.ones((1, len(names)))), surface=surface))
            chunks = [
                dict(quantities(totals(weights[start : start + _CHUNK]), surface=surface))
                for start in range(0, len(weights), _CHUNK)
            ]
        for key, value in values.items():
            if np.isnan(value[0]):
                continue
            low, high = interval(value[0], np.concatenate([chunk[key] for chunk in chunks]), paper.confidence)
            rows.append((*key, delta, value[0], low, high, int(of_delta["pairs"].sum()), len(of_delta)))
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    place = table.groupby(list(COLUMNS[:3]), sort=False).ngroup()
    return table.assign(place=place).sort_values(["place", "delta"], ignore_index=True).drop(columns="place")


def quantities(total: Total, *, surface: bool) -> Iterator[tuple[tuple[str, str, str], Floats]]:
    """Give every figure of merit as ((quantity, method, against), values (R,)); NaN where nothing was counted.

    surface: whether there are sums of pixels, beside those of joints.
    """
    yield from _errors("joint", total)
    around_mean = total("joint_square/zero") - (total("joint_x") ** 2 + total("joint_y") ** 2) / total("joints")
    for motion in MOTIONS:
        yield ("joint_r2", motion, ""), 1 - total(f"joint_square/{motion}") / around_mean
    if not surface:
        return
    yield from _errors("people", total)
    for quantity, name in (("noise", "outside_length"), ("variation", "outside_variation")):
        outside = {motion: total(f"{name}/{motion}") / total("outside") for motion in MOTIONS}
        yield from _absolute(quantity, outside)
        yield from _differences(quantity, outside, ("read_out",), FLOWS)
    for motion in ("exact", *FLOWS):
        yield ("correlation", "read_out", motion), _correlation(total(f"moments/{motion}"), total("people"))
    for saliency in SALIENCIES:
        on, off = total(f"on_people/{saliency}") / total("people"), total(f"off_people/{saliency}") / total("outside")
        yield ("saliency_ratio", saliency, ""), on / off
    area = {score: total(f"area/{score}") / total("compared") for score in (*SALIENCIES, *MOTIONS)}
    yield from _absolute("discrimination", area)
    yield from _differences("discrimination", area, SALIENCIES, FLOWS)
    gram, parts = total("gram"), len(BODY)
    channels = round(gram.shape[1] ** 0.5)
    yield ("channel_correlation", "channels", ""), _channel_correlation(gram.reshape(-1, channels, channels))
    following, energy = (total(name).reshape(-1, channels, parts) for name in ("following", "channel_energy"))
    yield ("followed_parts", "channels", ""), _followed_parts(following, energy, total("flow_energy"))


def _totals(table: pd.DataFrame) -> Callable[[Floats], Total]:
    """Bind the sums of one δ, a row a video, to resamples (R, V) of them; a video without pairs adds nothing."""
    columns = {str(name): _stacked(column) for name, column in table.items()}

    def of(weights: Floats) -> Total:
        def total(name: str) -> Floats:
            summed: Floats = weights @ columns[name]
            return summed

        return total

    return of


def _stacked(column: pd.Series) -> Floats:
    """Turn a column of numbers or arrays into (V,) or (V, K); zeros for videos without."""
    cells = [cell for cell in column if isinstance(cell, np.ndarray | list)]
    if not cells:
        return column.fillna(0).to_numpy(np.float64)
    nothing = np.zeros(len(cells[0]))
    found = [cell if isinstance(cell, np.ndarray | list) else nothing for cell in column]
    return np.stack([np.asarray(cell, np.float64) for cell in found])


def _errors(place: str, total: Total) -> Iterator[tuple[tuple[str, str, str], Floats]]:
    count = total("joints" if place == "joint" else "people")
    error = {motion: total(f"{place}_error/{motion}") / count for motion in (*MOTIONS, "zero")}
    yield from _absolute(f"{place}_error", error)
    for motion in MOTIONS:
        yield (f"{place}_gain", motion, "zero"), 100 * (1 - error[motion] / error["zero"])
    yield from _differences(f"{place}_error", error, ("read_out",), ("zero", *FLOWS))


def _absolute(quantity: str, values: Mapping[str, Floats]) -> Iterator[tuple[tuple[str, str, str], Floats]]:
    for method, value in values.items():
        yield (quantity, method, ""), value


def _differences(
    quantity: str, values: Mapping[str, Floats], methods: tuple[str, ...], others: tuple[str, ...]
) -> Iterator[tuple[tuple[str, str, str], Floats]]:
    for method in methods:
        for other in others:
            yield (quantity, method, other), values[method] - values[other]


def _correlation(moments: Floats, count: Floats) -> Floats:
    """Pearson's correlation of two displacements, both axes together, from moments (R, 7) of `measure.surface_sums`."""
    px, py, qx, qy, pp, qq, pq = moments.T
    within = pq - (px * qx + py * qy) / count
    return within / np.sqrt((pp - (px**2 + py**2) / count) * (qq - (qx**2 + qy**2) / count))


def _channel_correlation(gram: Floats) -> Floats:
    """Mean absolute correlation (R,) of two different channels, from their products (R, C, C)."""
    size = np.sqrt(np.einsum("rcc->rc", gram))
    correlation = np.abs(gram) / (size[:, :, None] * size[:, None])
    channels = gram.shape[1]
    return (correlation.sum((1, 2)) - channels) / (channels * (channels - 1)) if channels > 1 else size[:, 0] * np.nan


def _followed_parts(following: Floats, energy: Floats, flow_energy: Floats) -> Floats:
    """Effective number (R,) of parts that channels follow best, from `measure.channel_sums` of R resamples.

    It is exp of the entropy of the share of channels that follow each part best.
    """
    scale = np.sqrt(energy * flow_energy[:, None])
    best = np.where(scale > 0, np.abs(following) / np.where(scale > 0, scale, 1), 0).argmax(-1)
    share = np.stack([(best == part).mean(1) for part in range(energy.shape[-1])], axis=1)
    entropy = -np.where(share > 0, share * np.log(np.where(share > 0, share, 1)), 0).sum(1)
    return np.where(energy.sum((1, 2)) > 0, np.exp(entropy), np.nan)
