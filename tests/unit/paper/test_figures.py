import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex

from dimofs.motion.examples import Example
from dimofs.paper.figure3 import RULE, figure3
from dimofs.paper.figures import figure6, figure7, save, training_curves

WIDE, NARROW = tuple(range(-10, 11)), (-2, -1, 0, 1, 2)


def pose_tables(deltas=WIDE):
    single = [("single_frame", 0, 68.0)]
    curves = [(m, d, 68 - k * abs(d)) for m, k in (("copy", 6.0), ("dimofs", 0.6)) for d in deltas]
    table = pd.DataFrame(
        [(m, d, joint, ap, ap - 2, ap + 3, 864, 24) for m, d, ap in single + curves for joint in ("head", "mean")],
        columns=["method", "delta", "joint", "ap", "ci_low", "ci_high", "n_frames", "n_videos"],
    )
    table["clamped_fraction"] = table["delta"].abs() / 120
    table["seeds"] = 1
    differences = pd.DataFrame(
        [(m, d, "single_frame", 0, "mean", ap - 68, ap - 70, ap - 67) for m, d, ap in curves]
        + [("dimofs", d, "copy", d, "mean", 1.0, 0.0, 2.0) for d in deltas],
        columns=[
            "minuend",
            "minuend_delta",
            "subtrahend",
            "subtrahend_delta",
            "joint",
            "difference",
            "ci_low",
            "ci_high",
        ],
    )
    return table, differences


def sweep(deltas=tuple(range(0, 41, 2)), trainings=("control", "dimofs")):
    rows = [
        (t, d, 50 - i - abs(d - 14) / 4, 45.0, 55.0, 4704, min(d / 40, 1), d * (1 - d / 60))
        for i, t in enumerate(trainings)
        for d in deltas
    ]
    names = ["training", "delta", "map", "ci_low", "ci_high", "n_frames", "clamped_fraction", "mean_effective_delta"]
    return pd.DataFrame(rows, columns=names).assign(seeds=1)


def examples(count=3, exact=True, height=24):
    """Pairs in which all moves to the right, from slow to fast."""
    size = (height, 32)
    frame = np.full((*size, 3), 90, np.uint8)

    def field(pixels):
        return np.broadcast_to(np.array([pixels, 0], np.float32), (*size, 2)).copy()

    return [
        Example(
            f"video{row}", 20, 30, frame, frame, (3, 7), np.stack([field(1), field(-1)]), np.full(size, 100.0 * row),
            field(row), field(2 * row), field(row) if exact else None,
        )
        for row in range(1, count + 1)
    ]  # fmt: skip


DRAWINGS = {
    "figure3": lambda: figure3(examples(), "embedded data, PoseTrack18 layout", RULE),
    "figure3_street": lambda: figure3(examples(5, exact=False, height=18), "pseudo-labels of a teacher", "Rows: all."),
    "figure6": lambda: figure6(*pose_tables(), "embedded data, PoseTrack18 layout"),
    "figure6_seeds": lambda: figure6(pose_tables()[0].assign(seeds=12), pose_tables()[1], "embedded data"),
    "figure6_narrow": lambda: figure6(*pose_tables(NARROW), "embedded data, PoseTrack18 layout"),
    "figure7": lambda: figure7(sweep(), "embedded data, JHMDB layout"),
    "figure7_seeds": lambda: figure7(sweep().assign(seeds=12), "embedded data, JHMDB layout"),
    "figure7_all": lambda: figure7(sweep(trainings=("dimofs", "control", "control_frozen")), "JHMDB, split 1"),
    "figure7_narrow": lambda: figure7(sweep((0, 2, 4)), "embedded data, JHMDB layout"),
}


def drawn(axes, marker):
    """Points of every line of the axes with this marker, by its colour."""
    lines = [line for line in axes.lines if line.get_marker() == marker and len(line.get_xdata())]
    return {to_hex(line.get_markeredgecolor()): np.c_[line.get_xdata(), line.get_ydata()].tolist() for line in lines}


def words(axes):
    return [text.get_text() for text in axes.texts]


class TestFigure3:
    def test_a_row_for_each_pair_and_the_exact_motion_where_it_is_known(self):
        pictures = [axes for axes in DRAWINGS["figure3"]().axes if axes.images]
        assert len(pictures) == 3 * 8 + 2  # the wheel and the scale of magnitudes
        assert len([axes for axes in DRAWINGS["figure3_street"]().axes if axes.images]) == 5 * 7 + 2
        titles = [" ".join(reversed(words(axes))) for axes in pictures[:8]]
        assert titles == [
            "Frame A", "Frame B", "channel 3", "channel 7", "summed magnitude", "Farnebäck flow",
            "predicted human motion", "exact human motion",
        ]  # fmt: skip
        assert not any(words(axes) for axes in pictures[8:24])

    def test_all_displacements_share_one_scale(self):
        """Three rows predict 2, 4 and 6 pixels to the right: red, full from the 95th percentile on."""
        pictures = [axes.images[0].get_array() for axes in DRAWINGS["figure3"]().axes if axes.images]
        predicted = [pictures[8 * row + 6][0, 0].tolist() for row in range(3)]
        assert predicted == [[255, 170, 170], [255, 85, 85], [255, 0, 0]]
        channel, opposite = pictures[2][0, 0].tolist(), pictures[3][0, 0].tolist()
        assert channel == [255, 212, 212]
        assert opposite == [212, 255, 255]
        heat = [axes.images[0] for axes in DRAWINGS["figure3"]().axes if axes.images][4:24:8]
        assert {image.get_clim() for image in heat} == {(0, 300)}

    def test_without_a_read_out_its_column_is_left_out_and_the_flow_sets_the_scale(self):
        """Flow is half as fast as what would have been predicted: 1, 2 and 3 pixels."""
        rows = [replace(example, predicted=None) for example in examples(exact=False)]
        figure = figure3(rows, "a clip", "Rows: all.")
        assert len([axes for axes in figure.axes if axes.images]) == 3 * 6 + 2
        assert "saturation 3 pixels" in figure.texts[0].get_text()

    def test_frame_b_may_come_first(self):
        backwards = [replace(example, position_a=30, position_b=20) for example in examples()]
        assert "B is 10 frames before A" in figure3(backwards, "a clip", "Rows: all.").texts[0].get_text()

    def test_scale_rule_and_data_are_said(self):
        figure = DRAWINGS["figure3"]()
        (text,) = (text.get_text().replace("\n", " ") for text in figure.texts)
        assert "B is 10 frames after A; embedded data, PoseTrack18 layout" in text
        assert "full saturation 6 pixels" in text
        assert "mean length of Farnebäck's flow" in text
        keys = [words(axes) for axes in figure.axes[-2:]]
        assert keys == [["6 px"], ["0", "300 px"]]


class TestFigure6:
    def test_curves_are_the_tables(self):
        axes = DRAWINGS["figure6"]().axes[0]
        assert list(drawn(axes, "o").values()) == [[[d, 68 - 0.6 * abs(d)] for d in WIDE]]
        assert list(drawn(axes, "s").values()) == [[[d, 68 - 6 * abs(d)] for d in WIDE]]
        level = [line for line in axes.lines if line.get_linestyle() == "--"]
        assert [list(line.get_ydata()) for line in level] == [[68, 68]]

    def test_the_papers_values_are_open_diamonds_on_no_line(self):
        axes = DRAWINGS["figure6"]().axes[0]
        points = sorted(point for points in drawn(axes, "D").values() for point in points)
        assert points == [[-10, 7.6], [-10, 58.0], [0, 64.1], [0, 66.3], [10, 7.6], [10, 58.0]]
        for line in axes.lines:
            if line.get_marker() == "D":
                assert line.get_linestyle() == "None"
                assert line.get_markerfacecolor() == "white"

    def test_bands_are_the_intervals(self):
        axes = DRAWINGS["figure6"]().axes[0]
        extents = [band.get_paths()[0].get_extents() for band in axes.collections]
        assert [(e.x0, e.x1) for e in extents] == [(-10, 10)] * 3
        assert [(e.y0, e.y1) for e in extents] == [(66, 71), (6, 71), (60, 71)]

    def test_changes_with_intervals_stand_beside_the_papers(self):
        texts = words(DRAWINGS["figure6"]().axes[1])
        rows = [texts[i : i + 3] for i, text in enumerate(texts) if text.startswith("δ =") or text == "mAP"]
        assert rows == [
            ["δ = −10", "−6.0 [−8.0, −5.0]", "−6.1"],
            ["δ = 0", "0.0 [−2.0, +1.0]", "+2.2"],
            ["δ = +10", "−6.0 [−8.0, −5.0]", "−6.1"],
            ["δ = −10", "−60.0 [−62.0, −59.0]", "−56.5"],
            ["δ = +10", "−60.0 [−62.0, −59.0]", "−56.5"],
            ["mAP", "68.0 [66.0, 71.0]", "64.1"],
        ]

    def test_a_narrower_sweep_shows_the_papers_values_at_0_alone(self):
        figure = DRAWINGS["figure6_narrow"]()
        assert sorted(p for points in drawn(figure.axes[0], "D").values() for p in points) == [[0, 64.1], [0, 66.3]]
        assert "−56.5" not in words(figure.axes[1])

    def test_names_the_data(self):
        text = " ".join(words(DRAWINGS["figure6"]().axes[1])).replace("\n", " ")
        assert "Ours: embedded data, PoseTrack18 layout; 24 videos, 864 labelled frames" in text
        assert "PoseTrack17" in text


class TestFigure7:
    def test_curves_are_the_table_with_a_ring_at_each_peak(self):
        axes = DRAWINGS["figure7"]().axes[0]
        control, dimofs = (
            sweep().query("training == @t")[["delta", "map"]].to_numpy().tolist() for t in ("control", "dimofs")
        )
        curves = [
            np.c_[line.get_xdata(), line.get_ydata()].tolist() for line in axes.lines if len(line.get_xdata()) > 2
        ]
        assert curves == [dimofs, control]
        rings = [line for line in axes.lines if line.get_markerfacecolor() == "none"]
        assert [(*line.get_xdata(), *line.get_ydata()) for line in rings] == [(14, 49), (14, 50)]

    def test_the_papers_columns_of_table_3_are_open_diamonds(self):
        axes = DRAWINGS["figure7"]().axes[0]
        points = sorted(point for points in drawn(axes, "D").values() for point in points)
        assert points == [[0, 44.3], [0, 49.6], [10, 44.7], [10, 54.4]]

    def test_the_papers_peak_is_a_place_without_a_value(self):
        axes = DRAWINGS["figure7"]().axes[0]
        assert [list(line.get_xdata()) for line in axes.lines if line.get_linestyle() == ":"] == [[12, 12]]
        assert words(axes) == ["the paper's peak"]
        assert not [line for line in DRAWINGS["figure7_narrow"]().axes[0].lines if line.get_linestyle() == ":"]

    def test_clamping_is_drawn_and_said(self):
        figure = DRAWINGS["figure7"]()
        strip = figure.axes[2]
        corners = strip.collections[0].get_paths()[0].vertices
        assert [20, 50] in corners.tolist()
        assert strip.get_xlim() == figure.axes[0].get_xlim()
        assert "at δ = 40 B is 13.3 frames away" in " ".join(words(figure.axes[1])).replace("\n", " ")

    def test_a_training_without_a_place_in_the_paper_is_drawn_by_its_own_name(self):
        figure = figure7(sweep(trainings=("dimofs", "mine", "yours")), "JHMDB")
        assert {"DiMoFs training", "mine", "yours"} <= set(words(figure.axes[1]))
        colours = {line.get_color() for line in figure.axes[0].lines if len(line.get_xdata()) > 2}
        assert len(colours) == 3


def test_what_the_bands_are_bootstrapped_over():
    for name, units in (("figure6", "videos"), ("figure7", "clips")):
        one, many = (" ".join(words(DRAWINGS[key]().axes[1])).replace("\n", " ") for key in (name, f"{name}_seeds"))
        assert "seeds" not in one
        assert f"bootstrap over {units} and 12 seeds" in many


@pytest.mark.parametrize("name", DRAWINGS)
def test_every_word_is_inside_the_figure_and_covers_no_other(name):
    figure = DRAWINGS[name]()
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    width, height = canvas.get_width_height()
    texts = [text for axes in figure.axes for text in (*axes.texts, axes.xaxis.label, axes.yaxis.label)]
    texts += figure.texts
    shown = {text: text.get_window_extent(canvas.get_renderer()) for text in texts if text.get_text()}
    for text, box in shown.items():
        assert box.x0 >= 0, text
        assert box.y0 >= 0, text
        assert box.x1 <= width, text
        assert box.y1 <= height, text
    panel = [box for text, box in shown.items() if text in figure.axes[1].texts or "figure3" in name]
    for first, second in itertools.combinations(panel, 2):
        assert not first.padded(-1.5).overlaps(second.padded(-1.5))


@pytest.mark.parametrize("name", ["figure3", "figure6", "figure7"])
def test_files_are_the_same_byte_for_byte_and_hold_no_date(name, tmp_path, monkeypatch):
    written = []
    for round_, stamp in enumerate(("0", "1700000000")):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", stamp)
        pdf, png = tmp_path / f"{round_}.pdf", tmp_path / f"{round_}.png"
        save(DRAWINGS[name](), pdf, png)
        written.append((pdf.read_bytes(), png.read_bytes()))
    assert written[0] == written[1]
    assert b"CreationDate" not in written[0][0]
    assert written[0][0].startswith(b"%PDF")
    assert written[0][1].startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["figure3", "figure6"])
def test_text_in_the_pdf_is_text(name, tmp_path):
    save(DRAWINGS[name](), tmp_path / "f.pdf", tmp_path / "f.png")
    content = (tmp_path / "f.pdf").read_bytes()
    assert b"/FontFile2" in content  # embedded TrueType outlines
    assert b"/Type3" not in content


def test_the_callers_style_neither_changes_the_figure_nor_is_changed(tmp_path):
    import matplotlib as mpl

    save(DRAWINGS["figure7"](), tmp_path / "a.pdf", tmp_path / "a.png")
    with mpl.rc_context({"font.size": 20, "axes.grid": True, "lines.linewidth": 9}):
        save(DRAWINGS["figure7"](), tmp_path / "b.pdf", tmp_path / "b.png")
        assert mpl.rcParams["font.size"] == 20
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()


def curve(steps, values):
    rows = [(step, 5.0, np.nan) for step in range(10, steps[-1], 10)]
    rows += list(zip(steps, [4.0] * len(steps), values, strict=True))
    return pd.DataFrame(rows, columns=["step", "loss", "val_map"]).sort_values("step")


def test_training_curves_start_where_the_still_images_end():
    figure = training_curves(
        [curve((100, 200), (20.0, 40.0))],
        [curve((50, 100), (45.0, 44.0))],
        [curve((50, 100), (41.0, 46.0))],
        "embedded data",
    )
    still, single_frame, dimofs = (np.c_[line.get_xdata(), line.get_ydata()].tolist() for line in figure.axes[0].lines)
    assert still == [[-100, 20], [0, 40]]
    assert single_frame == [[0, 40], [50, 45], [100, 44]]
    assert dimofs == [[0, 40], [50, 41], [100, 46]]
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels[1:] == ["single frame: 44.0 at the end", "DiMoFs: 46.0 at the end"]


def test_training_curves_of_seeds_are_thin_lines_around_their_mean():
    stills = [curve((100, 200), (20.0, value)) for value in (40.0, 42.0)]
    trained = [curve((50, 100), (45.0, value)) for value in (44.0, 50.0)]
    axes = training_curves(stills, trained, trained[::-1], "embedded data").axes[0]
    lines = [np.c_[line.get_xdata(), line.get_ydata()].tolist() for line in axes.lines]
    assert lines[:3] == [[[-100, 20], [0, 40]], [[-100, 20], [0, 42]], [[-100, 20], [0, 41]]]
    assert lines[3:6] == [
        [[0, 40], [50, 45], [100, 44]],
        [[0, 42], [50, 45], [100, 50]],
        [[0, 41], [50, 45], [100, 47]],
    ]
    assert [line.get_linewidth() < 1 for line in axes.lines] == [True, True, False] * 3
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == [
        "still images, where both start: 41.0", "single frame: 47.0 at the end", "DiMoFs: 47.0 at the end"
    ]  # fmt: skip
