"""The report: everything a run has made as one page that opens from the file system, for whoever reads it.

The page holds its pictures, loads nothing and runs no script. What a run has not made is left out, with a sentence in
its place. The words and the looks are in `report.html.jinja` beside this module; here the numbers are prepared.
"""

import base64
import json
import math
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from dimofs.config import load_config
from dimofs.datasets.manifest import dataset_root
from dimofs.datasets.posetrack import read_posetrack18
from dimofs.datasets.records import DatasetError
from dimofs.io import replacing
from dimofs.metrics import POSE_COLUMNS
from dimofs.paper.claims import VERDICTS, bounds, in_words, paper_claims
from dimofs.paper.samples import Sample, sample_detections
from dimofs.paper.wording import decimals, number, short

_JOINTS = {
    "head": "Head",
    "shou": "Shoulders",
    "elbo": "Elbows",
    "wri": "Wrists",
    "hip": "Hips",
    "knee": "Knees",
    "ank": "Ankles",
    "mean": "Mean of 15 joints",
}
_METHODS = {"single_frame": "Single-frame baseline", "dimofs": "DiMoFs", "difference": "Gain"}
_MOTIONS = {
    "read_out": "read-out of DiMoFs",
    "farneback": "Farnebäck flow",
    "farneback_opencv": "Farnebäck (OpenCV)",
    "dis": "DIS flow",
    "zero": "no motion",
    "exact": "the exact motion",
    "saliency_of_sum": "magnitude of the sum",
    "saliency_of_magnitudes": "sum of magnitudes",
    "channels": "offsets",
}
_MOTION_DELTAS = (1, 5, 10)
_DIVES = {
    "rendered": "embedded data, Diving48 layout",
    "archives": "Diving48",
    "footage": "embedded data, Diving48 layout",
}
_FIGURES = {
    "figure3": "Figure 3. What the offsets show of motion, beside optical flow and, of drawn people, exact motion.",
    "figure6": "Figure 6. Poses of Frame A found in the features of Frame B, δ frames away.",
    "figure7": "Figure 7. Actions recognised from two frames, δ apart.",
    "training_curves": "How the pose networks learned. The paper shows no such figure.",
}
_PACKAGES = ("dimofs", "torch", "torchvision", "numpy", "scipy", "pandas", "opencv-python", "snakemake", "dvc")
_SAMPLES = 4

# Panels of the δ-curves: units of their viewBox.
_PANEL_WIDTH, _PANEL_HEIGHT = 220.0, 130.0
_PANEL_LEFT, _PANEL_RIGHT, _PANEL_TOP, _PANEL_BOTTOM = 34.0, 214.0, 8.0, 108.0


@dataclass(frozen=True)
class Mark:
    """A value with its interval on an axis: positions in percent of the axis, None for what there is not."""

    value: float
    low: float
    high: float
    zero: float | None
    paper: float | None
    region: tuple[float, float] | None  #: where a claim holds


@dataclass(frozen=True)
class Panel:
    """The δ-curves of one group of joints, as SVG path data."""

    joint: str
    dimofs: str
    dimofs_band: str
    copy: str
    copy_band: str
    level: float  #: y of the single-frame baseline


def write_report(
    results: Path,
    config: Path,
    benchmarks: Path,
    dataset: Path,
    pose_data: str,
    action_data: str,
    out: Path,
) -> None:
    """Write the page about a run.

    results: folder with the tables and figures of the chapters, each of which may be missing. config: the scenario's
    config.yaml. benchmarks: folder of Snakemake's benchmark files, may be missing. dataset: manifest of the pose data,
    whose frames the sample detections are drawn on; may be missing. pose_data, action_data: what our values are on.

    Raises ConfigError or DatasetError for input that is there and cannot be used.
    """
    settings = load_config(config)
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters |= {"number": number, "short": short, "duration": duration}
    template = environment.from_string(files(__package__).joinpath("report.html.jinja").read_text(encoding="utf-8"))
    times = job_times(benchmarks)
    page = template.render(
        confidence=round(100 * settings.paper.confidence),
        resamples=settings.paper.resamples,
        seed=settings.seed,
        seeds=settings.seeds,
        pose_data=pose_data,
        action_data=action_data,
        verdicts=VERDICTS,
        ledger=_ledger(_table(results / "claims.csv")),
        table1=_table1(_table(results / "table1.csv")),
        table2=_table2(_table(results / "table2.csv")),
        motion=_motion(_table(results / "motion.csv")),
        table3=_table3(_table(results / "table3.csv")),
        differences=_differences(_table(results / "table3_differences.csv")),
        table4=_table4(_table(results / "table4.csv")),
        dive_data=_DIVES[settings.datasets.source],
        figures={name: _figure(results / f"{name}.png", caption) for name, caption in _FIGURES.items()},
        panels=_panels(_table(results / "pose/average_precision.csv")),
        samples=[_embedded(sample) for sample in _samples(results / "pose/dimofs.parquet", dataset)],
        config=config.read_text(encoding="utf-8"),
        jobs=_rows(times),
        chapters=_rows(_chapters(times)),
        total=times[["wall", "processor"]].sum().to_dict(),
        versions=_versions(),
        machine=machine(),
    )
    with replacing(out) as temporary:
        temporary.write_text(page, encoding="utf-8")


def job_times(benchmarks: Path) -> pd.DataFrame:
    """Read Snakemake's benchmark files (jsonl), the last record of each.

    Columns: job (chapter/file), wall and processor (seconds), memory (peak, MB); NaN where a job was too short to be
    measured. Raises DatasetError for a file that is no such record.
    """
    rows = []
    for path in sorted(benchmarks.rglob("*.jsonl")):
        try:
            record = json.loads(path.read_text(encoding="utf-8").splitlines()[-1])
            values = [_measured(record[key]) for key in ("s", "cpu_time", "max_rss")]
        except (IndexError, KeyError, TypeError, ValueError) as error:
            raise DatasetError(f"{path}: is no benchmark of Snakemake ({error!r}); remove it and run again") from error
        rows.append((path.relative_to(benchmarks).with_suffix("").as_posix(), *values))
    return pd.DataFrame(rows, columns=["job", "wall", "processor", "memory"])


def machine() -> dict[str, str]:
    """Name the machine that this runs on: processor, cores, memory, system, Python."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        processor = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        processor = platform.processor() or platform.machine()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    facts = {"Processor": processor, "Cores": str(cores)}
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        facts["Memory"] = f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GB"
    return facts | {"System": f"{platform.system()} {platform.release()}", "Python": platform.python_version()}


def duration(seconds: float) -> str:
    """Write a time as people say it: "48 s", "12 min 5 s", "1 h 3 min"; a dash where it was not measured."""
    if math.isnan(seconds):
        return "–"
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min"


def marks(
    rows: Sequence[tuple[float, float, float]],
    papers: Sequence[float],
    zero: bool,
    region: tuple[float, float] | None = None,
) -> list[Mark | None]:
    """Place rows (value, low, high) and the paper's values (NaN: none) on one axis that holds them all.

    zero: whether the axis holds 0 and shows it. region: values at which a claim holds; an infinite end is the axis's.
    A row without a value or interval has no mark.
    """
    shown = [x for row in rows for x in row] + list(papers) + list(region or ()) + ([0.0] if zero else [])
    finite = [x for x in shown if math.isfinite(x)]
    if not finite:
        return [None] * len(rows)
    middle, half = (min(finite) + max(finite)) / 2, 0.56 * (max(finite) - min(finite)) or 1.0

    def place(x: float) -> float:
        return round(min(max(50 + 50 * (x - middle) / half, 0), 100), 2)

    ends = (place(region[0]), place(region[1])) if region else None
    return [
        None
        if any(math.isnan(x) for x in row)
        else Mark(
            place(row[0]),
            place(row[1]),
            place(row[2]),
            place(0) if zero else None,
            None if math.isnan(paper) else place(paper),
            ends,
        )
        for row, paper in zip(rows, papers, strict=True)
    ]


def _table(path: Path) -> pd.DataFrame | None:
    if not path.is_file():
        return None
    try:
        return pd.read_csv(path)
    except ValueError as error:
        raise DatasetError(f"{path}: cannot be read as a table ({error}); make it again") from error


def _ledger(table: pd.DataFrame | None) -> dict[str, Any] | None:
    """Join the verdicts with what each claim is tested for, and count them."""
    if table is None:
        return None
    claims = {claim.id: claim for claim in paper_claims()}
    unknown = sorted(set(table["claim"]) - claims.keys())
    if unknown:
        raise DatasetError(f"claims.csv: claim {unknown[0]} is not in claims.yaml; make the ledger again")
    entries = []
    for row in _rows(table):
        values = (row["measured"], row["ci_low"], row["ci_high"])
        claim = claims[row["claim"]]
        digits = max(decimals(values), 1)
        (mark,) = marks([values], [row["paper"]], zero=False, region=bounds(claim))
        entries.append({**row, "test": in_words(claim), "mark": mark, "digits": digits})
    counts = {verdict: int((table["verdict"] == verdict).sum()) for verdict in VERDICTS}
    return {"entries": entries, "counts": counts}


def _table1(table: pd.DataFrame | None) -> list[dict[str, Any]] | None:
    """Turn Table 1 to a row for each group of joints, with both methods and the gain beside each other."""
    if table is None:
        return None
    rows = {}
    for method in ("single_frame", "dimofs", "difference"):
        by_joint = table[table["method"] == method].set_index("joint").loc[list(POSE_COLUMNS)]
        rows[method] = _records(by_joint, "ap", list(by_joint["paper_ap"]), zero=method == "difference")
    return [
        {"joint": _JOINTS[joint], **{method: rows[method][i] for method in rows}}
        for i, joint in enumerate(POSE_COLUMNS)
    ]


def _table2(table: pd.DataFrame | None) -> dict[str, Any] | None:
    """Show Table 2 as it is; values and gains have an axis each, with the paper's mean beside ours of the same way."""
    if table is None:
        return None
    paper = table[table["source"] == "paper"].set_index("method")["mean"]
    rows = []
    for gain, part in table.groupby(table["method"].str.startswith("difference"), sort=True):
        beside = [paper.get(method, math.nan) for method in part["method"]]
        rows += [
            {**row, "name": _method(row["method"]), "sign": "+" if gain else ""}
            for row in _records(part, "mean", beside, zero=bool(gain))
        ]
    columns = [(column, _JOINTS[column]) for column in POSE_COLUMNS if column in table]
    return {"columns": columns, "rows": rows}


def _method(name: str) -> str:
    """Write "dimofs, detect_and_track, filtered" as a reader would."""
    method, _, way = name.partition(", ")
    return ", ".join([_METHODS.get(method, method), *([way.replace("_", " ")] if way else [])])


def _motion(table: pd.DataFrame | None) -> dict[str, Any] | None:
    """Show the figures of merit of motion at a few δ: everything but gains and differences, by what it means."""
    if table is None or table.empty:
        return None
    table = table.fillna({"against": ""})
    table = table[(table["against"] == "") | (table["quantity"] == "correlation")]
    deltas = [delta for delta in _MOTION_DELTAS if delta in set(table["delta"])] or [int(table["delta"].max())]
    groups: dict[str, list[dict[str, Any]]] = {}
    for _, of_one in table.groupby(["quantity", "method", "against"], sort=False):
        first, by_delta = of_one.iloc[0], {row["delta"]: row for row in _rows(of_one)}
        name = f"with {_MOTIONS[first['against']]}" if first["against"] else _MOTIONS[first["method"]]
        what = f"{first['meaning']}, {first['unit']}" if first["unit"] != "1" else first["meaning"]
        groups.setdefault(what, []).append({"name": name, "cells": [by_delta.get(delta) for delta in deltas]})
    return {"deltas": deltas, "groups": groups}


def _table3(table: pd.DataFrame | None) -> list[dict[str, Any]] | None:
    return None if table is None else _records(table, "map", list(table["paper_map"]), zero=False)


def _differences(table: pd.DataFrame | None) -> list[dict[str, Any]] | None:
    return None if table is None else _records(table, "map_difference", list(table["paper_difference"]), zero=True)


def _table4(table: pd.DataFrame | None) -> list[dict[str, Any]] | None:
    """Show Table 4 with weights in millions; a control has no paper's value and no cost."""
    if table is None:
        return None
    table = table.assign(millions=table["parameters"] / 1e6, control=table["paper_accuracy"].isna())
    return _records(
        table.fillna({"dims": "", "pretraining": ""}), "accuracy", list(table["paper_accuracy"]), zero=False
    )


def _records(table: pd.DataFrame, value: str, papers: Sequence[float], zero: bool) -> list[dict[str, Any]]:
    """Give the rows of a table, each with the mark of its value and interval beside the paper's value."""
    rows = _rows(table)
    placed = marks([(row[value], row["ci_low"], row["ci_high"]) for row in rows], papers, zero)
    return [{**row, "mark": mark} for row, mark in zip(rows, placed, strict=True)]


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): cell for name, cell in row.items()} for row in table.to_dict("records")]


def _panels(table: pd.DataFrame | None) -> dict[str, Any] | None:
    """Draw average precision over δ for each group of joints, all on the same axes; None for a sweep of one δ."""
    if table is None or table["delta"].nunique() < 2:
        return None
    first, last = int(table["delta"].min()), int(table["delta"].max())
    top = 10 * math.ceil(max(table["ci_high"].max(), 1) / 10)

    def x(delta: float) -> float:
        return round(_PANEL_LEFT + (_PANEL_RIGHT - _PANEL_LEFT) * (delta - first) / (last - first), 2)

    def y(ap: float) -> float:
        return round(_PANEL_BOTTOM - (_PANEL_BOTTOM - _PANEL_TOP) * ap / top, 2)

    def path(points: Sequence[tuple[float, float]]) -> str:
        return "M" + "L".join(f"{x(delta)},{y(ap)}" for delta, ap in points)

    panels = []
    for joint, rows in table.groupby("joint", sort=False):
        drawn = {}
        for method in ("dimofs", "copy"):
            curve = rows[rows["method"] == method].sort_values("delta")
            lower, upper = (list(zip(curve["delta"], curve[bound], strict=True)) for bound in ("ci_low", "ci_high"))
            drawn[method] = path(list(zip(curve["delta"], curve["ap"], strict=True)))
            drawn[f"{method}_band"] = path(upper + lower[::-1]) + "Z"
        level = y(rows.loc[rows["method"] == "single_frame", "ap"].item())
        panels.append(Panel(_JOINTS[str(joint)], **drawn, level=level))
    ticks = sorted({first, 0, last} if first <= 0 <= last else {first, last})
    return {
        "panels": panels,
        "width": _PANEL_WIDTH,
        "height": _PANEL_HEIGHT,
        "left": _PANEL_LEFT,
        "right": _PANEL_RIGHT,
        "x": [(x(delta), number(delta, "+", 0)) for delta in ticks],
        "y": [(y(ap), number(ap, digits=0)) for ap in (0, top / 2, top)],
    }


def _figure(path: Path, caption: str) -> dict[str, str] | None:
    return {"uri": _uri(path.read_bytes(), "png"), "caption": caption} if path.is_file() else None


def _samples(detections: Path, dataset: Path) -> list[Sample]:
    if not (detections.is_file() and dataset.is_file()):
        return []
    columns = ["video", "frame", "delta", "score", "joints"]
    return sample_detections(
        read_posetrack18(dataset_root(dataset)), pd.read_parquet(detections, columns=columns), _SAMPLES
    )


def _embedded(sample: Sample) -> Mapping[str, Any]:
    uris = {name: _uri(getattr(sample, name), "jpeg") for name in ("from_a", "from_b", "b")}
    return {"video": sample.video, "frame_a": sample.frame_a, "frame_b": sample.frame_b, **uris}


def _uri(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _versions() -> dict[str, str]:
    """Give the versions of what computes, of those that are installed."""
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _chapters(times: pd.DataFrame) -> pd.DataFrame:
    """Sum the times of each chapter, in the order in which jobs are listed; memory is the largest job's."""
    chapter = times["job"].astype(str).str.split("/").str[0].rename("chapter")
    sums = {
        "jobs": ("job", "size"),
        "wall": ("wall", "sum"),
        "processor": ("processor", "sum"),
        "memory": ("memory", "max"),
    }
    return times.groupby(chapter, sort=False).agg(**sums).reset_index()


def _measured(value: float | str | None) -> float:
    return math.nan if value is None or value in ("NA", "-") else float(value)
