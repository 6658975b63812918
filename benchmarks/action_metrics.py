"""Frame-mAP of a test split of JHMDB's size, on one core, beside the loop over detections that ACT-detector has.

268 clips, 9,000 frames with one actor each, two detections a frame of which half have the clip's class. The usual way
goes through the ranking of each class and compares each detection with what is left of its frame's boxes. Run:
OMP_NUM_THREADS=1 python benchmarks/action_metrics.py
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd

from dimofs.actions.evaluate import class_rankings
from dimofs.datasets.records import JHMDB_CLASSES, JHMDB_JOINTS, Frame, Person, Video
from dimofs.metrics import IOU_THRESHOLD, box_iou, class_ap, mean_of_defined

CLIPS, FRAMES, DETECTIONS = 268, 9000, 18_000
Result = TypeVar("Result")


def test_split(rng: np.random.Generator) -> tuple[list[Video], pd.DataFrame]:
    """Clips, and detections that hit the actor more or less."""
    joints, labelled = np.zeros((len(JHMDB_JOINTS), 2), np.float32), np.ones(len(JHMDB_JOINTS), bool)
    videos, rows = [], []
    for number, positions in enumerate(np.array_split(np.arange(FRAMES), CLIPS)):
        label = number % len(JHMDB_CLASSES)
        name, frames = f"{JHMDB_CLASSES[label]}/{number}", []
        for frame in range(len(positions)):
            box = np.array([60, 40, 160, 220], np.float32) + frame
            frames.append(Frame(Path(f"{frame + 1:05d}.png"), True, (Person(0, box, None, joints, labelled),), ()))
            for found in (label, rng.integers(len(JHMDB_CLASSES))):
                rows.append((name, frame, 0, found, rng.random(), box + rng.normal(0, 25, 4)))
        videos.append(Video(name, "test", JHMDB_JOINTS, tuple(frames), label))
    return videos, pd.DataFrame(rows, columns=["video", "frame", "delta", "label", "score", "box"])


def frame_map(clips: list[Video], detections: pd.DataFrame) -> float:
    return float(mean_of_defined(np.array([class_ap(ranking) for ranking in class_rankings(clips, detections)])))


def loop_over_detections(clips: list[Video], detections: pd.DataFrame) -> float:
    areas = []
    for label in range(len(JHMDB_CLASSES)):
        left = {
            (clip.name, frame): np.array([person.box for person in content.people])
            for clip in clips
            if clip.label == label
            for frame, content in enumerate(clip.frames)
        }
        total = sum(len(boxes) for boxes in left.values())
        area, found, precision, recall = 0.0, 0, 1.0, 0.0
        ranked = detections[detections["label"] == label].sort_values("score", ascending=False, kind="stable")
        for seen, (video, frame, box) in enumerate(
            zip(ranked["video"], ranked["frame"], ranked["box"], strict=True), 1
        ):
            boxes = left.get((video, frame))
            if boxes is not None and len(boxes):
                iou = box_iou([box], boxes)[0]
                if iou.max() >= IOU_THRESHOLD:
                    found += 1
                    left[video, frame] = np.delete(boxes, iou.argmax(), axis=0)
            area += (found / total - recall) * (found / seen + precision) / 2
            precision, recall = found / seen, found / total
        areas.append(100 * area)
    return float(np.mean(areas))


def timed(what: str, action: Callable[[], Result]) -> Result:
    """Print the wall and the processor time of an action."""
    wall, core = time.perf_counter(), time.process_time()
    result = action()
    print(f"| {what} | {time.perf_counter() - wall:.2f} | {time.process_time() - core:.2f} |")
    return result


def main() -> None:
    """Make the split and judge it both ways."""
    clips, detections = test_split(np.random.default_rng(0))
    assert len(detections) == DETECTIONS
    print(f"{DETECTIONS} detections on {FRAMES} frames of {CLIPS} clips\n\n| | wall s | core s |\n|---|---|---|")
    ours = timed("frame-mAP", lambda: frame_map(clips, detections))
    usual = timed("detection by detection", lambda: loop_over_detections(clips, detections))
    print(f"\nframe-mAP {ours:.3f}, difference {abs(ours - usual):.1e}")


if __name__ == "__main__":
    main()
