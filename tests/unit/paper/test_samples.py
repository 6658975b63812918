import cv2
import numpy as np
import pandas as pd
import pytest

from dimofs.datasets.records import POSETRACK_JOINTS, DatasetError, Frame, Person, Video
from dimofs.paper.samples import sample_detections

SIZE = (60, 120)  # height, width
PERSON = Person(0, np.zeros(4, np.float32), None, np.zeros((17, 2), np.float32), np.ones(17, bool))


def make_video(folder, name, labelled, frames=12, split="val"):
    """Grey frames, each a little lighter than the one before."""
    (folder / name).mkdir(parents=True)
    for frame in range(frames):
        cv2.imwrite(str(folder / name / f"{frame}.png"), np.full((*SIZE, 3), 60 + 5 * frame, np.uint8))
    records = tuple(
        Frame(folder / name / f"{frame}.png", frame in labelled, (PERSON,) if frame in labelled else (), ())
        for frame in range(frames)
    )
    return Video(name, split, POSETRACK_JOINTS, records, None)


def detections(*rows):
    """Rows (video, frame, δ, score, x): a person who stands at x, arms and legs spread."""
    table = []
    for video, frame, delta, score, x in rows:
        joints = np.stack([x + 8 * np.cos(np.arange(17)), 5 + 3 * np.arange(17)], axis=-1)
        table.append((video, frame, delta, score, joints.ravel().astype(np.float32)))
    return pd.DataFrame(table, columns=["video", "frame", "delta", "score", "joints"])


def decode(picture):
    return cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR).astype(int)


def coloured_columns(picture):
    """Where along x something coloured is drawn, from and to, pixels of the frame; None on a grey frame."""
    pixels = decode(picture)
    x = np.flatnonzero((np.ptp(pixels, axis=2) > 60).any(axis=0)) * SIZE[1] / pixels.shape[1]
    return (x.min(), x.max()) if len(x) else None


def test_each_picture_shows_its_own_people(tmp_path):
    found = detections(("a", 6, 0, 0.9, 30), ("a", 6, 4, 0.9, 90), ("a", 5, 4, 0.9, 60), ("b", 6, 4, 0.9, 60))
    (sample,) = sample_detections([make_video(tmp_path, "a", range(12))], found, 4)
    assert (sample.video, sample.frame_a, sample.frame_b) == ("a", 6, 10)
    for picture, centre in ((sample.from_a, 30), (sample.from_b, 90)):
        low, high = coloured_columns(picture)
        assert centre - 12 < low < centre < high < centre + 12
    assert coloured_columns(sample.b) is None
    assert decode(sample.b).shape == (180, 360, 3)
    assert decode(sample.b).mean() == pytest.approx(60 + 5 * 10, abs=2)
    assert decode(sample.from_a)[:, -20:].mean() == pytest.approx(60 + 5 * 6, abs=2)


def test_people_with_a_low_score_are_not_drawn(tmp_path):
    found = detections(("a", 6, 0, 0.49, 30), ("a", 6, 4, 0.5, 90))
    (sample,) = sample_detections([make_video(tmp_path, "a", range(12))], found, 1)
    assert coloured_columns(sample.from_a) is None
    assert coloured_columns(sample.from_b) is not None


def test_frame_a_is_labelled_and_has_a_frame_b(tmp_path):
    videos = [
        make_video(tmp_path, "a", (1, 9)),  # from 9 there are no four frames more
        make_video(tmp_path, "b", (10,)),
        make_video(tmp_path, "c", range(12), split="train"),
    ]
    samples = sample_detections(videos, detections(("a", 1, 4, 0.9, 60)), 4)
    assert [(sample.video, sample.frame_a) for sample in samples] == [("a", 1)]


def test_where_all_gaps_lead_backwards_frame_b_is_in_the_video_too(tmp_path):
    videos = [make_video(tmp_path, "a", (0, 1, 8)), make_video(tmp_path, "b", (3,))]
    samples = sample_detections(videos, detections(("a", 8, -4, 0.9, 60)), 4)
    assert [(sample.video, sample.frame_a, sample.frame_b) for sample in samples] == [("a", 8, 4)]


def test_videos_are_spread(tmp_path):
    videos = [make_video(tmp_path, str(v), range(12)) for v in range(7)]
    found = detections(("0", 6, 4, 0.9, 60))
    assert [sample.video for sample in sample_detections(videos, found, 3)] == ["0", "3", "6"]
    assert len(sample_detections(videos[:2], found, 3)) == 2


def test_nothing_found_at_all(tmp_path):
    assert sample_detections([make_video(tmp_path, "a", range(12))], detections(), 4) == []


def test_a_frame_that_is_no_picture(tmp_path):
    video = make_video(tmp_path, "a", range(12))
    (tmp_path / "a" / "6.png").write_text("no picture", encoding="utf-8")
    with pytest.raises(DatasetError, match=r"6.png: is no picture that can be read"):
        sample_detections([video], detections(("a", 6, 4, 0.9, 60)), 1)
