"""One training step at the paper's size (ResNet-101-FPN, 256 channels) on one pair of 800×1333 pixels, on the CPU, as
the loop takes it: its processor time and the process's peak memory. And with --compare the untrained pair network at
δ = 0 beside the single-frame detector with the same weights.

Run: python benchmarks/full_size_step.py [--single-frame] [--recompute-offsets] [--float32] [--compare]
"""

import argparse
import resource
import time
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from dimofs.config import Model, load_config
from dimofs.model.pose_detector import PoseDetector
from dimofs.training.loop import build_optimizer, computes_bfloat16

ROOT = Path(__file__).parents[1]
HEIGHT, WIDTH = 800, 1333


def frame(seed: int) -> torch.Tensor:
    """Noise, smooth enough for features to differ from place to place; padded to multiples of 32."""
    coarse = torch.rand((1, 3, HEIGHT // 16, WIDTH // 16), generator=torch.Generator().manual_seed(seed))
    fine = torch.nn.functional.interpolate(coarse, (HEIGHT, WIDTH), mode="bilinear")
    return torch.nn.functional.pad(fine, (0, -WIDTH % 32, 0, -HEIGHT % 32))


def labels() -> list[dict[str, torch.Tensor]]:
    """Five people side by side, every joint labelled."""
    left = torch.arange(5.0) * 250 + 40
    boxes = torch.stack([left, torch.full((5,), 150.0), left + 160, torch.full((5,), 650.0)], dim=1)
    places = torch.rand((5, 17, 2), generator=torch.Generator().manual_seed(2))
    joints = boxes[:, None, :2] + places * (boxes[:, None, 2:] - boxes[:, None, :2])
    keypoints = torch.cat([joints, torch.ones(5, 17, 1)], dim=2)
    return [{"boxes": boxes, "labels": torch.ones(5, dtype=torch.int64), "keypoints": keypoints}]


def peak() -> float:
    """Most memory that the process has held so far, GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


@torch.inference_mode()
def compare_at_zero(model: Model) -> None:
    """Print how far the untrained pair network at δ = 0 is from the single-frame detector."""
    torch.manual_seed(0)
    single = PoseDetector(model, pairs=False).eval()
    pair = PoseDetector(model, pairs=True).eval()
    pair.load_state_dict(single.state_dict(), strict=False)
    features = single.backbone(frame(0))
    scale = max(level.abs().max().item() for level in features)
    copies = [level.clone() for level in features]
    for way, first in (("zeros as the difference", features), ("a copy as Frame A", copies)):
        resampled = pair.resampled(first, features)
        error = max((a - b).abs().max().item() for a, b in zip(resampled, features, strict=True))
        print(f"δ = 0, {way}: features differ by at most {error / scale:.1e} of their largest value")
    print(f"of the process so far: {peak():.1f} GB")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--single-frame", action="store_true", help="the baseline instead of DiMoFs")
    parser.add_argument("--recompute-offsets", action="store_true")
    parser.add_argument("--float32", action="store_true", help="no mixed precision, even where the loop mixes")
    parser.add_argument("--compare", action="store_true", help="δ = 0 beside the single-frame detector, no step")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    config = load_config(ROOT / "scenarios/paper/config/config.yaml")
    if arguments.compare:
        compare_at_zero(config.model)
        return
    torch.manual_seed(0)
    pairs = not arguments.single_frame
    detector = PoseDetector(config.model, pairs=pairs, recompute_offsets=arguments.recompute_offsets).train()
    detector.backbone.freeze(config.pretrain.frozen_stages)
    if detector.offsets is not None:
        for predictor in detector.offsets.predictors:
            torch.nn.init.normal_(predictor.weight, std=0.01)
    optimizer = build_optimizer(detector, config.pretrain.pose)
    mixed = computes_bfloat16(torch.device("cpu")) and not arguments.float32
    start = time.process_time()
    with FlopCounterMode(display=False) as counter:
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            losses = detector.losses(frame(0), frame(1) if pairs else None, [(HEIGHT, WIDTH)], labels())
            loss = torch.stack(list(losses.values())).sum()
        forward = time.process_time()
        loss.backward()
    torch.nn.utils.clip_grad_norm_(detector.parameters(), config.pretrain.pose.clip_norm)
    optimizer.step()
    end, flops = time.process_time(), counter.get_total_flops()
    print("| network | offsets | precision | TFLOP | forward, core s | step, core s | GFLOP/s | peak GB |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    cells = (
        "DiMoFs" if pairs else "single frame",
        ("computed twice" if arguments.recompute_offsets else "kept") if pairs else "–",
        "bfloat16" if mixed else "float32",
        f"{flops / 1e12:.2f}", f"{forward - start:.0f}", f"{end - start:.0f}", f"{flops / (end - start) / 1e9:.0f}",
        f"{peak():.1f}",
    )  # fmt: skip
    print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
