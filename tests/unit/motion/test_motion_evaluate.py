import numpy as np
import pandas as pd
import pytest

from dimofs.config import Paper
from dimofs.motion.evaluate import COLUMNS, FLOWS, MOTIONS, SALIENCIES, evaluate_motion
from dimofs.motion.measure import BODY

PAPER = Paper(resamples=200, confidence=0.95)


def sums(videos=("a", "b", "c"), deltas=(-10, 5, 10), **changes):
    """A table as `measure` writes it, of three channels; changes: column → value, or values by video."""
    parts = len(BODY)
    row = {
        "pairs": 2.0, "joints": 10.0, "joint_x": 20.0, "joint_y": 0.0,
        "people": 50.0, "outside": 100.0, "compared": 2.0,
        "gram": np.diag([4.0, 9.0, 1.0]).ravel(),
        "following": np.eye(3, parts).ravel(), "channel_energy": np.ones(3 * parts), "flow_energy": np.ones(parts),
        "joint_error/zero": 40.0, "joint_square/zero": 240.0, "people_error/zero": 200.0,
    }  # fmt: skip
    for place, motion in enumerate(MOTIONS):
        row |= {
            f"joint_error/{motion}": 10.0 * (1 + place), f"joint_square/{motion}": 50.0 * (1 + place),
            f"people_error/{motion}": 100.0 + place, f"outside_length/{motion}": 300.0 - place,
            f"outside_variation/{motion}": 10.0 + place, f"area/{motion}": 1.0,
        }  # fmt: skip
    for motion in ("exact", *FLOWS):
        row[f"moments/{motion}"] = np.array([50.0, 0, 50.0, 0, 150.0, 150.0, 100.0])
    for saliency in SALIENCIES:
        row |= {f"on_people/{saliency}": 100.0, f"off_people/{saliency}": 50.0, f"area/{saliency}": 1.5}
    table = pd.DataFrame([{"video": video, "delta": delta, **row} for video in videos for delta in deltas])
    for column, value in changes.items():
        table[column] = table["video"].map(value) if isinstance(value, dict) else value
    return table


def value(table, quantity, method, against="", delta=5):
    rows = table[(table["quantity"] == quantity) & (table["method"] == method) & (table["against"] == against)]
    (row,) = rows[rows["delta"] == delta].itertuples()
    return row


@pytest.fixture(scope="module")
def table():
    return evaluate_motion(sums(), PAPER, 0)


@pytest.mark.parametrize(
    ("quantity", "method", "against", "expected"),
    [
        ("joint_error", "read_out", "", 1),
        ("joint_error", "dis", "", 4),
        ("joint_error", "zero", "", 4),
        ("joint_error", "read_out", "zero", -3),
        ("joint_gain", "read_out", "zero", 75),
        ("joint_r2", "read_out", "", 1 - 50 / 200),  # 240 around zero is 200 around the mean displacement of 2
        ("people_error", "farneback", "", 2.02),
        ("people_error", "read_out", "farneback", -0.02),
        ("people_gain", "read_out", "zero", 50),
        ("noise", "read_out", "", 3),
        ("variation", "read_out", "dis", -0.03),
        ("correlation", "read_out", "exact", 0.5),
        ("saliency_ratio", "saliency_of_sum", "", 4),
        ("discrimination", "saliency_of_magnitudes", "", 0.75),
        ("discrimination", "saliency_of_sum", "dis", 0.25),
        ("channel_correlation", "channels", "", 0),
        ("followed_parts", "channels", "", 3),
    ],
)
def test_values(table, quantity, method, against, expected):
    row = value(table, quantity, method, against)
    assert row.value == pytest.approx(expected)
    # All videos are alike, so no resample differs.
    assert row.ci_low == pytest.approx(expected)
    assert row.ci_high == pytest.approx(expected)


def test_shape(table):
    assert tuple(table.columns) == COLUMNS
    assert not table.duplicated(["quantity", "method", "against", "delta"]).any()
    assert set(table["delta"]) == {-10, 5, 10}
    assert (table["pairs"] == 6).all()
    assert (table["videos"] == 3).all()
    first = table.drop_duplicates(["quantity", "method", "against"])
    assert table["delta"].tolist() == [-10, 5, 10] * len(first)


def test_channels_that_are_one_field_correlate_whatever_their_sign():
    one = np.outer([1.0, -2.0, 3.0], [1.0, -2.0, 3.0]).ravel()
    table = evaluate_motion(sums(gram=[one] * 9), PAPER, 0)
    assert value(table, "channel_correlation", "channels").value == pytest.approx(1)


def test_channels_that_follow_one_part_follow_one_part():
    head = np.zeros((3, len(BODY)))
    head[:, 2] = (1, -1, 1)
    table = evaluate_motion(sums(following=[head.ravel()] * 9), PAPER, 0)
    assert value(table, "followed_parts", "channels").value == pytest.approx(1)


def test_intervals_are_over_videos_and_differences_are_paired():
    errors = {"a": 100.0, "b": 200.0, "c": 400.0}
    shifted = {video: error + 5 for video, error in errors.items()}
    changes = {"people_error/read_out": errors, "people_error/dis": shifted}
    table = evaluate_motion(sums(**changes), PAPER, 0)
    alone = value(table, "people_error", "read_out")
    assert alone.ci_low < alone.value - 1
    assert alone.ci_high > alone.value + 1
    paired = value(table, "people_error", "read_out", "dis")
    assert paired.ci_low == pytest.approx(paired.ci_high) == pytest.approx(-0.1)


def test_what_was_not_counted_has_no_row():
    joints = [column for column in sums() if column.startswith(("joint", "pairs", "video", "delta"))]
    table = evaluate_motion(sums()[joints], PAPER, 0)
    assert set(table["quantity"]) == {"joint_error", "joint_gain", "joint_r2"}
    uncounted = [column for column in sums() if column.startswith(("joint", "compared", "area"))]
    nobody = evaluate_motion(sums(**dict.fromkeys(uncounted, 0.0)), PAPER, 0)
    assert "joint_error" not in set(nobody["quantity"])
    assert "discrimination" not in set(nobody["quantity"])
    assert "people_error" in set(nobody["quantity"])


def test_one_video_without_a_sidecar_adds_nothing_on_people():
    table = sums()
    one = table["video"] == "c"
    surface = [column for column in table if not column.startswith(("joint", "pairs", "video", "delta"))]
    for column in surface:
        table[column] = [None if missing else cell for missing, cell in zip(one, table[column], strict=True)]
    found = evaluate_motion(table, PAPER, 0)
    assert value(found, "people_error", "read_out").value == pytest.approx(2)
    assert value(found, "channel_correlation", "channels").value == pytest.approx(0)
    assert value(found, "joint_error", "read_out").value == pytest.approx(1)


def test_the_correlation_is_pearsons_over_both_axes():
    p, q = np.random.default_rng(0).normal(size=(2, 50, 2)) + np.array([[[3.0, -2.0]], [[1.0, 5.0]]])
    q += 0.5 * p
    moments = np.array([*p.sum(0), *q.sum(0), (p * p).sum(), (q * q).sum(), (p * q).sum()])
    table = evaluate_motion(sums(**{"moments/exact": [moments] * 9}), PAPER, 0)
    expected = np.corrcoef(*((each - each.mean(0)).ravel() for each in (p, q)))[0, 1]
    assert value(table, "correlation", "read_out", "exact").value == pytest.approx(expected)


def test_explained_variance_is_around_the_mean_displacement_of_both_axes():
    table = evaluate_motion(sums(joint_y=10.0), PAPER, 0)
    # 240 around zero is 190 around the mean displacement (2, 1) of ten joints
    assert value(table, "joint_r2", "read_out").value == pytest.approx(1 - 50 / 190)


def test_a_channel_follows_the_part_that_it_correlates_with_however_little_that_moves():
    head, foot = BODY.index("head"), BODY.index("left_foot")
    following, energy, flow = np.zeros((3, len(BODY))), np.ones((3, len(BODY))), np.ones(len(BODY))
    following[:, head], energy[:, head], flow[head] = 30, 100, 10_000  # a correlation of 0.03
    following[0, foot] = 1
    changes = {"following": following, "channel_energy": energy, "flow_energy": flow}
    table = evaluate_motion(sums(**{name: [values.ravel()] * 9 for name, values in changes.items()}), PAPER, 0)
    shares = np.array([1, 2]) / 3
    assert value(table, "followed_parts", "channels").value == pytest.approx(np.exp(-(shares * np.log(shares)).sum()))
