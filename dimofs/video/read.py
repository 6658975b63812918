"""Where pictures come from: a video file of any kind that FFmpeg reads, a folder of images, or a camera.

All give upright RGB pictures of one size in the order in which they are shown, at times that rise. A frame that cannot
be decoded is left out and counted; what cannot be read at all is refused by a DatasetError.
"""

import re
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import av
import cv2
import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame

from dimofs.datasets.records import DatasetError, Image

#: Images of a folder have no times: so many a second.
IMAGES_A_SECOND = 25

_IMAGES = {".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
_SMALLEST_SIDE, _LONGEST_TO_SHORTEST = 16, 16
_MOST_PIXELS = 2**26  # of a frame; a damaged header may ask for any number
_REFUSALS = (FFmpegError, OSError, ValueError, MemoryError)
_PATIENCE = 10.0  # seconds that an address may take for an answer
_LONGEST_GAP = 3600.0  # seconds between two frames; a longer one is a damaged time


@dataclass(frozen=True)
class Picture:
    """One frame of a video."""

    position: int  #: 0-based, among the frames that can be decoded
    time: float  #: seconds after the first frame, rising
    name: str  #: the image file it is, or would be if the video were unpacked, as PoseTrack's label files say it
    image: Image  #: (H, W, 3) uint8 RGB, upright


class Footage(Protocol):
    """A source of pictures."""

    name: str
    damaged: int  #: frames left out so far
    lasting: bool  #: whether the same pictures can be read again
    stopped: bool  #: set it, and there is no further picture

    def identity(self) -> list[str | int]:
        """What tells it from other footage, without reading it."""
        ...

    def expected(self) -> int | None:
        """How many pictures the source says it has, None if it does not."""
        ...

    def pictures(self) -> Generator[Picture]:
        """Read from the beginning; raises DatasetError where the source holds no picture or cannot be read."""
        ...


def open_footage(source: str | Path) -> Footage:
    """Open a video file or address, a folder of images, or a camera by its number ("0").

    Raises DatasetError where there is no such thing.
    """
    path = Path(source)
    if path.is_dir():
        return ImageFolder(path)
    if str(source).isdecimal() and not path.exists():
        return Camera(int(str(source)))
    if "://" not in str(source) and not path.exists():
        raise DatasetError(
            f"{source}: no such video or folder; give a video file, a folder of images or a camera's number"
        )
    return VideoFile(str(source))


class VideoFile:
    """Footage in a file or at an address that FFmpeg reads; rotation flags are obeyed."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.name = Path(source).stem or "video"
        self.damaged = 0
        self.lasting = "://" not in source
        self.stopped = False

    def identity(self) -> list[str | int]:
        """Path, size and time of the file."""
        return [self.source] if "://" in self.source else [self.source, *_stamp(Path(self.source))]

    def expected(self) -> int | None:
        """The number of frames that the container tells, or that follows from its duration."""
        with self._open() as (_, stream):
            frames = stream.frames or round(float((stream.duration or 0) * (stream.time_base or 0)) * _rate(stream))
            return frames if 0 < frames < 1e9 else None

    def pictures(self) -> Generator[Picture]:
        """Decode the first video track, frame by frame."""
        self.damaged = 0
        position, now, start = 0, 0.0, 0.0
        size: tuple[int, ...] | None = None
        with self._open() as (container, stream):
            step = 1 / _rate(stream)
            for frame in self._frames(container, stream):
                if position:
                    later = now + step if frame.time is None else frame.time - start
                    now = later if 0 < later - now < _LONGEST_GAP else now + step
                else:
                    start = frame.time or 0.0
                image = self._upright(frame)
                size = _same_size(self.source, position, image, size)
                yield Picture(position, now, f"images/{self.name}/{position:06d}.jpg", image)
                position += 1
        if not position:
            raise DatasetError(f"{self.source}: no frame of it can be decoded; the file is damaged or holds no video")

    @contextmanager
    def _open(self) -> Iterator[tuple[Any, Any]]:
        try:
            # Before a colon in a name FFmpeg would look for a protocol; a server has so many seconds for each answer.
            address = self.source if "://" in self.source else f"file:{self.source}"
            container = av.open(address, metadata_errors="replace", timeout=None if self.lasting else _PATIENCE)
        except _REFUSALS as error:
            raise DatasetError(f"{self.source}: is no video that FFmpeg can read ({_reason(error)})") from None
        with container:
            if not container.streams.video or container.streams.video[0].codec_context is None:
                raise DatasetError(f"{self.source}: holds no video track that FFmpeg can decode")
            stream = container.streams.video[0]
            stream.codec_context.options = {"max_pixels": str(_MOST_PIXELS)}
            yield container, stream

    def _frames(self, container: Any, stream: Any) -> Iterator[VideoFrame]:
        """Every frame that can be decoded. Where the file breaks off, the frames before are all there is."""
        packets = container.demux(stream)
        ended = False
        while not ended and not self.stopped:
            packet = None  # flushes the decoder
            try:
                packet = next(packets)
            except StopIteration:
                return
            except _REFUSALS:
                self.damaged += 1
                ended = True
            try:
                frames = stream.decode(packet)
            except _REFUSALS:
                self.damaged += 1
                continue
            self.damaged += sum(frame.is_corrupt for frame in frames)
            yield from (frame for frame in frames if not frame.is_corrupt)

    def _upright(self, frame: VideoFrame) -> Image:
        try:
            image = frame.to_ndarray(format="rgb24")
        except _REFUSALS as error:
            raise DatasetError(f"{self.source}: its pictures cannot be turned into RGB ({_reason(error)})") from None
        return np.ascontiguousarray(np.rot90(image, round(frame.rotation / 90)))


class ImageFolder:
    """Footage as a folder of images in the natural order of their names (2 before 10)."""

    lasting = True
    stopped = False

    def __init__(self, folder: Path) -> None:
        self.source = str(folder)
        self.name = folder.resolve().name
        self.damaged = 0
        images = (path for path in folder.iterdir() if path.suffix.lower() in _IMAGES and not path.name.startswith("."))
        self._paths = sorted(images, key=_natural)
        if not self._paths:
            raise DatasetError(f"{folder}: holds no image ({', '.join(sorted(_IMAGES))})")

    def identity(self) -> list[str | int]:
        """Path, size and time of each image."""
        return [value for path in self._paths for value in (str(path), *_stamp(path))]

    def expected(self) -> int | None:
        """The number of image files."""
        return len(self._paths)

    def pictures(self) -> Generator[Picture]:
        """Read image by image, 25 a second; EXIF's orientation is obeyed."""
        self.damaged = position = 0
        size: tuple[int, ...] | None = None
        for path in self._paths:
            if self.stopped:
                return
            image = _read_image(path)
            if image is None:
                self.damaged += 1
                continue
            size = _same_size(str(path), position, image, size)
            yield Picture(position, position / IMAGES_A_SECOND, f"{self.name}/{path.name}", image)
            position += 1
        if not position:
            raise DatasetError(f"{self.source}: none of its {len(self._paths)} images can be read")


class Camera:
    """A camera until it is stopped; nothing of it can be read again."""

    lasting = False
    stopped = False
    damaged = 0

    def __init__(self, index: int) -> None:
        self._index = index
        self.source = self.name = f"camera{index}"

    def identity(self) -> list[str | int]:
        """The camera's number."""
        return [self._index]

    def expected(self) -> int | None:
        """Nobody knows."""
        return None

    def pictures(self) -> Generator[Picture]:
        """Take pictures until the camera is stopped or gone."""
        loud = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        capture = cv2.VideoCapture(self._index)  # would write a page about a camera that is not there
        cv2.utils.logging.setLogLevel(loud)
        position, start = 0, time.monotonic()
        size: tuple[int, ...] | None = None
        try:
            while not self.stopped:
                taken, image = capture.read()
                if not taken:
                    break
                rgb = np.ascontiguousarray(image[:, :, ::-1], np.uint8)
                size = _same_size(self.source, position, rgb, size)
                now = time.monotonic() - start if position else 0.0
                yield Picture(position, now, f"images/{self.name}/{position:06d}.jpg", rgb)
                position += 1
        finally:
            capture.release()
        if not position:
            raise DatasetError(f"{self.source}: gives no picture; is it connected, and free?")


def _rate(stream: Any) -> float:
    """Frames a second, as the track says; 25 where what it says cannot be."""
    rate = stream.average_rate or stream.guessed_rate or Fraction(25)
    return float(rate) if 0.01 < rate < 1000 else 25.0


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _same_size(source: str, position: int, image: Image, size: tuple[int, ...] | None) -> tuple[int, ...]:
    height, width = found = image.shape[:2]
    if size is not None and found != size:
        raise DatasetError(
            f"{source}: frame {position} is {width}×{height} pixels, those before are {size[1]}×{size[0]}; "
            "cut the video where its size changes"
        )
    if min(found) < _SMALLEST_SIDE or max(found) > _LONGEST_TO_SHORTEST * min(found):
        raise DatasetError(
            f"{source}: {width}×{height} pixels; a frame must have at least {_SMALLEST_SIDE} a side "
            f"and not be more than {_LONGEST_TO_SHORTEST} times as long as it is wide"
        )
    return found


def _read_image(path: Path) -> Image | None:
    try:
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    except cv2.error:  # a header that asks for too many pixels
        return None
    return None if image is None else np.ascontiguousarray(image[:, :, ::-1], np.uint8)


def _natural(path: Path) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path.name)]


def _reason(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
