"""ACT-style files: what ACT's frameAP would compute from them is what is computed here."""

import pickle
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

from dimofs.actions.evaluate import class_rankings
from dimofs.actions.submission import write_detections, write_ground_truth
from dimofs.datasets.act import read_act_ground_truth
from dimofs.datasets.records import JHMDB_CLASSES, JHMDB_JOINTS, DatasetError, Frame, Person, Video
from dimofs.metrics import mean_of_defined, trapezoid_ap


def clip(root: Path, label: int, split: str, boxes: np.ndarray, unlabelled: int = 0) -> Video:
    name = f"{JHMDB_CLASSES[label]}/{JHMDB_CLASSES[label]}_(a)_{split}"
    joints, labelled = np.zeros((15, 2), np.float32), np.ones(15, bool)
    frames = []
    for number in range(1, len(boxes) + unlabelled + 1):
        path = root / name / f"{number:05d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.zeros((24, 32, 3), np.uint8))
        people = [Person(0, box, None, joints, labelled) for box in boxes[number - 1 : number]]
        frames.append(Frame(path, bool(people), tuple(people), ()))
    return Video(name, split, JHMDB_JOINTS, tuple(frames), label)


@pytest.fixture
def clips(tmp_path: Path) -> list[Video]:
    rng = np.random.default_rng(0)

    def boxes(count: int) -> np.ndarray:
        corner = rng.integers(0, 12, (count, 2))
        return np.concatenate([corner, corner + rng.integers(4, 12, (count, 2))], axis=1).astype(np.float32)

    return [
        clip(tmp_path, 1, "test", boxes(6), unlabelled=1),
        clip(tmp_path, 19, "test", boxes(5)),
        clip(tmp_path, 3, "train", boxes(4)),
    ]


@pytest.fixture
def detections(clips: list[Video]) -> pd.DataFrame:
    """Shifted boxes of both classes on every test frame but the first, with scores that are all different."""
    rng = np.random.default_rng(1)
    rows = []
    for video in clips[:2]:
        for number, frame in enumerate(video.frames[1:], start=1):
            box = frame.people[0].box if frame.people else np.array([1, 2, 9, 9], np.float32)
            for label in (1, 19):
                moved = (box + rng.normal(0, 1.5, 4)).astype(np.float32)
                rows.append((video.name, number, label, np.float32(rng.random()), moved))
    return pd.DataFrame(rows, columns=["video", "frame", "label", "score", "box"])


def load(path: Path) -> Any:
    return pickle.loads(path.read_bytes())


def frame_map_from_files(folder: Path) -> float:
    """ACT's rule on the files alone, in inclusive pixels: the mean over the classes that are annotated."""
    truth = load(folder / "JHMDB-GT.pkl")
    detections, remaining = [], {}
    for video in truth["test_videos"][0]:
        for number in range(1, truth["nframes"][video] + 1):
            dets, _ = load(folder / video / f"{number:05d}.pkl")
            detections += [(video, number, *row) for row in dets.tolist()]
        for label, (tube,) in truth["gttubes"][video].items():
            remaining |= {(label, video, int(row[0])): row[1:] for row in tube}
    areas = []
    for label in {key[0] for key in remaining}:
        total = sum(key[0] == label for key in remaining)
        found, area, before = 0, 0.0, (1.0, 0.0)
        ranked = sorted((row for row in detections if row[2] == label), key=lambda row: -row[3])
        for seen, (video, number, _, _, *box) in enumerate(ranked, start=1):
            other = remaining.get((label, video, number))
            if other is not None and pixel_iou(box, other) >= 0.5:
                found += 1
                del remaining[label, video, number]
            now = (found / seen, found / total)
            area += (now[1] - before[1]) * (now[0] + before[0]) / 2
            before = now
        areas.append(100 * area)
    return float(np.mean(areas))


def pixel_iou(box: Any, other: Any) -> float:
    sides = [min(box[i + 2], other[i + 2]) - max(box[i], other[i]) + 1 for i in (0, 1)]
    shared = max(sides[0], 0) * max(sides[1], 0)
    return shared / (sum((b[2] - b[0] + 1) * (b[3] - b[1] + 1) for b in (box, other)) - shared)


def test_frame_map_from_the_files_is_ours(tmp_path: Path, clips: list[Video], detections: pd.DataFrame) -> None:
    write_detections(clips, detections, tmp_path / "out")
    write_ground_truth(clips, tmp_path / "out" / "JHMDB-GT.pkl")
    ours = mean_of_defined(np.array([trapezoid_ap(one) for one in class_rankings(clips[:2], detections)]))
    assert 5 < ours < 95
    assert frame_map_from_files(tmp_path / "out") == pytest.approx(ours, abs=1e-9)


def test_every_frame_of_every_test_clip_has_a_file(
    tmp_path: Path, clips: list[Video], detections: pd.DataFrame
) -> None:
    write_detections(clips, detections, tmp_path / "out")
    files = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.pkl")}
    assert files == {f"{one.name}/{n:05d}.pkl" for one in clips[:2] for n in range(1, len(one.frames) + 1)}
    empty, everything = load(tmp_path / "out" / clips[0].name / "00001.pkl")
    assert (empty.shape, empty.dtype, everything.shape) == ((0, 6), np.float32, (0, 26))
    dets, _ = load(tmp_path / "out" / clips[0].name / "00002.pkl")
    first = detections.iloc[0]
    np.testing.assert_allclose(dets[0], [1, first["score"], *(first["box"] - (0, 0, 1, 1))], rtol=1e-6)


def test_the_pickles_are_those_of_python_2_and_its_numpy(
    tmp_path: Path, clips: list[Video], detections: pd.DataFrame
) -> None:
    write_detections(clips, detections, tmp_path)
    write_ground_truth(clips, tmp_path / "JHMDB-GT.pkl")
    for path in (tmp_path / clips[0].name / "00002.pkl", tmp_path / "JHMDB-GT.pkl"):
        content = path.read_bytes()
        assert content.startswith(b"\x80\x02")
        assert b"cnumpy.core.multiarray\n_reconstruct\n" in content
        assert b"_core" not in content


def test_the_ground_truth_reads_as_act_s(tmp_path: Path, clips: list[Video]) -> None:
    write_ground_truth(clips, tmp_path / "JHMDB-GT.pkl")
    read = {one.name: one for one in read_act_ground_truth(tmp_path / "JHMDB-GT.pkl", 1)}
    assert len(read) == 3
    for video in clips:
        one = read[video.name]
        assert (one.split, one.label, one.size, len(one.boxes)) == (
            video.split,
            video.label,
            (24, 32),
            len(video.frames),
        )
        for box, frame in zip(one.boxes, video.frames, strict=True):
            np.testing.assert_array_equal(box, frame.people[0].box if frame.people else np.full(4, np.nan))


class TestErrors:
    def test_another_clip(self, tmp_path: Path, clips: list[Video], detections: pd.DataFrame) -> None:
        for video, frame in ((clips[2].name, 0), (clips[0].name, 7), ("catch/elsewhere", 0)):
            wrong = pd.concat([detections, detections.iloc[:1].assign(video=video, frame=frame)])
            with pytest.raises(DatasetError, match="is in no test clip; predict again"):
                write_detections(clips, wrong, tmp_path / "out")
        assert not (tmp_path / "out").exists()

    def test_a_missing_column(self, tmp_path: Path, clips: list[Video], detections: pd.DataFrame) -> None:
        with pytest.raises(DatasetError, match="no column box"):
            write_detections(clips, detections.drop(columns="box"), tmp_path)

    def test_a_picture_that_cannot_be_read(self, tmp_path: Path, clips: list[Video]) -> None:
        clips[0].frames[0].path.write_bytes(b"no picture")
        with pytest.raises(DatasetError, match=r"00001\.png: is no picture"):
            write_ground_truth(clips, tmp_path / "JHMDB-GT.pkl")
