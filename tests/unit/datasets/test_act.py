"""ACT's pickle: read as written by Python 2 and by Python 3, and harmless whatever it asks for."""

import os
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dimofs.datasets.act import read_act_ground_truth
from dimofs.datasets.records import JHMDB_CLASSES, DatasetError

CLIP = "catch/Torwart_2_(_sterreich)_-_@_7!_f+m_catch_f_cm_np1_ba_goo_0"
TUBE = np.array([[1, 3, 4, 7, 8], [2, 0, 0, 319, 239], [4, 10.5, 20, 30, 40]], np.float32)


def content() -> dict[str, Any]:
    return {
        "labels": list(JHMDB_CLASSES),
        "train_videos": [[CLIP], ["walk/a"], []],
        "test_videos": [["walk/a"], [CLIP], ["walk/a", CLIP]],
        "nframes": {CLIP: 5, "walk/a": 4},
        "resolution": {CLIP: (240, 320), "walk/a": (240, 320)},
        "gttubes": {CLIP: {1: [TUBE]}, "walk/a": {19: [TUBE.astype(np.float64)]}},
    }


def write(path: Path, value: Any, protocol: int = 2) -> Path:
    path.write_bytes(pickle.dumps(value, protocol))
    return path


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
def test_reads_the_clips_of_a_split(tmp_path: Path, protocol: int) -> None:
    path = write(tmp_path / "JHMDB-GT.pkl", content(), protocol)
    first, second = read_act_ground_truth(path, 1)
    assert (first.name, first.split, first.label, first.size) == (CLIP, "train", 1, (240, 320))
    assert (second.name, second.split, second.label) == ("walk/a", "test", 19)
    nan = [np.nan] * 4
    expected = [[3, 4, 8, 9], [0, 0, 320, 240], nan, [10.5, 20, 31, 41], nan]
    np.testing.assert_array_equal(first.boxes, expected)
    np.testing.assert_array_equal(second.boxes, expected[:4])
    assert first.boxes.dtype == np.float32
    assert [clip.split for clip in read_act_ground_truth(path, 2)] == ["test", "train"]


def text(value: bytes) -> bytes:
    """A string as Python 2 writes it: bytes of no known encoding."""
    return b"T" + struct.pack("<i", len(value)) + value


def array_of_python_2(array: np.ndarray, order: bytes) -> bytes:
    """An array as Python 2 and its numpy write it."""
    shape = b"(" + b"".join(b"J" + struct.pack("<i", size) for size in array.shape) + b"t"
    code = array.dtype.str[1:].encode()
    return (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\0t" + text(b"b") + b"tR"
        b"(K\1" + shape + b"cnumpy\ndtype\n(" + text(code) + b"K\0K\1tR(K\3" + text(order) + b"NNNJ\xff\xff\xff\xff"
        b"J\xff\xff\xff\xffK\0tb\x89" + text(array.astype(array.dtype.newbyteorder(order.decode())).tobytes()) + b"tb"
    )


@pytest.mark.parametrize("order", [b"<", b">"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.uint8])
def test_reads_what_python_2_wrote(tmp_path: Path, order: bytes, dtype: Any) -> None:
    tube = np.array([[1, 3, 4, 200, 239], [3, 0, 0, 250, 128]], dtype)
    strings = b"(" + b"".join(text(name.encode()) for name in JHMDB_CLASSES) + b"l"
    name = text(CLIP.encode())
    length = b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(" + text(b"i8") + b"K\0K\1tR(K\3" + text(b"<")
    length += b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb" + text(struct.pack("<q", 3)) + b"tR"
    pairs = (
        text(b"labels") + strings
        + text(b"train_videos") + b"((" + name + b"ll" + text(b"test_videos") + b"((ll"
        + text(b"nframes") + b"(" + name + length + b"d"
        + text(b"resolution") + b"(" + name + b"(M\xf0\0M\x40\1td"
        + text(b"gttubes") + b"(" + name + b"(K\1(" + array_of_python_2(tube, order) + b"ldd"
    )  # fmt: skip
    (tmp_path / "gt.pkl").write_bytes(b"\x80\2(" + pairs + b"d.")
    (clip,) = read_act_ground_truth(tmp_path / "gt.pkl", 1)
    assert (clip.name, clip.label, clip.size) == (CLIP, 1, (240, 320))
    np.testing.assert_array_equal(clip.boxes, [[3, 4, 201, 240], [np.nan] * 4, [0, 0, 251, 129]])


# ---- hostile and damaged


class Runs:
    """Pickles as a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize(("call", "name"), [
    (Runs(os.system, "touch {}"), "system"), (Runs(eval, "open('{}', 'w')"), "eval"),
    (Runs(getattr, "", "join"), "getattr"), (Runs(np.load, "{}"), "load"), (Runs(Path, "{}"), "Path"),
])  # fmt: skip
def test_a_pickle_that_calls_anything_is_refused_and_not_run(
    tmp_path: Path, call: Runs, name: str, protocol: int
) -> None:
    made = tmp_path / "made"
    call = Runs(call.call[0], *(argument.format(made) for argument in call.call[1]))
    path = write(tmp_path / "gt.pkl", {**content(), "labels": call}, protocol)
    with pytest.raises(DatasetError, match=rf"gt\.pkl: refused, for it asks for .*{name}.*nothing was run"):
        read_act_ground_truth(path, 1)
    assert not made.exists()


def test_an_array_of_objects_is_refused(tmp_path: Path) -> None:
    tubes = {CLIP: {1: [np.array([[1, "x"]], object)]}}
    path = write(tmp_path / "gt.pkl", {**content(), "gttubes": tubes})
    with pytest.raises(DatasetError, match="refused, for it holds an array of 'O8'"):
        read_act_ground_truth(path, 1)


@given(st.data())
@settings(max_examples=150)
def test_a_damaged_pickle_gives_clips_or_one_clear_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    whole = bytearray(pickle.dumps(content(), data.draw(st.sampled_from([0, 2, 4]))))
    if data.draw(st.booleans()):
        whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    else:
        whole = whole[: data.draw(st.integers(0, len(whole) - 1))]
    path = tmp_path_factory.getbasetemp() / "damaged.pkl"
    path.write_bytes(whole)
    complaint = f"{path}: "
    try:
        clips = read_act_ground_truth(path, 1)
    except DatasetError as error:
        clips, complaint = [], str(error)
    assert complaint.startswith(f"{path}: ")
    assert all(clip.boxes.shape[1] == 4 for clip in clips)


@pytest.mark.parametrize(("change", "complaint"), [
    ({"labels": ["a"]}, "labels must be"), ({"gttubes": 3}, "gttubes must be a dict"), ({"nframes": {}}, "malformed"),
    ({"gttubes": {CLIP: {1: []}, "walk/a": {}}}, "malformed"),
    ({"gttubes": {CLIP: {1: [TUBE[:, :4]]}}}, "finite numbers"), ({"gttubes": {CLIP: {1: [TUBE[:0]]}}}, "finite"),
    ({"gttubes": {CLIP: {1: [TUBE * np.nan]}}}, "finite"), ({"gttubes": {CLIP: {1: [TUBE[[0, 0]]]}}}, "each once"),
    ({"gttubes": {CLIP: {2: [TUBE]}}}, "class of its clip"), ({"gttubes": {CLIP: {1: [TUBE], 2: [TUBE]}}}, "malformed"),
    ({"gttubes": {CLIP: {-20: [TUBE]}}}, "class of its clip"),
    ({"gttubes": {CLIP: {1: [np.subtract(TUBE, [0.5, 0, 0, 0, 0])]}}}, "from 1 to nframes"),
    ({"gttubes": {CLIP: {1: [np.add(TUBE, [0.5, 0, 0, 0, 0])]}}}, "from 1 to nframes"),
    ({"nframes": {CLIP: 3}}, "from 1 to nframes"), ({"resolution": {CLIP: 240}}, "malformed"),
    ({"train_videos": []}, "splits 1 to 0, got 1"), ({"test_videos": [3]}, r"test_videos\[0\] must be a list"),
    ({"nframes": {CLIP: 10**12}}, "1 to 10000 frames"), ({"gttubes": {CLIP: {1: [TUBE * 1e30]}}}, "from 1 to nframes"),
])  # fmt: skip
def test_a_bad_field_is_named(tmp_path: Path, change: dict[str, Any], complaint: str) -> None:
    path = write(tmp_path / "gt.pkl", {**content(), **change}, 4)
    with pytest.raises(DatasetError, match=rf"gt\.pkl: .*{complaint}"):
        read_act_ground_truth(path, 1)


def test_no_such_file_or_split(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="cannot be read"):
        read_act_ground_truth(tmp_path / "none.pkl", 1)
    path = write(tmp_path / "gt.pkl", content())
    for split in (0, 4):
        with pytest.raises(DatasetError, match=f"splits 1 to 3, got {split}"):
            read_act_ground_truth(path, split)
    with pytest.raises(DatasetError, match="must be a dict"):
        read_act_ground_truth(write(path, [1]), 1)
