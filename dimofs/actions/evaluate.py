"""Frame-mAP of the columns of Table 3 and of the δ-sweep of Figure 7, with paired intervals (§6.2, A31)."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from tqdm import tqdm

from dimofs.actions.ablations import Column
from dimofs.config import Paper
from dimofs.datasets.records import JHMDB_CLASSES, DatasetError, Video
from dimofs.metrics import ACT, Floats, FrameMapRules, Ranking, class_ap, match_boxes, mean_of_defined, rank
from dimofs.statistics import over_seeds, resample_weights, resampled_class_ap

#: The differences that the paper draws between columns of Table 3 (§6.2): minuend, subtrahend.
PAPER_DIFFERENCES = (("4", "2"), ("6", "3"), ("6", "5"), ("6", "4"), ("3", "2"), ("6", "1"))
#: The δ that others are compared with along Figure 7: no motion, and the paper's peak.
COMPARED_DELTAS = (0, 12)


def evaluate_columns(
    videos: Sequence[Video],
    ablations: Sequence[Column],
    detections: Mapping[str, Sequence[pd.DataFrame]],
    paper: Paper,
    seed: int,
    rules: FrameMapRules = ACT,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Score every row of `config/ablations.tsv` on all frames of the test clips.

    detections: per training of the ablations a table for each seed, with columns video, frame, delta (0 for a network
    without pairs), label, score, box (4 numbers, x1 y1 x2 y2, pixels). Returns, in percent, (column, training, delta,
    map, ci_low, ci_high, n_frames, seeds, sd) and (minuend, subtrahend, paper_difference, difference, ci_low, ci_high,
    seeds, sd) for PAPER_DIFFERENCES; where a column has a second reading, `3 (frozen)` beside `3`, the same differences
    again with it. Values are means over so many seeds with the standard deviation sd, see
    `dimofs.statistics.over_seeds`. rules: ACT's conventions or others, for values and intervals alike.

    Raises DatasetError when detections are missing or do not belong to the test clips.
    """
    clips = _test_clips(videos)
    weights = resample_weights(len(clips), paper.resamples, seed)
    n_frames = sum(len(clip.frames) for clip in clips)
    ap, samples, rows = {}, {}, []
    for column in tqdm(ablations, desc="frame-mAP", unit="column", disable=None):
        training = column.training.name
        here = _at_delta(detections, training, column.delta or 0)
        ap[column.name], samples[column.name] = _frame_maps(clips, here, training, weights, rules)
        *found, sd = over_seeds(ap[column.name], samples[column.name], paper.confidence, seed)
        rows.append((column.name, training, column.delta, *found, n_frames, len(here), sd))
    names = ["column", "training", "delta", "map", "ci_low", "ci_high", "n_frames", "seeds", "sd"]
    columns = pd.DataFrame(rows, columns=names)
    paper_map = {column.name: column.paper_map for column in ablations}
    differences = []
    for minuend, subtrahend in _drawn_differences(list(ap)):
        gain, resampled = ap[minuend] - ap[subtrahend], samples[minuend] - samples[subtrahend]
        *found, sd = over_seeds(gain, resampled, paper.confidence, seed)
        stated = round(paper_map[minuend] - paper_map[subtrahend], 1)
        differences.append((minuend, subtrahend, stated, *found, len(gain), sd))
    names = ["minuend", "subtrahend", "paper_difference", "difference", "ci_low", "ci_high", "seeds", "sd"]
    return columns.astype({"delta": "Int64"}), pd.DataFrame(differences, columns=names)


def evaluate_sweep(
    videos: Sequence[Video],
    pairs: pd.DataFrame,
    detections: Mapping[str, Sequence[pd.DataFrame]],
    paper: Paper,
    seed: int,
    rules: FrameMapRules = ACT,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Score every training of `detections` (tables as in `evaluate_columns`) at every δ of the test pairs.

    pairs: columns split, video, frame_a, frame_b, delta, clamped. Every frame of every test clip counts at every δ;
    where A + δ lies beyond the clip, B is the frame at its end. `clamped_fraction` says for how many frames that is so,
    `mean_effective_delta` is the mean of B − A. Returns (training, delta, map, ci_low, ci_high, n_frames,
    clamped_fraction, mean_effective_delta, seeds, sd), and the paired differences of each training's δ to those of
    COMPARED_DELTAS that are swept: (training, minuend_delta, subtrahend_delta, difference, ci_low, ci_high, seeds, sd).

    Raises DatasetError when pairs or detections do not belong to the test clips.
    """
    clips = _test_clips(videos)
    weights = resample_weights(len(clips), paper.resamples, seed)
    everything = {(clip.name, frame) for clip in clips for frame in range(len(clip.frames))}
    gaps = list(pairs[pairs["split"] == "test"].groupby("delta", sort=True))
    for delta, rows in gaps:
        if set(zip(rows["video"], rows["frame_a"], strict=True)) != everything:
            raise DatasetError(f"pairs: δ = {delta} does not list the frames of the test clips; make the pairs again")
    ap, samples, table = {}, {}, []
    cells = [(training, int(str(delta)), rows) for training in detections for delta, rows in gaps]
    for training, delta, rows in tqdm(cells, desc="frame-mAP", unit="δ", disable=None):
        cell = (training, delta)
        here = _at_delta(detections, training, delta)
        ap[cell], samples[cell] = _frame_maps(clips, here, training, weights, rules)
        *found, sd = over_seeds(ap[cell], samples[cell], paper.confidence, seed)
        effective = (rows["frame_b"] - rows["frame_a"]).mean()
        table.append((*cell, *found, len(rows), rows["clamped"].mean(), effective, len(here), sd))
    differences = []
    for other in COMPARED_DELTAS:
        for training, delta in ap:
            if delta != other and (training, other) in ap:
                gain = ap[training, delta] - ap[training, other]
                resampled = samples[training, delta] - samples[training, other]
                *found, sd = over_seeds(gain, resampled, paper.confidence, seed)
                differences.append((training, delta, other, *found, len(gain), sd))
    names = ["training", "delta", "map", "ci_low", "ci_high", "n_frames", "clamped_fraction", "mean_effective_delta"]
    difference_names = ["training", "minuend_delta", "subtrahend_delta", "difference", "ci_low", "ci_high"]
    spread = ["seeds", "sd"]
    return (
        pd.DataFrame(table, columns=[*names, *spread]),
        pd.DataFrame(differences, columns=[*difference_names, *spread]),
    )


def _test_clips(videos: Sequence[Video]) -> list[Video]:
    clips = sorted((video for video in videos if video.split == "test"), key=lambda video: video.name)
    if not clips:
        raise DatasetError("JHMDB: no test clip in this split, so there is nothing to score")
    return clips


def _at_delta(detections: Mapping[str, Sequence[pd.DataFrame]], training: str, delta: int) -> list[pd.DataFrame]:
    if training not in detections:
        raise DatasetError(f"detections of {training}: not there; run `dimofs actions predict {training}`")
    for table in detections[training]:
        missing = {"video", "frame", "delta", "label", "score", "box"} - set(table.columns)
        if missing:
            raise DatasetError(f"detections of {training}: no column {', '.join(sorted(missing))}; predict again")
    return [table[table["delta"] == delta] for table in detections[training]]


def _drawn_differences(columns: Sequence[str]) -> list[tuple[str, str]]:
    """List the paper's differences among these columns, then the same with each second reading (`3 (frozen)`)."""
    readings = ["", *dict.fromkeys(column[column.index(" ") :] for column in columns if " " in column)]
    drawn = [
        tuple(column + reading if column + reading in columns else column for column in pair)
        for reading in readings
        for pair in PAPER_DIFFERENCES
    ]
    return [(pair[0], pair[1]) for pair in dict.fromkeys(drawn) if set(pair) <= set(columns)]


def _frame_maps(
    clips: Sequence[Video], of_seeds: Sequence[pd.DataFrame], training: str, weights: Floats, rules: FrameMapRules
) -> tuple[Floats, Floats]:
    """Frame-mAP of each seed (S,), percent, and its resamples (S, R)."""
    found = [_frame_map(clips, detections, training, weights, rules) for detections in of_seeds]
    return np.array([ap for ap, _ in found]), np.stack([samples for _, samples in found])


def _frame_map(
    clips: Sequence[Video], detections: pd.DataFrame, training: str, weights: Floats, rules: FrameMapRules
) -> tuple[float, Floats]:
    """Frame-mAP in percent and its resamples (R,); a class absent from a resample is left out of that one's mean."""
    known = {(clip.name, frame) for clip in clips for frame in range(len(clip.frames))}
    unknown = set(zip(detections["video"], detections["frame"], strict=True)) - known
    if unknown:
        video, frame = min(unknown)
        raise DatasetError(f"detections of {training}: {video}, frame {frame} is in no test clip; predict again")
    rankings = class_rankings(clips, detections, rules)
    ap = np.array([class_ap(ranking, rules) for ranking in rankings])
    samples = np.stack([resampled_class_ap(ranking, weights, rules) for ranking in rankings], axis=-1)
    return float(mean_of_defined(ap)), mean_of_defined(samples)


def class_rankings(clips: Sequence[Video], detections: pd.DataFrame, rules: FrameMapRules = ACT) -> list[Ranking]:
    """Judge and rank the detections of each of the 21 classes on all frames of clips, which they must be of.

    detections: columns video, frame, label, score, box, see `evaluate_columns`.
    """
    index = {clip.name: i for i, clip in enumerate(clips)}
    if not rules.unannotated_frames_count:
        annotated_frames = {(clip.name, f) for clip in clips for f, frame in enumerate(clip.frames) if frame.people}
        keys = zip(detections["video"], detections["frame"], strict=True)
        detections = detections[[key in annotated_frames for key in keys]]
    video = detections["video"].map(index).to_numpy(np.int64)
    frame, label = detections["frame"].to_numpy(np.int64), detections["label"].to_numpy(np.int64)
    score = detections["score"].to_numpy(np.float64)
    boxes = np.array(detections["box"].to_list(), np.float64).reshape(-1, 4)

    # A detection can only be right in a clip of its own class; there, frame by frame, by falling score.
    clip_label = np.array([clip.label for clip in clips])
    candidates = np.flatnonzero(label == clip_label[video])
    candidates = candidates[np.lexsort((-score[candidates], frame[candidates], video[candidates]))]
    new_frame = np.diff(video[candidates]).astype(bool) | np.diff(frame[candidates]).astype(bool)
    correct = np.zeros(len(score), bool)
    for rows in np.split(candidates, np.flatnonzero(new_frame) + 1):
        if len(rows):
            people = clips[video[rows[0]]].frames[frame[rows[0]]].people
            correct[rows] = match_boxes(boxes[rows], [person.box for person in people], rules)

    annotated = np.array([sum(len(frame.people) for frame in clip.frames) for clip in clips])
    return [
        rank(score[label == c], correct[label == c], video[label == c], np.where(clip_label == c, annotated, 0))
        for c in range(len(JHMDB_CLASSES))
    ]
