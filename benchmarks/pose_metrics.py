"""Pose AP and MOTA of a validation set of PoseTrack's size, on one core, beside motmetrics used joint by joint.

50 videos of 60 labelled frames with 5 people who walk, found with some noise, some of them missed, some tracks broken.
The usual way is one accumulator and one summary for each joint and video, as poseval has it; it is timed on a few
videos and scaled. Run: OMP_NUM_THREADS=1 python benchmarks/pose_metrics.py
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import motmetrics
import numpy as np
import pandas as pd

from dimofs.config import load_config
from dimofs.datasets.records import POSETRACK_JOINTS, Frame, Person, Video
from dimofs.metrics import POSE_JOINTS, envelope_ap, joint_distances, pose_columns, rank_joints
from dimofs.mot import COUNTS, TrackedFrame, count_events, tracking_metrics
from dimofs.tracking.evaluate import tracked_frames
from dimofs.tracking.link import link

VIDEOS, FRAMES, PEOPLE, NAIVE_VIDEOS = 50, 60, 5, 2
SUMMARY = ("num_objects", "num_misses", "num_switches", "num_false_positives")
Result = TypeVar("Result")


def validation_set(rng: np.random.Generator) -> tuple[list[Video], pd.DataFrame]:
    """Videos, and detections on all of their frames."""
    ears = np.array(["ear" in name for name in POSETRACK_JOINTS])
    videos, rows = [], []
    for number in range(VIDEOS):
        body = rng.uniform((0, 0), (80, 200), (PEOPLE, 17, 2))
        start, step = rng.uniform(0, 800, (PEOPLE, 1, 2)), rng.uniform(-5, 5, (PEOPLE, 1, 2))
        frames = []
        for f in range(FRAMES):
            poses = (body + start + f * step).astype(np.float32)
            head = np.array([0, 0, 40, 50], np.float32)
            people = [Person(p, head, head, pose, ~ears & (rng.random(17) < 0.9)) for p, pose in enumerate(poses)]
            frames.append(Frame(Path(f"{f:06d}.jpg"), True, tuple(people), ()))
            for pose in poses[rng.random(PEOPLE) < 0.9]:
                joints = pose + rng.normal(0, 8, pose.shape).astype(np.float32)
                box = np.concatenate([joints.min(axis=0), joints.max(axis=0)])
                logits = rng.normal(4, 1, 17).astype(np.float32)
                rows.append((f"{number:06d}", f, 0, np.float32(rng.random()), box, joints.ravel(), logits))
        videos.append(Video(f"{number:06d}", "val", POSETRACK_JOINTS, tuple(frames), None))
    names = ["video", "frame", "delta", "score", "box", "joints", "joint_scores"]
    return videos, pd.DataFrame(rows, columns=names)


def timed(what: str, action: Callable[[], Result], scale: float = 1.0) -> Result:
    """Print the wall and the processor time of an action."""
    wall, core = time.perf_counter(), time.process_time()
    result = action()
    wall, core = scale * (time.perf_counter() - wall), scale * (time.process_time() - core)
    print(f"| {what} | {wall:.1f} | {core:.1f} |")
    return result


def judge(videos: list[Video], tracks: pd.DataFrame) -> tuple[list[list[TrackedFrame]], np.ndarray, np.ndarray]:
    """Frames, AP of each column, and counts of each video."""
    frames = tracked_frames(videos, tracks, 1.95, "shoulders", "joint")
    rankings = rank_joints(((v, one.truth, one.predicted) for v, all_of in enumerate(frames) for one in all_of), VIDEOS)
    ap = pose_columns(np.array([envelope_ap(ranking) for ranking in rankings]))
    return frames, ap, np.stack([count_events(of_video) for of_video in frames])


def joint_by_joint(frames: list[TrackedFrame]) -> np.ndarray:
    """Objects, misses, switches and false positives of a video, (15, 4), by an accumulator and a summary a joint."""
    result = np.zeros((len(POSE_JOINTS), len(SUMMARY)))
    for joint in range(len(POSE_JOINTS)):
        accumulator = motmetrics.MOTAccumulator(auto_id=True)
        for one in frames[:-1]:
            people, found = one.truth.labelled[:, joint], one.predicted.present[:, joint]
            distance = joint_distances(one.truth, one.predicted)[:, :, joint].T[np.ix_(people, found)]
            accumulator.update(one.true_track[people], one.predicted_track[found], distance)
        summary = motmetrics.metrics.create().compute(accumulator, metrics=SUMMARY, return_dataframe=False)
        result[joint] = [summary[name] for name in SUMMARY]
    return result


def main() -> None:
    """Make the set, link, judge, and judge a part of it the usual way."""
    settings = load_config(Path(__file__).parents[1] / "config/config.yaml").tracking
    point = settings.operating_points.unfiltered
    videos, detections = validation_set(np.random.default_rng(0))
    print(f"{VIDEOS} videos × {FRAMES} frames × {PEOPLE} people\n\n| | wall s | core s |\n|---|---|---|")
    tracks = timed("link by boxes", lambda: link(detections, settings.linkers.detect_and_track, point))
    timed("link by keypoints", lambda: link(detections, settings.linkers.keypoints, point))
    frames, ap, counts = timed("AP and MOTA", lambda: judge(videos, tracks))
    usual = timed(
        f"MOTA joint by joint (from {NAIVE_VIDEOS} videos)",
        lambda: np.stack([joint_by_joint(of_video) for of_video in frames[:NAIVE_VIDEOS]]),
        VIDEOS / NAIVE_VIDEOS,
    )
    print(f"\nequal counts: {np.array_equal(usual, counts[:NAIVE_VIDEOS, :, : COUNTS.index('distance')])}")
    mota = pose_columns(tracking_metrics(counts.sum(axis=0))["mota"])
    print(f"AP {ap[-1]:.1f}, MOTA {mota[-1]:.1f}")


if __name__ == "__main__":
    main()
