"""The δ-sweep of Figure 6: the package's way, its floor, and the way one would write first.

Floor: one pass of backbone and offset predictors a frame, one resampling and one pass of the heads a pair, each timed
by itself, before and after the sweep.
Naive: the whole detector, both backbone passes included, on every pair. Run: python benchmarks/delta_sweep.py [--paper]
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch

from dimofs.config import Model, load_config
from dimofs.datasets.records import POSETRACK_JOINTS, Frame, Video
from dimofs.model.backbone import both_frames
from dimofs.model.pose_detector import PoseDetector
from dimofs.pairs.index import pair_index
from dimofs.pairs.loading import load_frames
from dimofs.pose.predict import predict
from dimofs.training.loop import as_input, encode

ROOT = Path(__file__).parents[1]
DELTAS = range(-10, 11)
PAPER = {
    "backbone": "resnet101", "fpn_channels": 256, "anchor_sizes": (32, 64, 128, 256, 512), "image_size": 800,
    "image_max_size": 1333, "box_features": 1024, "keypoint_layers": (512,) * 8, "proposals_test": 1000,
}  # fmt: skip


def clip(folder: Path, frames: int, labelled: int, height: int, width: int) -> Video:
    """Write a video of moving noise whose middle frames count as labelled."""
    rng = np.random.default_rng(0)
    noise = cv2.resize(rng.integers(0, 256, (16, 16, 3), np.uint8), (2 * width, height), interpolation=cv2.INTER_CUBIC)
    first = (frames - labelled) // 2
    records = []
    for number in range(frames):
        path = folder / f"{number:06d}.jpg"
        cv2.imwrite(str(path), np.roll(noise, -4 * number, 1)[:, :width])
        records.append(Frame(path, first <= number < first + labelled, (), ()))
    return Video("noise", "val", POSETRACK_JOINTS, tuple(records), None)


def seconds(action: Callable[[], object], repeats: int) -> float:
    """Median wall time of an action."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


@torch.inference_mode()
def measure(model: Model, video: Video, batch: int, repeats: int) -> dict[str, float]:
    """Time sweep, floor and naive way on one video; the pairs are those of the index, clamped ones once."""
    torch.manual_seed(0)
    network = PoseDetector(model, pairs=True).eval()
    for predictor in network.offsets.predictors:
        torch.nn.init.normal_(predictor.weight, std=0.01)
    pairs = pair_index([video], {"val": list(DELTAS)})
    unique = pairs[["frame_a", "frame_b"]].drop_duplicates()
    frames = sorted({*unique["frame_a"], *unique["frame_b"]})
    images, sizes, _ = load_frames(video, frames[: max(batch, 2)], model)  # offsets between one and itself are zero
    inputs = as_input(images, torch.device("cpu"))
    features = network.backbone(inputs)
    shifted = [level.roll(1, 0) for level in features]
    resampled = network.resampled(features, shifted)

    def naive(rows: pd.DataFrame) -> None:
        for a, b in zip(rows["frame_a"], rows["frame_b"], strict=True):
            pair, pair_sizes, _ = load_frames(video, [a, b], model)
            pair = as_input(pair, torch.device("cpu"))
            network.detect(network.resampled(*both_frames(network.backbone, pair[:1], pair[1:])), pair_sizes[:1])

    def layers(part: torch.Tensor) -> list[torch.Tensor]:
        return network.offsets.projections(network.backbone(part))

    n = len(inputs)
    offsets = network.offsets(features, shifted)

    def parts() -> list[float]:
        """Time one frame's encoding, one pair's resampling and one pair's heads."""
        actions = (
            lambda: encode(layers, images),
            lambda: network.resampling(shifted, offsets),
            lambda: network.detect(resampled, sizes),
        )
        return [seconds(action, 1) / n for action in actions]

    parts()  # warms up
    rounds = [parts() for _ in range(repeats)]
    some = pairs.iloc[: max(2, len(unique) // 20)]
    sweep = seconds(lambda: predict(network, [video], pairs, model, batch), repeats)
    naive_all = seconds(lambda: naive(some), repeats) / len(some) * len(pairs)
    rounds += [parts() for _ in range(repeats)]
    per_frame, per_warp, per_heads = np.median(rounds, axis=0)
    result = {
        "frames": len(frames),
        "pairs": len(unique),
        "backbone": per_frame * len(frames),
        "resampling": per_warp * len(unique),
        "heads": per_heads * len(unique),
        "sweep": sweep,
        "naive": naive_all,
    }
    result["floor"] = result["backbone"] + result["resampling"] + result["heads"]
    return result


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--paper", action="store_true", help="ResNet-101-FPN at 800 pixels: some minutes, once")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    model = load_config(ROOT / "config/config.yaml").model
    with tempfile.TemporaryDirectory() as folder:
        if arguments.paper:
            model = model.model_copy(update=PAPER)
            result = measure(model, clip(Path(folder), 21, 1, 720, 1280), batch=1, repeats=2)
        else:
            result = measure(model, clip(Path(folder), 50, 30, 128, 128), batch=16, repeats=3)
    size = "ResNet-101-FPN, 750×1333" if arguments.paper else "default, 128×128"
    parts = "backbone s | resampling s | heads s | floor s | sweep s | sweep / floor | naive s | naive / sweep"
    print(f"| size | threads | frames | pairs | {parts} |")
    print("|" + " --- |" * 12)
    values = [result[name] for name in ("backbone", "resampling", "heads", "floor", "sweep")]
    cells = [size, arguments.threads, result["frames"], result["pairs"], *(f"{value:.2f}" for value in values)]
    cells += [
        f"{result['sweep'] / result['floor']:.2f}",
        f"{result['naive']:.1f}",
        f"{result['naive'] / result['sweep']:.2f}",
    ]
    print("| " + " | ".join(map(str, cells)) + " |")


if __name__ == "__main__":
    main()
