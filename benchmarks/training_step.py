"""One optimiser step of DiMoFs beside one of the single-frame detector, on the same frames, as the loop takes it
(default size, CPU, mixed precision where the processor has it).

The two take turns, so that a noisy machine hits both alike. Run: python benchmarks/training_step.py
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from dimofs.config import Config, load_config
from dimofs.datasets.posetrack import read_posetrack18
from dimofs.datasets.synthetic.write import render
from dimofs.pairs.index import pair_index
from dimofs.pairs.loading import Batch, PairLoader, pose_target, second_frame
from dimofs.pairs.sampling import PairSampler
from dimofs.pose.pretrain import batch_losses, build_detector
from dimofs.training.loop import build_optimizer, computes_bfloat16

ROOT = Path(__file__).parents[1]


def rendered_batches(config: Config, folder: Path, count: int) -> list[Batch]:
    """Load batches of pairs from a small rendered PoseTrack18 set."""
    size = config.datasets.posetrack18.model_copy(update={"train_videos": 8, "val_videos": 1})
    render("posetrack18", config.datasets.model_copy(update={"posetrack18": size}), 0, folder, 2)
    videos = read_posetrack18(folder)
    deltas = config.pairs.posetrack18_train.values()
    sampler = PairSampler(pair_index(videos, {"train": deltas, "val": (0,)}), "train", 0)
    augmentation = config.pretrain.augmentation
    loader = PairLoader(videos, sampler, config.model, augmentation, target=pose_target, beside=second_frame, seed=0)
    return list(loader.batches(config.pretrain.pose.batch_size, 0, count))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=40)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    config = load_config(ROOT / "config/config.yaml")
    with tempfile.TemporaryDirectory() as folder:
        batches = rendered_batches(config, Path(folder) / "posetrack18", 8)
    networks = {name: build_detector(config, name).train() for name in ("single_frame", "dimofs")}
    optimizers = {name: build_optimizer(network, config.pretrain.pose) for name, network in networks.items()}
    times: dict[str, list[float]] = {name: [] for name in networks}
    for step in range(arguments.steps):
        batch = batches[step % len(batches)]
        alone = Batch(batch.frames[:1], batch.sizes, batch.targets, batch.draws)
        for name, seen in (("single_frame", alone), ("dimofs", batch)):
            torch.manual_seed(step)
            start = time.perf_counter()
            with torch.autocast("cpu", torch.bfloat16, enabled=computes_bfloat16(torch.device("cpu"))):
                loss = torch.stack(list(batch_losses(networks[name])(seen).values())).sum()
            optimizers[name].zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(networks[name].parameters(), config.pretrain.pose.clip_norm)
            optimizers[name].step()
            times[name].append(time.perf_counter() - start)
    single, pair = (statistics.median(times[name][5:]) for name in ("single_frame", "dimofs"))
    ratios = np.array(times["dimofs"][5:]) / np.array(times["single_frame"][5:])
    print("| threads | single frame, ms | DiMoFs, ms | ratio of medians | median of ratios |")
    print("| --- | --- | --- | --- | --- |")
    cells = (f"{single * 1e3:.0f}", f"{pair * 1e3:.0f}", f"{pair / single:.2f}", f"{np.median(ratios):.2f}")
    print(f"| {arguments.threads} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
