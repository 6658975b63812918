"""`dimofs video` on a long video: memory over time, and where the time goes.

Run: python benchmarks/video.py --checkpoint results/pretrain/dimofs.safetensors
"""

import argparse
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import av
import cv2
import numpy as np
import torch

from dimofs.datasets.synthetic.render import render
from dimofs.datasets.synthetic.scene import Framing, random_scene
from dimofs.model.backbone import Backbone
from dimofs.model.offsets import Offsets
from dimofs.model.pose_detector import PoseDetector
from dimofs.pose.pretrain import detector_of
from dimofs.video import run as video_run
from dimofs.video.outputs import Overlay, Part
from dimofs.video.read import VideoFile

SETTLED = 200  # frames after which memory must not grow


def people(path: Path, frames: int, width: int, height: int) -> None:
    """Encode rendered people going to and fro for so many frames."""
    rng = np.random.default_rng(3)
    clip = render(random_scene(rng, Framing(60, 256, ("walk", "jumping_jack"))), rng).frames
    pictures = [cv2.resize(picture, (width, height)) for picture in clip + clip[-2:0:-1]]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "superfast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(pictures[number % len(pictures)], "bgr24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def resident() -> float:
    """Memory of this process, MB."""
    fields = Path("/proc/self/status").read_text().split("VmRSS:")[1].split()
    return int(fields[0]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--checkpoint", type=Path, default=Path("results/pretrain/dimofs.safetensors"))
    parser.add_argument("--frames", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    seconds: dict[str, float] = defaultdict(float)
    done, samples, stop = [0], [], threading.Event()

    def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*values: Any, **named: Any) -> Any:
            start = time.perf_counter()
            result = function(*values, **named)
            seconds[name] += time.perf_counter() - start
            done[0] += name == "part"
            return result

        return wrapper

    def watch() -> None:
        while not stop.wait(0.05):
            samples.append((done[0], resident()))

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        people(folder / "people.mp4", arguments.frames, 640, 480)
        detector_of(arguments.checkpoint)
        before = resident()
        threading.Thread(target=watch, daemon=True).start()
        methods = [
            (Backbone, "forward", "backbone"), (Offsets, "forward", "offsets"), (PoseDetector, "detect", "heads"),
            (PoseDetector, "resampled", "resampling"), (VideoFile, "_upright", "conversion"), (Part, "add", "part"),
            (Overlay, "add", "encoding"), (video_run, "join", "joining"),
        ]  # fmt: skip
        patches = [patch.object(owner, method, timed(name, getattr(owner, method))) for owner, method, name in methods]
        for one in patches:
            one.start()
        start = time.perf_counter()
        video_run.run(folder / "people.mp4", arguments.checkpoint, folder / "out")
        wall = time.perf_counter() - start
        stop.set()
    network = sum(seconds[name] for name in ("backbone", "offsets", "heads", "resampling"))
    last = arguments.frames
    stages = {
        f"frames 1 to {SETTLED}": range(SETTLED),
        f"to {last // 2}": range(SETTLED, last // 2),
        f"to {last}": range(last // 2, last),
        "joining": range(last, last + 1),
    }
    peaks = [max(memory for frames, memory in samples if frames in stage) - before for stage in stages.values()]
    print("| frames | threads | frames/s | in the network | MB before | " + " | ".join(stages) + " |")
    print("|" + " --- |" * (5 + len(stages)))
    cells = [last, arguments.threads, f"{last / wall:.1f}", f"{100 * network / wall:.0f} %", f"{before:.0f}"]
    print("| " + " | ".join(map(str, [*cells, *(f"+{peak:.0f}" for peak in peaks)])) + " |")
    print(f"wall {wall:.1f} s:", ", ".join(f"{name} {value:.1f}" for name, value in seconds.items()))


if __name__ == "__main__":
    main()
