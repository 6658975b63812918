"""What the paper's scenario costs on 1, 8 and 64 GPUs: operations counted, everything else a named argument.

Multiplications and additions of convolutions and matrix products are counted by torch on the meta device, so this runs
in seconds anywhere. What no GPU here could tell (how much of its peak a GPU reaches, what an hour costs) stands in the
arguments, with its source. docs/scale.md is written around the tables that this prints.

Run: python benchmarks/scale.py [--check]
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from full_size_step import frame, labels
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from dimofs.config import Config, Model, load_config
from dimofs.model.heads import pyramid
from dimofs.model.pose_detector import PoseDetector
from dimofs.training.loop import computes_bfloat16

ROOT = Path(__file__).parents[1]
TERA = 1e12
POSITIVES = 0.25  # of the RoIs, at most: as many have a keypoint loss

Counts = dict[str, tuple[float, float]]  #: by part of the network: operations forward and backward


def counted(run: Callable[[], Iterable[Tensor]], *, backward: bool) -> tuple[float, float]:
    """Count the operations of a part forward and, if asked for, backward."""
    with FlopCounterMode(display=False) as forward:
        outputs = list(run())
    if not backward:
        return forward.get_total_flops(), 0.0
    with FlopCounterMode(display=False) as back:
        torch.stack([output.sum() for output in outputs]).sum().backward()
    return forward.get_total_flops(), back.get_total_flops()


def operations(
    model: Model, size: tuple[int, int], *, pairs: bool, training: bool, frozen: int = 0, people: int = 10
) -> Counts:
    """Count one frame or pair of that size (padded height and width).

    people: detections a frame at test time; in training as many RoIs as can be positive have keypoints.
    """
    with torch.device("meta"):
        detector = PoseDetector(model, pairs=pairs).train(training)
        detector.backbone.freeze(frozen)
        frames = torch.rand((2 if pairs else 1, 3, *size))
        rois = model.rois_per_image if training else model.proposals_test
        boxes = torch.rand((rois, model.fpn_channels, 7, 7), requires_grad=training)
        joints = int(rois * POSITIVES) if training else people
        poses = torch.rand((joints, model.fpn_channels, 14, 14), requires_grad=training)

        def given() -> list[Tensor]:
            sides = [(size[0] // stride, size[1] // stride) for stride in (4, 8, 16, 32)]
            return [torch.rand((1, model.fpn_channels, *side), requires_grad=training) for side in sides]

        features_a, features_b = given(), given()
        heads = detector.roi_heads
        parts: dict[str, Callable[[], Iterable[Tensor]]] = {"backbone": lambda: detector.backbone(frames)}
        if detector.offsets is not None and detector.resampling is not None:
            offsets, resampling = detector.offsets, detector.resampling
            parts["offsets"] = lambda: offsets(features_a, features_b)
            parts["1×1 weight"] = lambda: resampling(features_b, None)
        parts["RPN"] = lambda: [
            level for kind in detector.rpn.head(list(pyramid(features_b).values())) for level in kind
        ]
        parts["box head"] = lambda: heads.box_predictor(heads.box_head(boxes))
        parts["keypoint head"] = lambda: [heads.keypoint_predictor(heads.keypoint_head(poses))]
        with torch.set_grad_enabled(training):
            return {name: counted(run, backward=training) for name, run in parts.items()}


def total(counts: Counts) -> float:
    return sum(forward + backward for forward, backward in counts.values())


def padded(short: int, long: int, model: Model) -> tuple[int, int]:
    """Give the padded size of the network's frame for a video of that size at test time."""
    scale = min(model.image_size / short, model.image_max_size / long)
    return 32 * -(-round(short * scale) // 32), 32 * -(-round(long * scale) // 32)


def print_operations(model: Model, frozen: int) -> None:
    size = padded(720, 1280, model)
    print(f"\nOne training step on one image, {size[0]}×{size[1]}, TFLOP (multiplication and addition count two):\n")
    print("| part | single frame | DiMoFs |\n| --- | --- | --- |")
    both = [operations(model, size, pairs=pairs, training=True, frozen=frozen) for pairs in (False, True)]
    for name in both[1]:
        cells = [f"{sum(counts[name]) / TERA:.2f}" if name in counts else "–" for counts in both]
        print(f"| {name} | {' | '.join(cells)} |")
    print(f"| all | {' | '.join(f'{total(counts) / TERA:.2f}' for counts in both)} |")
    print(f"\nDiMoFs over single frame: {total(both[1]) / total(both[0]):.2f}")


def print_jobs(config: Config, a: argparse.Namespace) -> None:
    """Print hours, money, memory and disk of the jobs behind Tables 1 to 3 and the features of Table 4."""
    model, training = config.model, config.pretrain.pose
    wide, square = padded(720, 1280, model), padded(240, 320, model)
    frozen = config.pretrain.frozen_stages
    step = {pairs: total(operations(model, wide, pairs=pairs, training=True, frozen=frozen)) for pairs in (False, True)}
    # A localiser has no keypoints, and a second branch whose MLP reads twice as many channels (§5.1).
    action = operations(model, square, pairs=True, training=True)
    action_step = total(action) - sum(action["keypoint head"]) + 2 * sum(action["box head"])

    def predict(size: tuple[int, int], frames: float, deltas: int) -> float:
        """Every frame passes the backbone once (§6: the sweep shares it), every pair the rest."""
        counts = operations(model, size, pairs=True, training=False)
        once = sum(counts["backbone"]) / 2
        return frames * (once * (2 if deltas == 1 else 1) + deltas * (total(counts) - 2 * once))

    images = training.steps * training.batch_size
    # name, operations, how many processes it can use, what it waits for
    work = {
        "train single_frame": (images * step[False], training.batch_size, ""),
        "train dimofs": (images * step[True], training.batch_size, ""),
        "predict poses, 21 δ": (predict(wide, a.pose_frames, 21), 1, "train dimofs"),
        **{
            f"train action localiser {number} of 5": (images * action_step, training.batch_size, "train dimofs")
            for number in range(1, 6)
        },
        "localise actions, 21 δ, twice": (2 * predict(square, a.action_frames, 21), 2, "train action localiser 1 of 5"),
        "features of dives": (predict(square, a.dive_frames, 1), 1, "train dimofs"),
    }
    rate = a.peak * TERA * a.fraction
    parameters = sum(weight.numel() for weight in PoseDetector(model, pairs=True).parameters())
    exchange = 2 * 4 * parameters / (a.link * 1e9)  # s a step: a ring sends and receives each gradient twice

    def hours(name: str, gpus: int) -> float:
        """Time of a job on as many GPUs as it can use."""
        flops, most, _ = work[name]
        used = min(gpus, most)
        steps = training.steps if name.startswith("train") and used > 1 else 0
        return (flops / rate / used + steps * exchange) / 3600

    def wait(name: str, gpus: int) -> float:
        before = work[name][2]
        return hours(name, gpus) + (wait(before, gpus) if before else 0)

    print(f"\nJobs, at {a.fraction:.0%} of {a.peak:.0f} TFLOP/s:\n")
    print("| job | PFLOP | GPU-hours | GPUs it can use |\n| --- | --- | --- | --- |")
    for name, (flops, most, _) in work.items():
        print(f"| {name} | {flops / 1e15:,.0f} | {hours(name, 1):.1f} | {most} |")
    print("\n| GPUs | hours | GPU-hours used | money | longest chain of jobs |\n| --- | --- | --- | --- | --- |")
    for gpus in (1, 8, 64):
        used = sum(hours(name, gpus) * min(gpus, most) for name, (_, most, _) in work.items())
        longest = max(work, key=lambda name: wait(name, gpus))
        wall = max(used / gpus, wait(longest, gpus))
        chain = f"{wait(longest, gpus):.1f} h, to the end of: {longest}"
        print(f"| {gpus} | {wall:.1f} | {used:.1f} | ${used * a.price:,.0f} | {chain} |")
    print(
        f"\nWeights: {parameters / 1e6:.0f} million; a checkpoint {4 * parameters / 1e9:.2f} GB, a resume point "
        f"{8 * parameters / 1e9:.2f} GB; exchanging gradients: {exchange * 1e3:.1f} ms a step at {a.link:.0f} GB/s."
    )
    for batch in (1, 8):
        print(f"Memory of a GPU with {batch} pairs: {a.fixed_memory + batch * a.pair_memory:.0f} GB.")
    disk = a.archives * (1 + a.unpacked) + 8 * 4 * parameters / 1e9 + 8 * parameters / 1e9
    print(f"Disk: {disk:.0f} GB (archives and the same unpacked, 8 checkpoints, a resume point).")


def print_large(a: argparse.Namespace) -> None:
    """Print the minutes of the scenario `large` on one GPU, a row for each kind of job, for one seed."""
    config = load_config(ROOT / "scenarios/large/config/config.yaml")
    model, rate = config.model, a.peak * TERA * a.fraction
    size = (model.image_size, model.image_size)
    train = {pairs: total(operations(model, size, pairs=pairs, training=True)) for pairs in (False, True)}
    predict = total(operations(model, size, pairs=True, training=False))
    data, pretrain, actions = config.datasets, config.pretrain, config.actions.training
    poses = data.posetrack18.val_videos * (
        data.posetrack18.labelled_frames
        + (data.posetrack18.frames - data.posetrack18.labelled_frames) // data.posetrack18.val_label_step
    )
    clip = (data.jhmdb.min_frames + data.jhmdb.max_frames) / 2
    tests = 21 * data.jhmdb.clips_per_class / 3 * clip
    dives = (
        47 * (data.diving48.train_clips_per_class + data.diving48.test_clips_per_class) * 2 * data.diving48.frame_rate
    )
    # name, steps or batches, operations of one, seconds below which it cannot fall
    rows = (
        ("train still", pretrain.still.steps, pretrain.still.batch_size * train[False], a.step_floor),
        ("train single_frame", pretrain.pose.steps, pretrain.pose.batch_size * train[False], a.step_floor),
        ("train dimofs", pretrain.pose.steps, pretrain.pose.batch_size * train[True], a.step_floor),
        ("train 5 action localisers", 5 * actions.steps, actions.batch_size * train[True], a.step_floor),
        ("predict poses, 21 δ", poses * 21 / config.pose.batch_size, config.pose.batch_size * predict, a.batch_floor),
        (
            "localise actions, 21 δ, twice",
            2 * tests * 21 / config.actions.batch_size,
            config.actions.batch_size * predict / 4,  # the backbone's share is computed once for all δ
            a.batch_floor / 4,
        ),
        ("features of dives", dives / config.features.batch_size, config.features.batch_size * predict, a.batch_floor),
    )
    print(f"\nThe scenario large, one seed on one GPU, at {a.fraction:.0%} of its peak:\n")
    print("| job | steps or batches | TFLOP each | s each | minutes |\n| --- | --- | --- | --- | --- |")
    minutes = 0.0
    for name, count, flops, floor in rows:
        seconds = max(flops / rate, floor)
        minutes += count * seconds / 60
        print(f"| {name} | {count:,.0f} | {flops / TERA:.2f} | {seconds:.3f} | {count * seconds / 60:.1f} |")
    print(f"| all | | | | {minutes:.1f} |")


def real_step(config: Config, *, pairs: bool) -> Callable[[], None]:
    """Give a forward and backward pass of the default size, on people in noise."""
    batch = config.pretrain.pose.batch_size
    torch.manual_seed(0)
    detector = PoseDetector(config.model, pairs=pairs).train()
    frames = torch.cat([frame(seed) for seed in range(2 * batch)])
    small = torch.nn.functional.interpolate(frames, (128, 128))
    (target,) = labels()
    target["boxes"], target["keypoints"] = target["boxes"] / 10, target["keypoints"] / torch.tensor([10, 10, 1])
    mixed = computes_bfloat16(torch.device("cpu"))

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            frames_b = small[batch:] if pairs else None
            losses = detector.losses(small[:batch], frames_b, [(128, 128)] * batch, [target] * batch)
        torch.stack(list(losses.values())).sum().backward()

    return step


def print_check(threads: int) -> None:
    """Print counted beside measured: a step of the default size on this CPU, operations and rate."""
    torch.set_num_threads(threads)
    config = load_config(ROOT / "config/config.yaml")
    batch = config.pretrain.pose.batch_size
    print(f"\nA step of the default size, batch of {batch}, on this CPU, {threads} thread(s):\n")
    print("| | counted on meta, GFLOP | in a real step, GFLOP | core ms | GFLOP/s |\n| --- | --- | --- | --- | --- |")
    for name, pairs in (("single frame", False), ("DiMoFs", True)):
        step = real_step(config, pairs=pairs)
        with FlopCounterMode(display=False) as counter:
            step()
        times = []
        for _ in range(12):
            start = time.process_time()
            step()
            times.append(time.process_time() - start)
        ours = batch * total(operations(config.model, (128, 128), pairs=pairs, training=True))
        real, seconds = counter.get_total_flops(), statistics.median(times)
        print(f"| {name} | {ours / 1e9:.1f} | {real / 1e9:.1f} | {seconds * 1e3:.0f} | {real / seconds / 1e9:.0f} |")


def main() -> None:
    parser = argparse.ArgumentParser(formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add = parser.add_argument
    add(
        "--peak",
        type=float,
        default=989,
        help="TFLOP/s of the GPU, bfloat16 without sparsity (NVIDIA's H100/H200 data sheet)",
    )
    add(
        "--fraction",
        type=float,
        default=0.15,
        help="of the peak that training reaches; an assumption, see docs/scale.md",
    )
    add("--price", type=float, default=4.0, help="dollars a GPU-hour: H200 from 2.5 to 7 in May 2026 (mercatus-ai.com)")
    add("--link", type=float, default=50, help="GB/s between GPUs: 400 Gbit/s Ethernet or InfiniBand, no NVLink")
    add(
        "--step-floor",
        type=float,
        default=0.15,
        help="s of a step however small: torchvision's loops over images; assumed",
    )
    add("--batch-floor", type=float, default=0.08, help="the same for a batch at test time; assumed")
    add("--pair-memory", type=float, default=4, help="GB that a pair adds (benchmarks/full_size_step.py)")
    add("--fixed-memory", type=float, default=2, help="GB for weights, gradients, momentum, libraries")
    add("--pose-frames", type=float, default=4000, help="labelled validation frames of PoseTrack18, about")
    add("--action-frames", type=float, default=9200, help="test frames of JHMDB split 1, about 34 in each of 268 clips")
    add("--dive-frames", type=float, default=2.7e6, help="frames of Diving48, about 160 in each of 16,997 dives")
    add("--archives", type=float, default=60, help="GB of PoseTrack18, JHMDB and Diving48, about")
    add("--unpacked", type=float, default=1.0, help="GB that a GB of archives becomes; JPEG and mp4 grow little")
    add("--check", action="store_true", help="also run steps of the default size here")
    add("--threads", type=int, default=1, help="of the check")
    arguments = parser.parse_args()
    config = load_config(ROOT / "scenarios/paper/config/config.yaml")
    print_operations(config.model, config.pretrain.frozen_stages)
    print_jobs(config, arguments)
    print_large(arguments)
    if arguments.check:
        print_check(arguments.threads)


if __name__ == "__main__":
    main()
