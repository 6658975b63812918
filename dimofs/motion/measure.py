"""What is counted about the motion of validation pairs, summed up for each video and δ (§4).

The renderer's sidecar tells the exact flow of people and things; no other chapter opens it. Data without sidecars are
measured at their labelled joints alone. `evaluate` makes the figures of merit from these sums.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from dimofs.config import Model
from dimofs.datasets.records import Array, DatasetError, Video
from dimofs.datasets.synthetic.body import BODY, BODY_INDEX, PARTS
from dimofs.datasets.synthetic.sidecar import Sidecar, load_sidecar, person_flow, thing_flow
from dimofs.flow import dense_inverse_search, farneback
from dimofs.metrics import Floats
from dimofs.model.backbone import STRIDES
from dimofs.model.pose_detector import PoseDetector
from dimofs.motion.predict import PairMotion, pair_motions
from dimofs.motion.read_out import joint_displacements
from dimofs.pairs.loading import read_frame
from dimofs.training.loop import device

#: Sums of one pair, by name: numbers, or an array where every channel is counted for itself.
Sums = dict[str, float | Floats]

#: People and things are compared where they move by about as many pixels: within an octave, from one pixel on.
_OCTAVES = np.array([1, 2, 4, 8, 16, 32, np.inf])


def measured_pairs(pairs: pd.DataFrame, frames: int) -> pd.DataFrame:
    """Choose the pairs that are measured: for each video and δ so many Frames A, evenly spread over the video.

    pairs: an index of pairs. Left out are δ = 0, where nothing moves, and clamped pairs, whose gap is not δ.

    Raises DatasetError where nothing is left.
    """
    usable = pairs[(pairs["delta"] != 0) & ~pairs["clamped"]].sort_values(["video", "delta", "frame_a"])

    if usable.empty:
        raise DatasetError("pairs: none has another δ than 0 and is not clamped; list pairs of a smaller δ")

    def spread(rows: pd.DataFrame) -> pd.DataFrame:
        return rows.iloc[np.unique(np.linspace(0, len(rows) - 1, min(frames, len(rows))).round().astype(int))]

    return pd.concat([spread(rows) for _, rows in usable.groupby(["video", "delta"], sort=True)], ignore_index=True)


def measure(
    network: PoseDetector,
    coefficients: Tensor,
    videos: Sequence[Video],
    pairs: pd.DataFrame,
    sidecars: Path,
    model: Model,
    batch_size: int,
) -> pd.DataFrame:
    """Sum up what is counted over the pairs of each video and δ.

    coefficients: of the read-out, (2, D). pairs: as `measured_pairs` chooses them. sidecars: folder with a
    `<video>.npz` for every rendered video; a video without one has sums of its joints alone.

    Returns one row a video and δ: video, delta, pairs, a column for each sum of `joint_sums`, and columns for those of
    `surface_sums`, `saliency_sums`, `discrimination_sums` and `channel_sums`, empty where there is no sidecar. Matrices
    are flat, row by row.
    """
    network.eval().to(device())
    by_name = {video.name: video for video in videos}
    rows = []
    for name, group in tqdm(pairs.groupby("video", sort=True), desc="motion", unit="video", dynamic_ncols=True):
        video, path = by_name[str(name)], sidecars / f"{name}.npz"
        sidecar = load_sidecar(path) if path.is_file() else None
        totals: dict[int, Sums] = {}
        wanted = list(zip(group["frame_a"].astype(int), group["frame_b"].astype(int), strict=True))
        for motion in pair_motions(network, video, wanted, model, batch_size):
            found = _pair_sums(video, motion, coefficients, sidecar)
            total = totals.setdefault(motion.frame_b - motion.frame_a, {})
            for key, value in found.items():
                total[key] = total.get(key, 0.0) + value
        for delta, total in sorted(totals.items()):
            flat = {key: value.ravel() if isinstance(value, np.ndarray) else value for key, value in total.items()}
            rows.append({"video": name, "delta": delta, **flat})
    return pd.DataFrame(rows)


def _pair_sums(video: Video, motion: PairMotion, coefficients: Tensor, sidecar: Sidecar | None) -> Sums:
    a, b = motion.frame_a, motion.frame_b
    image_a, image_b = read_frame(video.frames[a]), read_frame(video.frames[b])
    motions = {
        "read_out": motion.read_out(coefficients),
        "farneback": farneback(image_a, image_b, "detect_and_track"),
        "farneback_opencv": farneback(image_a, image_b, "opencv"),
        "dis": dense_inverse_search(image_a, image_b),
    }
    sums: Sums = {"pairs": 1.0, **joint_sums(motions, *joint_displacements(video.frames[a], video.frames[b]))}
    if sidecar is None:
        return sums
    exact, people = person_flow(sidecar, a, b)
    exact_things, things = thing_flow(sidecar, a, b)
    of_sum, of_magnitudes = motion.saliency()
    saliencies = {"saliency_of_sum": of_sum, "saliency_of_magnitudes": of_magnitudes}
    lengths = {name: _length(field) for name, field in motions.items()}
    speed = _length(exact + exact_things)
    finest = (motion.fields[0][0].movedim(1, 3) / motion.scale).cpu().numpy()
    return {
        **sums,
        **surface_sums(motions, exact, people),
        **saliency_sums(saliencies, people),
        **discrimination_sums({**saliencies, **lengths}, speed, people, things),
        **channel_sums(finest, STRIDES[0] / motion.scale, exact, np.where(people, sidecar.parts[a], 0)),
    }


def joint_sums(motions: Mapping[str, Array], places: Array, displacements: Array) -> Sums:
    """Sum the errors of motions (H, W, 2) at the joints of a pair.

    places, displacements: (M, 2) as `joint_displacements` gives them. Returns joints (how many), joint_error/<motion>
    (lengths of the errors), joint_square/<motion> (their squares), the same of `zero` motion, and joint_x, joint_y, the
    sums of the displacements.
    """
    sums: Sums = {"joints": float(len(places))}
    sums |= {f"joint_{axis}": float(displacements[:, index].sum()) for index, axis in enumerate("xy")}
    for name, field in {**motions, "zero": None}.items():
        there = np.zeros_like(displacements) if field is None else _at(field, places)
        error = _length(there.astype(np.float64) - displacements)
        sums |= {f"joint_error/{name}": float(error.sum()), f"joint_square/{name}": float((error**2).sum())}
    return sums


def surface_sums(motions: Mapping[str, Array], exact: Array, people: NDArray[np.bool_]) -> Sums:
    """Sum the errors of motions (H, W, 2) on people and their noise outside, pixel by pixel.

    exact: (H, W, 2) the flow of people; people: (H, W) their pixels.

    Returns people and outside (how many pixels), people_error/<motion> and that of `zero` motion, outside_length/ and
    outside_variation/<motion> (lengths of the motion, and of its change from a pixel to its right and lower neighbours,
    outside people), and moments/<motion>: the sums over people that the correlation of the read-out with another motion
    or with `exact` needs: Σp (2), Σq (2), Σ|p|², Σ|q|², Σp·q.
    """
    sums: Sums = {"people": float(people.sum()), "outside": float((~people).sum())}
    truth = exact[people].astype(np.float64)
    sums["people_error/zero"] = float(_length(truth).sum())
    for name, field in motions.items():
        here = field[people].astype(np.float64)
        sums[f"people_error/{name}"] = float(_length(here - truth).sum())
        sums[f"outside_length/{name}"] = float(_length(field)[~people].sum(dtype=np.float64))
        across = _length(np.diff(field, axis=1, append=field[:, -1:]))
        down = _length(np.diff(field, axis=0, append=field[-1:]))
        sums[f"outside_variation/{name}"] = float((across + down)[~people].sum(dtype=np.float64))
    p = motions["read_out"][people].astype(np.float64)
    for name, field in {**motions, "exact": exact}.items():
        if name != "read_out":
            q = field[people].astype(np.float64)
            moments = [*p.sum(0), *q.sum(0), (p * p).sum(), (q * q).sum(), (p * q).sum()]
            sums[f"moments/{name}"] = np.array(moments, np.float64)
    return sums


def saliency_sums(saliencies: Mapping[str, Array], people: NDArray[np.bool_]) -> Sums:
    """Sum maps of saliency (H, W) on people and outside: on_people/<map> and off_people/<map>."""
    sums: Sums = {}
    for name, values in saliencies.items():
        sums[f"on_people/{name}"] = float(values[people].sum(dtype=np.float64))
        sums[f"off_people/{name}"] = float(values[~people].sum(dtype=np.float64))
    return sums


def discrimination_sums(
    scores: Mapping[str, Array], speed: Array, people: NDArray[np.bool_], things: NDArray[np.bool_]
) -> Sums:
    """Compare scores (H, W) of moving people with those of things that move as much: the area under the ROC curve.

    speed: (H, W) length of the exact displacement, pixels. A pixel of a person is compared with the pixels of things
    that move by an amount of the same octave (1 to 2 pixels, 2 to 4, …); what moves by less than a pixel is left out.
    The area is the share of these comparisons in which the person's score is the higher; ties count half.

    Returns compared (1, or 0 where there is nothing to compare) and area/<score>.
    """
    octave = np.digitize(speed, _OCTAVES)
    groups = [
        (np.flatnonzero(people & (octave == one)), np.flatnonzero(things & (octave == one)))
        for one in range(1, len(_OCTAVES))
    ]
    groups = [(of_people, of_things) for of_people, of_things in groups if len(of_people) and len(of_things)]
    comparisons = sum(len(of_people) * len(of_things) for of_people, of_things in groups)
    sums: Sums = {"compared": float(comparisons > 0)}
    for name, score in scores.items():
        flat, won = score.ravel(), 0.0
        for of_people, of_things in groups:
            lower = np.sort(flat[of_things])
            below, up_to = (lower.searchsorted(flat[of_people], side) for side in ("left", "right"))
            won += float((below + up_to).sum()) / 2
        sums[f"area/{name}"] = won / comparisons if comparisons else 0.0
    return sums


def channel_sums(channels: Array, stride: float, exact: Array, parts: NDArray[np.integer]) -> Sums:
    """Sum how the channels of the finest scale agree with each other on people, and with what each part of them does.

    channels: (C, H / stride, W / stride, 2) displacements; exact: (H, W, 2) flow of people; parts: (H, W) k + 1 where
    part k mod 18 of a person is seen, 0 elsewhere. A feature pixel counts as what is seen at its centre.

    Returns gram (C, C), the sum of products of two channels; and for the parts of BODY: following (C, 14), the sum of
    products of channel and flow, channel_energy (C, 14) and flow_energy (14,), the sums of their squares.
    """
    rows, columns = (np.floor((np.arange(side) + 0.5) * stride).astype(np.intp) for side in channels.shape[1:3])
    rows, columns = rows[rows < parts.shape[0]], columns[columns < parts.shape[1]]
    seen, flow = parts[np.ix_(rows, columns)], exact[np.ix_(rows, columns)]
    y, x = np.nonzero(seen)
    part = BODY_INDEX[(seen[y, x].astype(np.intp) - 1) % len(PARTS)]
    here, truth = channels[:, y, x].astype(np.float64), flow[y, x].astype(np.float64)
    member = (part[:, None] == np.arange(len(BODY))).astype(np.float64)
    return {
        "gram": np.einsum("cnd,end->ce", here, here, optimize=True),
        "following": (here * truth).sum(-1) @ member,
        "channel_energy": (here**2).sum(-1) @ member,
        "flow_energy": (truth**2).sum(-1) @ member,
    }


def _length(field: NDArray[np.floating]) -> NDArray[np.floating]:
    """Lengths (…) of vectors (…, 2)."""
    return np.hypot(field[..., 0], field[..., 1])


def _at(field: Array, places: Array) -> Array:
    """Sample a field (H, W, 2) bilinearly at places (M, 2) x y; beyond the border its values hold."""
    if not len(places):
        return np.zeros((0, 2), np.float32)
    x, y = np.ascontiguousarray(places.T, np.float32)
    sampled = cv2.remap(field, x[None], y[None], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(sampled[0], np.float32)
