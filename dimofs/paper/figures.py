"""Figures 6 and 7: our curves with interval bands, the paper's stated values as open diamonds.

The paper prints few values of its curves, and they are on real PoseTrack17 and JHMDB: they are named as the paper's and
never joined to a curve. Colours are Okabe and Ito's, which the colour-blind tell apart, and every curve has its own
marker for print in grey. A file depends on the input alone: it holds no date and the font that matplotlib ships.
"""

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import Any, NamedTuple

import pandas as pd
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, MultipleLocator

from dimofs.io import replacing
from dimofs.paper.reference import paper_value
from dimofs.paper.wording import number

_BLUE, _PURPLE, _VERMILION, _GREEN, INK, GREY = "#0072B2", "#CC79A7", "#D55E00", "#009E73", "#222222", "#666666"
STYLE: list[Any] = [
    "default",
    {
        "font.family": "DejaVu Sans",
        "font.size": 9,
        "text.color": INK,
        "axes.axisbelow": True,
        "axes.edgecolor": GREY,
        "axes.labelcolor": INK,
        "axes.linewidth": 0.7,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "grid.color": "#e8e8e8",
        "grid.linewidth": 0.6,
        "lines.linewidth": 1.6,
        "lines.markersize": 3.6,
        "xtick.color": GREY,
        "xtick.labelcolor": INK,
        "ytick.color": GREY,
        "ytick.labelcolor": INK,
        "pdf.fonttype": 42,
    },
]

#: Trainings of `config/ablations.tsv` in Figure 7: name, colour, marker, and their columns of Table 3 by δ.
_TRAININGS: dict[str, tuple[str, str, str, dict[int, str]]] = {
    "dimofs": ("DiMoFs training", _BLUE, "o", {0: "4", 10: "6"}),
    "control": ("no DiMoFs training", _VERMILION, "s", {0: "2", 10: "3"}),
    "control_frozen": ("the same, offsets frozen", _PURPLE, "^", {}),
    "flow": ("optical flow", _GREEN, "v", {10: "5"}),
}


class _Entry(NamedTuple):
    """A curve in the panel at the side: its name, the look of its line, and rows of (label, our value, the paper's)."""

    name: str
    look: dict[str, Any]
    rows: Sequence[tuple[str, str, str]]


@style.context(STYLE)
def figure6(average_precision: pd.DataFrame, differences: pd.DataFrame, dataset: str) -> Figure:
    """Draw pose mAP over δ: DiMoFs and the copy baseline with their bands, the single-frame baseline as a level line.

    average_precision, differences: the two tables of `dimofs pose evaluate`. dataset: what our values are on. The panel
    lists the changes against the single-frame baseline that §6.1 names, with their paired intervals.
    """
    mean = average_precision[average_precision["joint"] == "mean"].sort_values("delta")
    changes = differences.query("joint == 'mean' and subtrahend == 'single_frame'")
    changes = changes.set_index(["minuend", "minuend_delta"])
    baseline = mean[mean["method"] == "single_frame"].iloc[0]
    first, last = int(mean["delta"].min()), int(mean["delta"].max())
    figure, axes, panel = _canvas("pose mAP (%, PCKh@0.5)", bottom=0.122)

    axes.fill_between([first, last], baseline["ci_low"], baseline["ci_high"], color=INK, alpha=0.1, linewidth=0)
    level: dict[str, Any] = {"color": INK, "linewidth": 1.1, "linestyle": (0, (5, 2.2))}
    axes.plot([first, last], [baseline["ap"]] * 2, **level)
    paper_level = paper_value("table1", "single_frame", "mean")
    _draw_paper(axes, {0: paper_level}, INK, first, last)
    entries = [_Entry("single-frame baseline", level, [("mAP", _interval(baseline, "ap"), number(paper_level))])]
    for method, name, colour, marker in (
        ("copy", "detections copied from B", _PURPLE, "s"),
        ("dimofs", "DiMoFs", _BLUE, "o"),
    ):
        curve = mean[mean["method"] == method]
        look = _draw_curve(axes, curve, "ap", colour, marker)
        drop, at_ten = paper_value("figure6", method, "drop_at_10"), paper_value("figure6", method, "ap_at_10")
        paper_changes, paper_map = {-10: drop, 10: drop}, {-10: at_ten, 10: at_ten}
        if method == "dimofs":
            paper_changes[0] = paper_value("table1", "difference", "mean")
            paper_map[0] = paper_value("table1", "dimofs", "mean")
        _draw_paper(axes, paper_map, colour, first, last)
        rows = []
        for delta in sorted({first, *paper_changes, last} & set(curve["delta"])):
            paper = number(paper_changes[delta], "+") if delta in paper_changes else ""
            change = _interval(changes.loc[(method, delta)], "difference", "+")
            rows.append((f"δ = {number(delta, '+', 0)}", change, paper))
        entries.insert(0, _Entry(name, look, rows))

    axes.set(xlabel="δ at test time (frames from A to B)", xlim=(first - 0.4, last + 0.4), ylim=(0, None))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 5, 10]))
    axes.xaxis.set_minor_locator(MultipleLocator(1))
    _draw_panel(
        panel,
        entries,
        "on PoseTrack17 val; at δ = ±10 by its stated drop below its single-frame baseline",
        f"Ours: {dataset}; {baseline['n_videos']} videos, {baseline['n_frames']} labelled frames. Beside δ: change "
        "against the single-frame baseline. Bands and brackets: bootstrap over "
        f"{_drawn('videos', mean)}, paired for the changes. Where A + δ leaves the video, B is its first or last "
        f"frame: {100 * mean['clamped_fraction'].max():.0f} % of the pairs at most.",
    )
    return figure


@style.context(STYLE)
def figure7(sweep: pd.DataFrame, dataset: str) -> Figure:
    """Draw action frame-mAP over δ for every swept training with its band, and below how many pairs were clamped.

    sweep: the table of `dimofs actions evaluate-sweep`. dataset: what our values are on. The ring marks each curve's
    peak; the panel lists the values at the peak and where Table 3 has the paper's.
    """
    deltas = sorted(int(delta) for delta in sweep["delta"].unique())
    figure, axes, panel = _canvas("frame-mAP (%, IoU 0.5)", bottom=0.235)
    entries: list[_Entry] = []
    spare = [(_PURPLE, "P"), (_GREEN, "X"), (INK, "D")]
    for training in sorted(sweep["training"].unique(), key=lambda name: (name != "dimofs", name)):
        curve = sweep[sweep["training"] == training].sort_values("delta").set_index("delta", drop=False)
        name, colour, marker, columns = _TRAININGS.get(training, (training, *spare[len(entries) % 3], {}))
        look = _draw_curve(axes, curve, "map", colour, marker)
        paper = {delta: paper_value("table3", column, "map") for delta, column in columns.items()}
        _draw_paper(axes, paper, colour, deltas[0], deltas[-1])
        peak = int(curve["map"].idxmax())
        axes.plot(peak, curve.loc[peak, "map"], "o", markersize=9, markerfacecolor="none", markeredgecolor=colour)
        rows = [
            (f"δ = {delta}", _interval(curve.loc[delta], "map"), number(paper[delta]) if delta in paper else "")
            for delta in sorted({0, *paper} & set(deltas))
        ]
        rows.append((f"peak at δ = {peak}", _interval(curve.loc[peak], "map"), ""))
        entries.append(_Entry(name, look, rows))

    paper_peak = paper_value("figure7", "dimofs", "peak_delta")
    if deltas[0] <= paper_peak <= deltas[-1]:
        axes.axvline(paper_peak, color=GREY, linewidth=0.9, linestyle=":", zorder=0)
        axes.annotate(
            "the paper's peak",
            (paper_peak, 0.015),
            (4, 0),
            xycoords=axes.get_xaxis_transform(),
            textcoords="offset points",
            color=GREY,
            fontsize=7,
        )
    pairs = sweep.drop_duplicates("delta").sort_values("delta")
    left, _, width, _ = axes.get_position().bounds
    strip = figure.add_axes((left, 0.122, width, 0.075), sharex=axes)
    strip.fill_between(pairs["delta"], 0, 100 * pairs["clamped_fraction"], color=GREY, alpha=0.35, linewidth=0)
    strip.text(
        0.012, 0.92, "pairs with B clamped to the clip's end (%)", transform=strip.transAxes, va="top", fontsize=7
    )
    strip.set(ylim=(0, 100), yticks=[0, 100], xlabel="δ at test time (frames from A to B)")
    strip.tick_params(axis="y", labelsize=7)
    axes.tick_params(labelbottom=False)
    axes.set_xlim(deltas[0] - 0.8, deltas[-1] + 0.8)
    furthest = pairs.iloc[-1]
    _draw_panel(
        panel,
        entries,
        "on JHMDB split 1; it states where the peak of its DiMoFs training is, not how high",
        f"Ours: {dataset}; {furthest['n_frames']} frames. Bands and brackets: bootstrap over {_drawn('clips', sweep)}. "
        f"Where A + δ leaves the clip, B is its last frame: at δ = {deltas[-1]} B is "
        f"{furthest['mean_effective_delta']:.1f} frames away on average.",
    )
    return figure


@style.context(STYLE)
def training_curves(
    still: Sequence[pd.DataFrame], single_frame: Sequence[pd.DataFrame], dimofs: Sequence[pd.DataFrame], dataset: str
) -> Figure:
    """Draw how the pose networks learn: mAP at δ = 0 on unseen videos over optimiser steps.

    still, single_frame, dimofs: the curves of `dimofs pretrain`, one for each seed, columns step and val_map (empty
    between validations). dataset: what they are validated on. The two networks start where the still-image
    initialisation ends, at step 0. Of several seeds each is a thin line and their mean a thick one.
    """
    figure = Figure(figsize=(7.2, 3.4), layout="constrained")
    axes = figure.add_subplot(xlabel="optimiser steps after the still-image initialisation")
    axes.set_ylabel("mAP at δ = 0 (%)")
    axes.grid(axis="y")
    initial = [values.set_axis(values.index - values.index[-1]) for values in map(_validated, still)]
    _draw_learning(axes, initial, GREY, "v", "still images, where both start: {}")
    for name, curves, colour, marker in (
        ("single frame", single_frame, _VERMILION, "s"),
        ("DiMoFs", dimofs, _BLUE, "o"),
    ):
        learned = [pd.concat([first[-1:], _validated(curve)]) for first, curve in zip(initial, curves, strict=True)]
        _draw_learning(axes, learned, colour, marker, f"{name}: {{}} at the end")
    axes.legend(frameon=False, loc="lower right")
    axes.set_title(f"Unseen videos of the {dataset}", loc="left", fontsize=9, color=GREY)
    return figure


def save(figure: Figure, pdf: Path, png: Path) -> None:
    """Write a figure as PDF (vectors, text as text) and as PNG (200 dots an inch); equal figures give equal bytes."""
    with style.context(STYLE):
        with replacing(pdf) as temporary:
            figure.savefig(temporary, metadata={"CreationDate": None})
        with replacing(png) as temporary:
            figure.savefig(temporary, dpi=200, metadata={"Software": None})


def _canvas(ylabel: str, bottom: float) -> tuple[Figure, Axes, Axes]:
    """Make an empty figure of a text's width: axes for the curves and a panel at their right."""
    figure = Figure(figsize=(7.2, 3.9))
    axes = figure.add_axes((0.07, bottom, 0.55, 0.98 - bottom))
    axes.set_ylabel(ylabel)
    axes.grid(axis="y")
    panel = figure.add_axes((0.648, 0, 0.345, 1))
    panel.set(xlim=(0, 1), ylim=(0, 1))
    panel.axis("off")
    return figure, axes, panel


def _draw_curve(axes: Axes, curve: pd.DataFrame, value: str, colour: str, marker: str) -> dict[str, Any]:
    """Draw a curve over its interval band and return how its line looks."""
    look: dict[str, Any] = {"color": colour, "marker": marker}
    axes.fill_between(curve["delta"], curve["ci_low"], curve["ci_high"], color=colour, alpha=0.2, linewidth=0)
    axes.plot(curve["delta"], curve[value], **look)
    return look


def _validated(curve: pd.DataFrame) -> pd.Series:
    """Give the mAP of a training curve by step."""
    return curve.dropna(subset="val_map").set_index("step")["val_map"]


def _draw_learning(axes: Axes, curves: Sequence[pd.Series], colour: str, marker: str, label: str) -> None:
    """Draw the mean of curves and, where there are several, each as a thin line; the label takes the last mean."""
    for curve in curves if len(curves) > 1 else ():
        axes.plot(curve.index, curve, color=colour, linewidth=0.5)
    mean = pd.concat(curves, axis=1).mean(axis=1)
    axes.plot(mean.index, mean, color=colour, marker=marker, label=label.format(number(mean.iloc[-1])))


def _drawn(units: str, table: pd.DataFrame) -> str:
    """Say what a resample draws: videos or clips, and seeds where there are several."""
    seeds = int(table["seeds"].iloc[0])
    return f"{units} and {seeds} seeds" if seeds > 1 else units


def _draw_paper(axes: Axes, values: dict[int, float], colour: str, first: int, last: int) -> None:
    """Draw those of the paper's values whose δ is on the axis."""
    inside = {delta: value for delta, value in values.items() if first <= delta <= last}
    axes.plot(list(inside), list(inside.values()), **_diamond(colour), zorder=5)


def _diamond(colour: str) -> dict[str, Any]:
    face = {"markerfacecolor": "white", "markeredgecolor": colour, "markeredgewidth": 1.2}
    return {"linestyle": "none", "marker": "D", "markersize": 5.2, **face}


def _draw_panel(panel: Axes, entries: Sequence[_Entry], about_paper: str, about_ours: str) -> None:
    """Write the key and the numbers: a block for each curve, ours and the paper's in columns of their own."""
    small: dict[str, Any] = {"va": "center", "fontsize": 7.5}
    ours, paper, step, y = 0.8, 1.0, 0.044, 0.96
    panel.text(ours, y, "ours", ha="right", color=GREY, **small)
    panel.text(paper, y, "paper", ha="right", color=GREY, **small)
    for entry in entries:
        y -= step
        panel.plot([0, 0.05, 0.1], [y] * 3, **entry.look, markevery=[1])
        panel.text(0.13, y, entry.name, va="center", weight="bold", color=entry.look["color"])
        for label, value, stated in entry.rows:
            y -= step
            panel.text(0.03, y, label, **small)
            panel.text(ours, y, value, ha="right", **small)
            panel.text(paper, y, stated, ha="right", color=GREY, **small)
        y -= 0.5 * step
    y -= step
    panel.plot([0.05], [y], **_diamond(GREY))
    panel.text(0.13, y, "the paper", va="center", weight="bold", color=GREY)
    panel.text(0.03, y - 0.7 * step, fill(about_paper, 46), va="top", fontsize=7, color=GREY, linespacing=1.3)
    panel.text(0.03, 0.025, fill(about_ours, 46), va="bottom", fontsize=7, color=GREY, linespacing=1.3)


def _interval(row: Any, value: str, sign: str = "") -> str:
    low, high = number(row["ci_low"], sign), number(row["ci_high"], sign)
    return f"{number(row[value], sign)} [{low}, {high}]"
