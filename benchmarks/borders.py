"""What DiMoFs owe to the borders of frames: validation pairs with the pixels of the edges continued on every side.

Usage: python benchmarks/borders.py [RUN]. RUN: a folder with the data/ and results/ of `make results/table1.csv`.
"""

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import cv2
import pandas as pd

from dimofs.config import load_config
from dimofs.datasets.posetrack import read_posetrack18
from dimofs.datasets.records import Frame, Video
from dimofs.pairs.index import pair_index
from dimofs.pose.judge import mean_ap
from dimofs.pose.predict import predict
from dimofs.pose.pretrain import load_detector

ROOT = Path(__file__).parents[1]
MARGINS = (0, 32, 96)
TESTS = (("single_frame", 0), ("dimofs", 0), ("dimofs", 10))  # network and δ
FRAMES = 10  # labelled Frames A of each video, at least


def widened(video: Video, margin: int, folder: Path) -> Video:
    """Write a video's frames with `margin` more pixels on every side, and move the labels along."""
    frames = []
    for number, frame in enumerate(video.frames):
        path = folder / f"{video.name}_{number}.png"
        cv2.imwrite(
            str(path), cv2.copyMakeBorder(cv2.imread(str(frame.path)), *(margin,) * 4, borderType=cv2.BORDER_REPLICATE)
        )
        people = tuple(
            replace(
                person,
                joints=person.joints + margin,
                box=person.box + margin,
                head_box=None if person.head_box is None else person.head_box + margin,
            )
            for person in frame.people
        )
        frames.append(Frame(path, frame.labelled, people, tuple(region + margin for region in frame.ignore_regions)))
    return replace(video, frames=tuple(frames))


def main() -> None:
    """Print a table."""
    run = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT
    config = load_config(run / "config/config.yaml")
    networks = {name: load_detector(config, name, run / f"results/pretrain/{name}.safetensors") for name in dict(TESTS)}
    videos = [video for video in read_posetrack18(run / "data/datasets/posetrack18") if video.split == "val"]
    pairs = pair_index(videos, {"val": sorted({delta for _, delta in TESTS})})
    clamped = pairs.groupby(["video", "frame_a"])["clamped"].transform("any")
    rows = pairs[~clamped].groupby(["video", "delta"], group_keys=False)
    pairs = pd.concat([group.iloc[:: max(1, len(group) // FRAMES)] for _, group in rows])
    print(f"{(pairs['delta'] == 0).sum()} Frames A\n")
    print("| pixels more on each side |" + "".join(f" {name}, δ = {delta} |" for name, delta in TESTS))
    print("| --- |" + " --- |" * len(TESTS))
    for margin in MARGINS:
        side = config.model.image_size + 2 * margin
        model = config.model.model_copy(update={"image_size": side, "image_max_size": side})
        cells = []
        with tempfile.TemporaryDirectory() as folder:
            wide = [widened(video, margin, Path(folder)) for video in videos]
            for name, delta in TESTS:
                chosen = pairs[pairs["delta"] == delta].assign(delta=0)  # `mean_ap` judges what stands under δ = 0
                found = predict(networks[name], wide, chosen, model, config.pose.batch_size)
                cells.append(f" {mean_ap(wide, chosen, found):.1f} |")
        print(f"| {margin} |" + "".join(cells), flush=True)


if __name__ == "__main__":
    main()
