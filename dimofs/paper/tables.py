"""Tables 1 to 4: the paper's values and ours in separate columns, ours with intervals; and the table of motion."""

from collections.abc import Sequence

import pandas as pd

from dimofs.actions.ablations import Column
from dimofs.datasets.records import DatasetError
from dimofs.paper.reference import paper_value
from dimofs.recognition.rows import Row

_METHODS = ("single_frame", "dimofs")
_OURS = ["ci_low", "ci_high", "n_frames", "n_videos"]
_COSTS = ["parameters", "gflops_per_video", "seconds_per_video"]
_FUSED = ("final", "r2plus1d_pretrained")  # what the row fusion of Table 4 runs
_SPREAD = ["seeds", "sd"]  # over how many seeds of the trainings our value is the mean, and how far they spread

#: What each difference between columns of Table 3 isolates, in the paper's reading (§6.2).
MEANINGS = {
    "4-2": "DiMoFs training, δ = 0",
    "6-3": "DiMoFs training, δ = 10",
    "6-5": "DiMoFs instead of optical flow, δ = 10",
    "6-4": "motion cues (δ = 10 instead of 0) with DiMoFs training",
    "3-2": "motion cues (δ = 10 instead of 0) without DiMoFs training",
    "6-1": "DiMoFs, δ = 10, instead of an inflated 3-D network",
}

#: What stands below the rows of Table 4.
CONTROL_NAMES = {
    "scene_only": "Scene alone, the diver hidden",
    "majority": "Always the largest class",
    "chance": "Chance",
}

#: What each figure of merit of motion is, and its unit.
MOTION_MEANINGS = {
    "joint_error": ("end-point error at joints", "pixels"),
    "joint_gain": ("how much smaller that error is than without any motion", "%"),
    "joint_r2": ("variance of the joints' displacements explained", "1"),
    "people_error": ("end-point error on all pixels of people", "pixels"),
    "people_gain": ("how much smaller that error is than without any motion", "%"),
    "noise": ("length of the motion outside people, the camera's included", "pixels"),
    "variation": ("change of the motion from pixel to pixel outside people", "pixels"),
    "correlation": ("correlation of the read-out on people", "1"),
    "saliency_ratio": ("saliency on people over saliency elsewhere", "1"),
    "discrimination": ("area under the ROC curve, people against things that move as much", "1"),
    "channel_correlation": ("absolute correlation of two channels of the finest scale on people", "1"),
    "followed_parts": ("effective number of body parts, of 14, that channels follow best", "parts"),
}


def table1(average_precision: pd.DataFrame, differences: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """Make Table 1, pose mAP at δ = 0, one row for each method and joint column, and the gain with its paired interval.

    average_precision, differences: the two tables of `dimofs pose evaluate`. dataset: what our values are on; the
    paper's are on PoseTrack17 val. Columns: method (single_frame, dimofs, difference), joint, paper_ap, ap, ci_low,
    ci_high, n_frames, n_videos, dataset, seeds, sd (the standard deviation over seeds, empty for one).
    """
    at_zero = average_precision[average_precision["delta"] == 0].set_index(["method", "joint"])
    gain = differences.query("minuend == 'dimofs' and minuend_delta == 0 and subtrahend == 'single_frame'")
    gain = gain.rename(columns={"difference": "ap"}).set_index("joint")
    rows = []
    for method in ("single_frame", "dimofs"):
        for joint in dict.fromkeys(average_precision["joint"]):
            row = at_zero.loc[(method, joint)]
            rows.append([method, joint, paper_value("table1", method, joint), row["ap"], *row[[*_OURS, *_SPREAD]]])
    for joint in dict.fromkeys(average_precision["joint"]):
        own = gain.loc[joint, ["ap", "ci_low", "ci_high", *_SPREAD]]
        row = pd.concat([own, at_zero.loc[("dimofs", joint), _OURS[2:]]])
        rows.append(["difference", joint, _paper_gain(joint), row["ap"], *row[[*_OURS, *_SPREAD]]])
    table = pd.DataFrame(rows, columns=["method", "joint", "paper_ap", "ap", *_OURS, *_SPREAD])
    table = table.astype({"n_frames": int, "n_videos": int, "seeds": int}).assign(dataset=dataset)
    return table[["method", "joint", "paper_ap", "ap", *_OURS, "dataset", *_SPREAD]]


def table2(tracking: pd.DataFrame, differences: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """Make Table 2, MOTA of the linked detections: the paper's rows, then ours.

    tracking, differences: the two tables of `dimofs tracking evaluate`. dataset: what our values are on; the paper's
    are on PoseTrack17 val. Columns: method, source (`paper` or `dataset`), MOTA in percent in head … ank and mean, and
    the interval of the mean, which the paper has none of; seeds, over how many the values are means, and sd, the mean's
    standard deviation over them, empty for one.

    A method is named with its linker and operating point: (single_frame, dimofs or difference), linker, point. The
    paper's are the linker and the thresholds of Detect-and-Track, which it took over.
    """
    columns = list(dict.fromkeys(tracking["joint"]))
    paper = {method: [paper_value("table2", method, column) for column in columns] for method in _METHODS}
    paper["difference"] = [
        round(one - other, 1) for one, other in zip(paper["dimofs"], paper["single_frame"], strict=True)
    ]
    rows = [
        [f"{method}, detect_and_track, filtered", "paper", *values, *[float("nan")] * 4]
        for method, values in paper.items()
    ]
    gains = differences.rename(columns={"difference": "value"}).assign(method="difference")
    ours = pd.concat([tracking, gains]).query("metric == 'mota'")
    for (linker, point), of_way in ours.groupby(["linker", "operating_point"], sort=False):
        for method in (*_METHODS, "difference"):
            cells = of_way[of_way["method"] == method].set_index("joint")
            of_mean = cells.loc["mean", ["ci_low", "ci_high", *_SPREAD]]
            rows.append([f"{method}, {linker}, {point}", dataset, *cells.loc[columns, "value"], *of_mean])
    table = pd.DataFrame(rows, columns=["method", "source", *columns, "ci_low", "ci_high", *_SPREAD])
    return table.astype({"seeds": "Int64"})


def table3(ablations: Sequence[Column], columns: pd.DataFrame) -> pd.DataFrame:
    """Make Table 3, frame-mAP of the ablations: a row for each row of `config/ablations.tsv`, in its order.

    columns: the first table of `dimofs actions evaluate-columns`. Columns: column, dimofs_training, optical_flow,
    inflated_3d (yes or no), delta (empty for the inflated network, which sees no pair), paper_map, map, ci_low,
    ci_high, n_frames, seeds, sd (the standard deviation over seeds, empty for one).

    Raises DatasetError when a row of the ablations was not scored.
    """
    scored = columns.assign(column=columns["column"].astype(str)).set_index("column")
    missing = [column.name for column in ablations if column.name not in scored.index]
    if missing:
        raise DatasetError(f"columns.csv: no value for column {', '.join(missing)} of the ablations; evaluate again")
    rows = [
        (
            column.name,
            _yes_no(column.dimofs_training),
            _yes_no(column.training.motion == "flow"),
            _yes_no(column.training.inflated_3d),
            column.delta,
            column.paper_map,
            *scored.loc[column.name, ["map", "ci_low", "ci_high", "n_frames", *_SPREAD]],
        )
        for column in ablations
    ]
    names = ["column", "dimofs_training", "optical_flow", "inflated_3d", "delta", "paper_map"]
    table = pd.DataFrame(rows, columns=[*names, "map", "ci_low", "ci_high", "n_frames", *_SPREAD])
    return table.astype({"delta": "Int64", "n_frames": int, "seeds": int})


def table3_differences(differences: pd.DataFrame) -> pd.DataFrame:
    """Say what each difference between columns of Table 3 isolates.

    differences: the second table of `dimofs actions evaluate-columns`. Columns: difference (`6 − 4`), meaning,
    paper_difference, map_difference, ci_low, ci_high, seeds, sd. A column named `3 (frozen)` has the meaning of
    column 3, with the reading that its name gives.
    """
    table = differences.rename(columns={"difference": "map_difference"})
    pairs = list(zip(table["minuend"].astype(str), table["subtrahend"].astype(str), strict=True))
    table["difference"] = [f"{minuend} − {subtrahend}" for minuend, subtrahend in pairs]
    table["meaning"] = [_meaning(minuend, subtrahend) for minuend, subtrahend in pairs]
    return table[["difference", "meaning", "paper_difference", "map_difference", "ci_low", "ci_high", *_SPREAD]]


def table4(rows: Sequence[Row], accuracy: pd.DataFrame, costs: pd.DataFrame) -> pd.DataFrame:
    """Make Table 4, accuracy on dives: a row for each row of `config/recognition.tsv`, in its order, then the controls.

    accuracy: the first table of `dimofs recognition evaluate`. costs: name, parameters, gflops_per_video,
    seconds_per_video of every row but fusion, whose cost is that of both its parts. Columns: model, dims (2D or 3D),
    pretraining (the paper's), paper_accuracy, accuracy, ci_low, ci_high, class_mean (percent), parameters,
    gflops_per_video, seconds_per_video. Controls have no paper_accuracy and no cost.

    Raises DatasetError when a row was not judged, or its cost not measured once.
    """
    judged = accuracy.set_index("name")
    if costs["name"].duplicated().any():
        raise DatasetError(
            f"costs: {costs['name'][costs['name'].duplicated()].iloc[0]} stands twice; measure them again"
        )
    measured = costs.set_index("name")[_COSTS]
    if set(_FUSED) <= set(measured.index):
        measured.loc["fusion"] = measured.loc[list(_FUSED)].sum()
    for what, table in (("accuracy", judged), ("cost", measured)):
        missing = [row.name for row in rows if row.name not in table.index]
        if missing:
            raise DatasetError(f"no {what} of {', '.join(missing)}; run chapter recognition again")
    found = ["accuracy", "ci_low", "ci_high", "class_mean"]
    lines = [
        (
            row.model,
            row.dims,
            row.pretraining,
            row.paper_accuracy,
            *judged.loc[row.name, found],
            *measured.loc[row.name],
        )
        for row in rows
    ]
    lines += [
        (model, None, None, None, *judged.loc[name, found], None, None, None)
        for name, model in CONTROL_NAMES.items()
        if name in judged.index
    ]
    names = ["model", "dims", "pretraining", "paper_accuracy", *found, *_COSTS]
    return pd.DataFrame(lines, columns=names).astype({"parameters": "Int64"})


def motion_table(quantities: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """Make the table of motion: the figures of merit over δ, each with what it means. The paper has no such numbers.

    quantities: the table of `dimofs motion evaluate`. dataset: what it is on. Columns: quantity, meaning, unit, method,
    against (what a difference or correlation is with; empty for a value), delta, value, ci_low, ci_high, pairs, videos,
    dataset.
    """
    table = quantities.copy()
    table.insert(1, "meaning", [MOTION_MEANINGS[quantity][0] for quantity in table["quantity"]])
    table.insert(2, "unit", [MOTION_MEANINGS[quantity][1] for quantity in table["quantity"]])
    return table.assign(dataset=dataset)


def sweep_table(average_precision: pd.DataFrame, differences: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """Make the table of a δ-sweep: the mean mAP of every method at every δ, and its change against the baseline.

    average_precision, differences: the two tables of `dimofs pose evaluate`. dataset: what they are on. Columns: method
    (single_frame, copy, dimofs), delta, ap, ci_low, ci_high, change (against the single-frame baseline, which has
    none), change_ci_low, change_ci_high (paired), n_frames, n_videos, dataset, seeds, sd.
    """
    mean = average_precision[average_precision["joint"] == "mean"]
    change = differences.query("joint == 'mean' and subtrahend == 'single_frame'").rename(
        columns={
            "minuend": "method", "minuend_delta": "delta", "difference": "change",
            "ci_low": "change_ci_low", "ci_high": "change_ci_high",
        }
    )  # fmt: skip
    changes = ["change", "change_ci_low", "change_ci_high"]
    table = mean.merge(change[["method", "delta", *changes]], "left", ["method", "delta"]).assign(dataset=dataset)
    return table[["method", "delta", "ap", *_OURS[:2], *changes, *_OURS[2:], "dataset", *_SPREAD]]


def _yes_no(tick: bool) -> str:
    return "yes" if tick else "no"


def _meaning(minuend: str, subtrahend: str) -> str:
    readings = sorted({column.partition(" ")[2] for column in (minuend, subtrahend)} - {""})
    return " ".join([MEANINGS[f"{minuend.split()[0]}-{subtrahend.split()[0]}"], *readings])


def _paper_gain(joint: str) -> float:
    return round(paper_value("table1", "dimofs", joint) - paper_value("table1", "single_frame", joint), 1)
