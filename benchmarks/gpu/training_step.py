"""Training steps at full size on a GPU: DiMoFs beside the single-frame detector, and how long they wait for data.

The project's own loop trains both networks on random frames of the configuration's largest size, written as JPEG files.
It does so twice: on batches that are loaded as in any training, and on batches that lie in memory. What the first takes
longer a step is the wait for data. Run: python benchmarks/gpu/training_step.py
"""

import argparse
import statistics
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter

import cv2
import numpy as np
import torch
from torch import Tensor

from dimofs.config import Config, load_config
from dimofs.datasets.records import POSETRACK_JOINTS, Frame, Person, Video
from dimofs.pairs.index import pair_index
from dimofs.pairs.loading import Batch, PairLoader, nothing, pose_target, second_frame
from dimofs.pairs.sampling import PairSampler
from dimofs.pose.pretrain import batch_losses, build_detector
from dimofs.training.loop import Batches, Run, train

ROOT = Path(__file__).parents[2]
NETWORKS = {"single_frame": nothing, "dimofs": second_frame}
WARM_UP = 5  # steps
VIDEOS, FRAMES, PEOPLE = 4, 24, 4


class Held:
    """Batches that were loaded before, over and over."""

    def __init__(self, loader: PairLoader, batch_size: int) -> None:
        self._loaded = list(loader.batches(batch_size, 0, 4))

    def batches(self, batch_size: int, first: int, last: int) -> Iterator[Batch]:
        for step in range(first, last):
            yield self._loaded[step % len(self._loaded)]


def random_videos(folder: Path, height: int, width: int) -> list[Video]:
    """Write frames of smooth noise, with people of random joints."""
    generator = np.random.default_rng(0)
    videos = []
    for number in range(VIDEOS):
        frames = []
        for position in range(FRAMES):
            noise = generator.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
            path = folder / f"{number}-{position:02}.jpg"
            cv2.imwrite(str(path), cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC))
            people = tuple(random_person(generator, track, height, width) for track in range(PEOPLE))
            frames.append(Frame(path, True, people, ()))
        videos.append(Video(f"video{number}", "train", POSETRACK_JOINTS, tuple(frames), None))
    return videos


def random_person(generator: np.random.Generator, track: int, height: int, width: int) -> Person:
    corner = generator.uniform(0, [0.7 * width, 0.5 * height])
    joints = (corner + generator.uniform(0, [0.3 * width, 0.5 * height], (len(POSETRACK_JOINTS), 2))).astype(np.float32)
    box = np.concatenate([joints.min(0), joints.max(0)])
    return Person(track, box, None, joints, np.ones(len(joints), bool))


def step_seconds(config: Config, network: str, batches: Batches, folder: Path) -> list[float]:
    """Train for the configuration's steps and give the time of each after the warm-up."""
    torch.manual_seed(0)
    detector = build_detector(config, network, training=True)
    starts: list[float] = []
    run = Run(network, 0, {}, folder / "checkpoint.safetensors", folder / "curve.csv", folder / "resume")
    train(detector, stamped(batch_losses(detector), starts), batches, config.pretrain.pose, run)
    return np.diff(starts[WARM_UP:]).tolist()


def stamped(losses: Callable[[Batch], dict[str, Tensor]], starts: list[float]) -> Callable[[Batch], dict[str, Tensor]]:
    """Note when each step has its batch; the loop looks at every loss, so none runs ahead by more than a step."""

    def noted(batch: Batch) -> dict[str, Tensor]:
        starts.append(perf_counter())
        return losses(batch)

    return noted


def report(config: Config, batch_size: int, steps: int) -> list[str]:
    """Time both networks; the lines of a table."""
    schedule = {"steps": steps, "batch_size": batch_size, "checkpoint_every": steps, "validate_every": steps}
    pose = config.pretrain.pose.model_copy(update=schedule)
    config = config.model_copy(update={"pretrain": config.pretrain.model_copy(update={"pose": pose})})
    times: dict[tuple[str, str], list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        videos = random_videos(folder, config.model.image_size, config.model.image_max_size)
        sampler = PairSampler(pair_index(videos, {"train": range(-3, 4)}), "train", 0)
        for network, beside in NETWORKS.items():
            augmentation = config.pretrain.augmentation
            loader = PairLoader(videos, sampler, config.model, augmentation, target=pose_target, beside=beside, seed=0)
            for source, batches in (("loaded", loader), ("in memory", Held(loader, batch_size))):
                times[network, source] = step_seconds(config, network, batches, folder)
    lines = ["| network | step, loaded | step, in memory | wait for data |", "| --- | --- | --- | --- |"]
    for network in NETWORKS:
        loaded, held = times[network, "loaded"], times[network, "in memory"]
        wait = 1 - statistics.mean(held) / statistics.mean(loaded)
        cells = (f"{1e3 * statistics.median(taken):.0f} ms" for taken in (loaded, held))
        lines.append(f"| {network} | {' | '.join(cells)} | {wait:.1%} |")
    medians = [statistics.median(times[network, "loaded"]) for network in ("dimofs", "single_frame")]
    return [*lines, "", f"DiMoFs take {medians[0] / medians[1]:.2f} times as long a step; medians of {steps - WARM_UP}"]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path, default=ROOT / "scenarios/paper/config/config.yaml")
    parser.add_argument("--batch-size", type=int, default=2)
    parser.add_argument("--steps", type=int, default=105)
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        print("no CUDA device: not measured")
        return
    config = load_config(arguments.config)
    print(
        f"{torch.cuda.get_device_name()}, torch {torch.__version__}, {arguments.config}, batch {arguments.batch_size}"
    )
    print("\n".join(report(config, arguments.batch_size, arguments.steps)))
    print(f"peak memory {torch.cuda.max_memory_allocated() / 1e9:.1f} GB")


if __name__ == "__main__":
    main()
