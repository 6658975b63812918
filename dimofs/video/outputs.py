"""The files of a run, written in parts of some hundred frames that are joined at the end, so that memory stays bounded.

A part is a folder:

    frames.parquet     position, time, name
    people.parquet     frame, track, score, box (4,), joints (34,), joint_scores (17,)
    features.parquet   one row a joint of a person at a δ, see FEATURE_COLUMNS
    overlay.mp4        the drawn frames, from time 0
    dense/%06d.npz     on request, one file a frame, see `_write_dense`
"""

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Self, TextIO

import av
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from dimofs.datasets.records import LABELLED_JOINTS, LABELLED_SLOTS, POSETRACK_JOINTS, Image
from dimofs.io import replacing, write_parquet
from dimofs.metrics import exported_scores
from dimofs.tracking.submission import prediction
from dimofs.video.analyse import AnalysedFrame
from dimofs.video.overlay import draw

#: Columns of the table of features: one row for each person of a frame, each joint but the ears, and each δ. x and y
#: are the joint's place in Frame A and `features` (8C,) the offsets there (`dimofs.model.fields.joint_features`),
#: all in pixels of the video; `time` is in seconds, `frame_b` the clamped position of Frame B, `joint_score` a logit.
FEATURE_COLUMNS = {
    "frame": pa.int32(), "time": pa.float64(), "delta": pa.int32(), "frame_b": pa.int32(), "track": pa.int32(),
    "joint": pa.string(), "x": pa.float32(), "y": pa.float32(), "joint_score": pa.float32(),
}  # fmt: skip

#: What a run writes to its folder, beside `dense/` on request.
FILES = ("poses.json", "features.parquet", "overlay.mp4")

_ROWS = 2048  # of features held in memory
_TICKS = 90_000  # of the overlay's clock a second
_PARQUET: dict[str, Any] = {"compression": "zstd", "use_dictionary": ["joint"]}  # no two features are the same
_X264 = {"preset": "superfast", "crf": "23", "bf": "0"}  # no frame waits for a later one


class Part:
    """Writer of one part, as a context; what it has written counts only when the block has ended without an error."""

    def __init__(self, folder: Path, channels: int, dense: bool) -> None:
        """Take C, the feature channels of the network, and whether the offsets are wanted at every pixel."""
        folder.mkdir(parents=True)
        self._folder, self._dense = folder, dense
        self._frames: list[dict[str, object]] = []
        self._people: list[dict[str, object]] = []
        self._features = FeatureTable(folder / "features.parquet", 8 * channels)
        self._overlay = Overlay(folder / "overlay.mp4")

    def add(self, frame: AnalysedFrame) -> None:
        """Write a frame."""
        picture = frame.picture
        self._frames.append({"position": picture.position, "time": picture.time, "name": picture.name})
        self._people.extend(
            {
                "frame": picture.position,
                "track": person.track,
                "score": person.score,
                "box": person.box,
                "joints": person.joints.reshape(-1),
                "joint_scores": person.joint_scores,
            }
            for person in frame.people
        )
        self._features.add(frame)
        self._overlay.add(draw(frame, next(iter(frame.offsets))), picture.time)
        if self._dense:
            _write_dense(frame, self._folder / "dense" / f"{picture.position:06d}.npz")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._features.close()
        self._overlay.close()
        columns = ["frame", "track", "score", "box", "joints", "joint_scores"]
        write_parquet(pd.DataFrame(self._people, columns=columns), self._folder / "people.parquet")
        write_parquet(pd.DataFrame(self._frames), self._folder / "frames.parquet")


class FeatureTable:
    """Writer of a table of features, some rows at a time."""

    def __init__(self, path: Path, width: int) -> None:
        """Take the length of a joint's feature."""
        self._schema = pa.schema({**FEATURE_COLUMNS, "features": pa.list_(pa.float32(), width)})
        self._writer = pq.ParquetWriter(path, self._schema, **_PARQUET)
        self._held: list[pa.Table] = []

    def add(self, frame: AnalysedFrame) -> None:
        """Add the rows of a frame."""
        joints = len(LABELLED_SLOTS)
        for person in frame.people:
            for delta, features in person.features.items():
                columns: dict[str, Any] = {
                    "frame": [frame.picture.position] * joints,
                    "time": [frame.picture.time] * joints,
                    "delta": [delta] * joints,
                    "frame_b": [frame.frames_b[delta]] * joints,
                    "track": [person.track] * joints,
                    "joint": LABELLED_JOINTS,
                    "x": person.joints[LABELLED_SLOTS, 0],
                    "y": person.joints[LABELLED_SLOTS, 1],
                    "joint_score": person.joint_scores[LABELLED_SLOTS],
                    "features": pa.FixedSizeListArray.from_arrays(features[LABELLED_SLOTS].ravel(), features.shape[1]),
                }
                self._held.append(pa.table(columns, schema=self._schema))
        if sum(map(len, self._held)) >= _ROWS:
            self._write()

    def close(self) -> None:
        """Write what is held and finish the file."""
        if self._held:
            self._write()
        self._writer.close()

    def _write(self) -> None:
        self._writer.write_table(pa.concat_tables(self._held))
        self._held = []


class Overlay:
    """Writer of a video of drawn frames, each shown at its own time."""

    def __init__(self, path: Path) -> None:
        self._container = av.open(str(path), "w")
        self._stream: Any = None
        self._start = 0.0
        self._pts = -1

    def add(self, image: Image, time: float) -> None:
        """Add a frame (H, W, 3) uint8 BGR with even sides; the first frame's time is the video's 0."""
        if self._stream is None:
            self._stream = self._container.add_stream("libx264", options=_X264)
            self._stream.height, self._stream.width, self._stream.pix_fmt = *image.shape[:2], "yuv420p"
            self._stream.codec_context.time_base = self._stream.time_base = Fraction(1, _TICKS)
            self._start = time
        frame = av.VideoFrame.from_ndarray(image, "bgr24")
        self._pts = max(round((time - self._start) * _TICKS), self._pts + 1)
        frame.pts, frame.time_base = self._pts, Fraction(1, _TICKS)
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Finish the file."""
        if self._stream is not None:
            self._container.mux(self._stream.encode())
        self._container.close()


def join(parts: Sequence[Path], name: str, out: Path) -> None:
    """Make the files of a run from its parts, each of which has a frame: poses.json, features.parquet, overlay.mp4."""
    with replacing(out / "poses.json") as temporary, temporary.open("w", encoding="utf-8") as file:
        _write_poses(parts, name, file)
    with replacing(out / "features.parquet") as temporary:
        _join_features([part / "features.parquet" for part in parts], temporary)
    with replacing(out / "overlay.mp4") as temporary:
        _join_overlays(parts, temporary)
    for part in parts:
        for path in sorted((part / "dense").glob("*.npz")):
            with replacing(out / "dense" / path.name) as temporary:
                _copy(path, temporary)


def is_whole(part: Path, dense: bool) -> bool:
    """Whether the files of a part can be read: a machine that lost its power may have left them empty or away."""
    try:
        frames, *_ = (pq.read_metadata(part / f"{name}.parquet") for name in ("frames", "people", "features"))
        with av.open(str(part / "overlay.mp4")) as drawn:
            shown = len(drawn.streams.video)
    except (OSError, pa.ArrowInvalid, av.FFmpegError):
        return False
    maps = [path for path in (part / "dense").glob("*.npz") if path.stat().st_size]
    return shown == 1 and len(maps) == (frames.num_rows if dense else 0)


def _copy(source: Path, target: Path) -> None:
    """As a second name of the same file where there are such: the part stays whole until all parts are joined."""
    target.unlink()
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _write_poses(parts: Sequence[Path], name: str, file: TextIO) -> None:
    """Poses and tracks in PoseTrack18's form; `timestamp`, in seconds, is ours."""
    nframes = sum(pq.read_metadata(part / "frames.parquet").num_rows for part in parts)

    def images() -> Iterator[dict[str, Any]]:
        for part in parts:
            for position, time, image in pd.read_parquet(part / "frames.parquet").itertuples(index=False):
                yield {
                    "id": position + 1,
                    "frame_id": position + 1,
                    "vid_id": name,
                    "nframes": nframes,
                    "is_labeled": True,
                    "file_name": image,
                    "timestamp": time,
                }

    def people() -> Iterator[dict[str, Any]]:
        for part in parts:
            person: dict[int, int] = {}
            for row in pd.read_parquet(part / "people.parquet").to_dict("records"):
                image_id = row["frame"] + 1
                person[image_id] = person.get(image_id, -1) + 1
                points = np.asarray(row["joints"], np.float64).reshape(-1, 2)
                scores = exported_scores([row["score"]], [row["joint_scores"]], "joint", "shoulders")[0]
                yield prediction(image_id, person[image_id], row["track"], scores, row["box"], points)

    category = {"id": 1, "name": "person", "supercategory": "person", "keypoints": list(POSETRACK_JOINTS)}
    for key, records in (("images", images()), ("annotations", people()), ("categories", [category])):
        file.write("{" if key == "images" else ",\n")
        file.write(f'"{key}": [')
        _write_list(records, file)
        file.write("]")
    file.write("}\n")


def _write_list(records: Iterable[dict[str, Any]], file: TextIO) -> None:
    for index, record in enumerate(records):
        file.write(",\n" if index else "\n")
        json.dump(record, file)


def _join_features(tables: Sequence[Path], out: Path) -> None:
    with pq.ParquetWriter(out, pq.read_schema(tables[0]), **_PARQUET) as writer:
        for path in tables:
            with pq.ParquetFile(path) as table:
                for group in range(table.num_row_groups):
                    writer.write_table(table.read_row_group(group))


def _join_overlays(parts: Sequence[Path], out: Path) -> None:
    """One after another, without decoding."""
    with av.open(str(out), "w") as container:
        stream: Any = None
        for part in parts:
            start = pd.read_parquet(part / "frames.parquet")["time"].iloc[0]
            with av.open(str(part / "overlay.mp4")) as drawn:
                track = drawn.streams.video[0]
                stream = container.add_stream_from_template(track) if stream is None else stream
                for packet in drawn.demux(track):
                    if packet.pts is not None and packet.dts is not None:
                        shift = round(start / packet.time_base)
                        packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                        packet.stream = stream
                        container.mux(packet)


def _write_dense(frame: AnalysedFrame, path: Path) -> None:
    """The offsets at every pixel: arrays `d<δ>_p<2…5>` (2C, H, W) float16, (dy, dx) a channel, in feature pixels."""
    arrays: dict[str, Any] = {
        f"d{delta:+d}_p{level}": offsets.half().cpu().numpy()
        for delta, levels in frame.offsets.items()
        for level, offsets in enumerate(levels, start=2)
    }
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)
