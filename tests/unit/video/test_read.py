from itertools import islice

import av
import cv2
import numpy as np
import pytest

from dimofs.datasets.records import DatasetError
from dimofs.video.read import Camera, ImageFolder, VideoFile, open_footage


def pictures(path):
    return list(open_footage(path).pictures())


def difference(picture, frame):
    return np.abs(picture.image.astype(int) - frame).mean()


@pytest.mark.parametrize(("name", "codec", "pixels"), [
    ("v.mp4", "libx264", "yuv420p"), ("v.avi", "mpeg4", "yuv420p"), ("v.mkv", "ffv1", "yuv420p"),
    ("v.webm", "libvpx", "yuv420p"), ("v.mov", "mjpeg", "yuvj420p"), ("v.h264", "libx264", "yuv420p"),
])  # fmt: skip
def test_every_frame_in_its_order_and_colours(tmp_path, encode, frames, name, codec, pixels):
    footage = open_footage(encode(tmp_path / name, frames, codec, pixels))
    found = list(footage.pictures())
    assert [picture.position for picture in found] == list(range(len(frames)))
    assert max(map(difference, found, [frame for frame in frames])) < 12
    np.testing.assert_allclose([picture.time for picture in found], np.arange(len(frames)) / 25, atol=2e-3)
    assert found[3].name == "images/v/000003.jpg"
    assert footage.damaged == 0
    assert footage.expected() in (len(frames), None)


def test_red_is_the_first_channel(tmp_path, encode):
    red = np.full((32, 32, 3), (250, 10, 20), np.uint8)
    (picture,) = pictures(encode(tmp_path / "red.mp4", [red]))
    assert difference(picture, red) < 4


def test_a_frame_is_shown_at_its_own_time(tmp_path, encode, frames):
    ticks = [10, 11, 13, 14, 30, 31]
    found = pictures(encode(tmp_path / "v.mp4", frames[:6], ticks=ticks))
    np.testing.assert_allclose([picture.time for picture in found], (np.array(ticks) - 10) / 25, atol=1e-3)


def test_a_leap_of_hours_is_a_damaged_time(tmp_path, encode, frames):
    found = pictures(encode(tmp_path / "v.mkv", frames[:4], ticks=[0, 1, 1_000_000, 1_000_001]))
    np.testing.assert_allclose([picture.time for picture in found], np.arange(4) / 25, atol=0.02)


@pytest.mark.parametrize(("matrix", "turns"), [
    ((1, 0, 0, 1), 0), ((0, 1, -1, 0), -1), ((-1, 0, 0, -1), 2), ((0, -1, 1, 0), 1),
])  # fmt: skip
def test_rotation_flags_are_obeyed(clip, tmp_path, frames, matrix, turns):
    """The matrix of the track header is what a telephone writes when it is held upright: a quarter turn clockwise."""
    data = bytearray(clip.read_bytes())
    place = data.index(b"tkhd") + 44
    for offset, value in zip((0, 4, 12, 16), matrix, strict=True):
        data[place + offset : place + offset + 4] = (65536 * value).to_bytes(4, "big", signed=True)
    (tmp_path / "turned.mp4").write_bytes(data)
    found = pictures(tmp_path / "turned.mp4")
    assert difference(found[5], np.rot90(frames[5], turns)) < 12


def test_odd_sizes(tmp_path, encode, frames):
    odd = [np.ascontiguousarray(frame[:51, :77]) for frame in frames[:3]]
    found = pictures(encode(tmp_path / "odd.mp4", odd, pixels="yuv444p"))
    assert found[2].image.shape == (51, 77, 3)


def test_damaged_frames_are_left_out_and_counted(tmp_path, encode, frames):
    path = encode(tmp_path / "v.mov", frames, "mjpeg", "yuvj420p")
    with av.open(str(path)) as container:
        packet = next(islice(container.demux(video=0), 7, None))
        place, size = packet.pos, packet.size
    data = bytearray(path.read_bytes())
    data[place : place + size] = bytes(size)
    path.write_bytes(data)
    footage = VideoFile(str(path))
    found = list(footage.pictures())
    assert footage.damaged == 1
    assert len(found) == len(frames) - 1
    assert difference(found[7], frames[8]) < 12
    assert found[7].time == pytest.approx(8 / 25)


def test_a_video_that_breaks_off_gives_what_there_is(tmp_path, encode, frames):
    path = encode(tmp_path / "v.mkv", frames, "mjpeg", "yuvj420p")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert 5 < len(pictures(path)) < len(frames) - 5


@pytest.mark.parametrize("content", [b"", b"not a video\n" * 100])
def test_what_is_no_video_is_refused(tmp_path, content):
    (tmp_path / "x.mp4").write_bytes(content)
    with pytest.raises(DatasetError, match=r"x\.mp4: is no video that FFmpeg can read"):
        pictures(tmp_path / "x.mp4")


def test_sound_alone_is_refused(tmp_path):
    with av.open(str(tmp_path / "sound.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
    with pytest.raises(DatasetError, match="holds no video track"):
        pictures(tmp_path / "sound.wav")


def test_nothing_there(tmp_path):
    with pytest.raises(DatasetError, match="no such video or folder"):
        open_footage(tmp_path / "nowhere.mp4")
    with pytest.raises(DatasetError, match="holds no image"):
        open_footage(tmp_path)


@pytest.mark.parametrize("shape", [(8, 64), (16, 300)])
def test_frames_without_room_for_a_person_are_refused(tmp_path, encode, shape):
    path = encode(tmp_path / "v.mp4", [np.zeros((*shape, 3), np.uint8)])
    with pytest.raises(DatasetError, match=f"{shape[1]}×{shape[0]} pixels; a frame must have"):
        pictures(path)


class TestImageFolder:
    @pytest.fixture
    def folder(self, tmp_path, frames):
        for number in (0, 2, 9, 10, 11):
            cv2.imwrite(str(tmp_path / f"frame{number}.png"), frames[number][..., ::-1])
        (tmp_path / "notes.txt").touch()
        return tmp_path

    def test_images_in_their_natural_order(self, folder, frames):
        found = pictures(folder)
        assert [picture.name for picture in found] == [f"{folder.name}/frame{n}.png" for n in (0, 2, 9, 10, 11)]
        assert all(np.array_equal(p.image, frames[n]) for p, n in zip(found, (0, 2, 9, 10, 11), strict=True))
        assert [picture.time for picture in found] == [0, 0.04, 0.08, 0.12, 0.16]

    def test_an_image_that_cannot_be_read_is_left_out_and_counted(self, folder):
        (folder / "frame9.png").write_bytes(b"PNG?")
        footage = ImageFolder(folder)
        assert [picture.position for picture in footage.pictures()] == [0, 1, 2, 3]
        assert footage.damaged == 1

    def test_none_can_be_read(self, tmp_path):
        (tmp_path / "a.jpg").touch()
        with pytest.raises(DatasetError, match="none of its 1 images"):
            pictures(tmp_path)

    def test_another_size_is_refused_by_name(self, folder):
        cv2.imwrite(str(folder / "frame10.png"), np.zeros((64, 64, 3), np.uint8))
        with pytest.raises(DatasetError, match=r"frame10\.png: frame 3 is 64×64 pixels, those before are 96×64"):
            pictures(folder)


class TestCamera:
    class Capture:
        """Stands for a device: the machine of the tests has none."""

        def __init__(self, images):
            self.images = iter(images)

        def read(self):
            image = next(self.images, None)
            return image is not None, image

        def release(self):
            pass

    @pytest.fixture
    def device(self, monkeypatch, frames):
        opened = []

        def capture(index):
            opened.append(index)
            return self.Capture(frame[..., ::-1] for frame in (frames if index == 3 else []))

        monkeypatch.setattr(cv2, "VideoCapture", capture)
        return opened

    def test_a_number_is_a_camera(self, device, frames):
        found = pictures("3")
        assert device == [3]
        assert len(found) == len(frames)
        assert np.array_equal(found[4].image, frames[4])
        assert (np.diff([picture.time for picture in found]) > 0).all()

    def test_it_can_be_stopped(self, device):
        camera = Camera(3)
        stream = camera.pictures()
        next(stream)
        camera.stopped = True
        assert list(stream) == []

    def test_no_camera(self, device):
        with pytest.raises(DatasetError, match="camera5: gives no picture"):
            pictures("5")

    def test_a_file_may_be_called_like_a_number(self, device, tmp_path, monkeypatch, clip, frames):
        (tmp_path / "7").write_bytes(clip.read_bytes())
        monkeypatch.chdir(tmp_path)
        assert len(pictures("7")) == len(frames)
        assert device == []


def test_the_orientation_of_a_photograph_is_obeyed(tmp_path, frames):
    """EXIF's 6: the camera was held upright, so the picture is shown a quarter turn clockwise."""
    cv2.imwrite(str(tmp_path / "a.jpg"), frames[0][..., ::-1])
    photograph = (tmp_path / "a.jpg").read_bytes()
    entry = b"\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00"
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01" + entry + b"\0\0\0\0"
    (tmp_path / "a.jpg").write_bytes(
        photograph[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + photograph[2:]
    )
    (picture,) = pictures(tmp_path)
    assert difference(picture, np.rot90(frames[0], -1)) < 12


def test_images_of_any_spelling_count_and_hidden_files_do_not(tmp_path, frames):
    cv2.imwrite(str(tmp_path / "a.png"), frames[0])
    (tmp_path / "a.png").rename(tmp_path / "IMG_1.PNG")
    (tmp_path / "._IMG_1.png").write_bytes(b"what macOS leaves")
    footage = ImageFolder(tmp_path)
    assert footage.expected() == len(list(footage.pictures())) == 1
    assert footage.damaged == 0


def test_times_rise_whatever_the_file_says(clip, monkeypatch):
    """The clock of some files jumps back; a frame is then shown a frame's time after the one before."""
    frames = VideoFile._frames

    def jumping(self, container, stream):
        for number, frame in enumerate(frames(self, container, stream)):
            frame.pts -= frame.pts // 2 if number == 5 else 0
            yield frame

    monkeypatch.setattr(VideoFile, "_frames", jumping)
    times = [picture.time for picture in pictures(clip)]
    assert (np.diff(times) > 0).all()
    np.testing.assert_allclose(times, np.arange(len(times)) / 25, atol=1e-3)


def test_the_number_of_frames_follows_from_the_duration_where_the_container_does_not_tell(tmp_path, encode, frames):
    footage = open_footage(encode(tmp_path / "v.ts", frames, "mpeg2video"))
    assert footage.expected() == pytest.approx(len(frames), abs=1)
