"""The account of an unpacked data set: whole, or refused, or used with its gaps named."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from dimofs.datasets.counts import DIVING48_VERSIONS, JHMDB_SPLITS, check_counts
from dimofs.datasets.diving48 import read_diving48, read_labels
from dimofs.datasets.jhmdb import read_jhmdb, read_split
from dimofs.datasets.missing import MISSING, read_missing, write_missing
from dimofs.datasets.posetrack import read_posetrack18
from dimofs.datasets.posetrack17 import read_posetrack17
from dimofs.datasets.records import JHMDB_CLASSES, POSETRACK_JOINTS, DatasetError


def write_jhmdb(root: Path) -> list[str]:
    """A whole JHMDB in the numbers of `JHMDB_SPLITS`: empty images; one mask and one joint file for all clips."""
    names = [f"{JHMDB_CLASSES[number % 21]}/clip_{number}" for number in range(sum(JHMDB_SPLITS[1]))]
    (root / "splits").mkdir(parents=True)
    for split, (train, _) in JHMDB_SPLITS.items():
        lines: dict[str, list[str]] = {name: [] for name in JHMDB_CLASSES}
        for number, name in enumerate(names):
            folder, _, clip = name.partition("/")
            lines[folder].append(f"{clip}.avi {1 if number < train else 2}\n")
        for folder, text in lines.items():
            (root / "splits" / f"{folder}_test_split{split}.txt").write_text("".join(text))
    scipy.io.savemat(root / "mask.mat", {"part_mask": np.ones((4, 4, 2), np.uint8)})
    scipy.io.savemat(root / "joints.mat", {"pos_img": np.ones((2, 15, 2))})
    for name in names:
        for folder, file in (("puppet_mask", "mask"), ("joint_positions", "joints")):
            (root / folder / name).mkdir(parents=True)
            (root / folder / name / f"{folder}.mat").hardlink_to(root / f"{file}.mat")
        (root / "Rename_Images" / name).mkdir(parents=True)
        for number in (1, 2):
            (root / "Rename_Images" / name / f"{number:05d}.png").touch()
    return names


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Official numbers of 30 clips in place of 928."""
    for split, numbers in {1: (20, 10), 2: (21, 9), 3: (19, 11)}.items():
        monkeypatch.setitem(JHMDB_SPLITS, split, numbers)


def test_a_whole_jhmdb(tmp_path: Path) -> None:
    write_jhmdb(tmp_path)
    account = check_counts(tmp_path, "jhmdb", partial=False)
    assert account.lines == (
        "jhmdb, split 1: 660 train clips and 268 test clips, as published",
        "jhmdb, split 2: 658 train clips and 270 test clips, as published",
        "jhmdb, split 3: 663 train clips and 265 test clips, as published",
        "jhmdb: 928 of 928 clips with images, mask and joints",
    )
    assert account.whole
    assert not account.missing
    assert not (tmp_path / MISSING).exists()


@pytest.mark.usefixtures("small")
def test_a_partial_jhmdb_is_refused_or_read_without_its_gaps(tmp_path: Path) -> None:
    names = write_jhmdb(tmp_path)
    (tmp_path / "puppet_mask" / names[0] / "puppet_mask.mat").unlink()
    (tmp_path / "joint_positions" / names[20] / "joint_positions.mat").unlink()
    for path in (tmp_path / "Rename_Images" / names[5]).iterdir():
        path.unlink()
    shutil.rmtree(tmp_path / "Rename_Images" / names[7])
    with pytest.raises(DatasetError, match=r"not the whole of jhmdb(?s:.*)26 of 30 clips(?s:.*)accept a partial"):
        check_counts(tmp_path, "jhmdb", partial=False)
    assert not (tmp_path / MISSING).exists()
    account = check_counts(tmp_path, "jhmdb", partial=True)
    assert account.missing == tuple(sorted([names[0], names[5], names[7], names[20]]))
    assert not account.whole
    assert all(name in account.lines[-1] for name in account.missing)
    assert (tmp_path / MISSING).read_text().splitlines() == list(account.missing)
    videos = read_jhmdb(tmp_path, 1)
    assert {video.name for video in videos} == set(names) - set(account.missing)


@pytest.mark.usefixtures("small")
def test_a_long_list_of_gaps_is_cut(tmp_path: Path) -> None:
    names = write_jhmdb(tmp_path)
    for name in names[:12]:
        (tmp_path / "puppet_mask" / name / "puppet_mask.mat").unlink()
    account = check_counts(tmp_path, "jhmdb", partial=True)
    assert account.lines[-1].startswith("jhmdb: 18 of 30 clips")
    assert account.lines[-1].endswith(" and 7 more")
    assert len(read_missing(tmp_path)) == 12


@pytest.mark.usefixtures("small")
def test_other_numbers_than_the_official_ones_are_refused(tmp_path: Path) -> None:
    write_jhmdb(tmp_path)
    path = tmp_path / "splits" / "catch_test_split2.txt"
    path.write_text(path.read_text().replace(" 2\n", " 1\n", 1))
    with pytest.raises(DatasetError, match="split 2: 22 train clips and 8 test clips, published are 21 and 9"):
        check_counts(tmp_path, "jhmdb", partial=False)
    assert not check_counts(tmp_path, "jhmdb", partial=True).whole


@pytest.mark.parametrize("version", ["V1", "V2"])
def test_diving48(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    monkeypatch.setitem(DIVING48_VERSIONS, version, (159, 20))
    (tmp_path / "rgb").mkdir()
    number = 0
    for split, count in zip(("train", "test"), DIVING48_VERSIONS[version], strict=True):
        dives = [{"vid_name": f"-x_{number + n}", "label": n % 48, "end_frame": 9} for n in range(count)]
        number += count
        (tmp_path / f"Diving48_{'V2_' if version == 'V2' else ''}{split}.json").write_text(json.dumps(dives))
    for n in range(10, number):
        (tmp_path / "rgb" / f"-x_{n}.mp4").touch()
    gaps = rf"as published\n.*{number - 10} of {number} dives with a video; missing: -x_0,"
    with pytest.raises(DatasetError, match=gaps):
        check_counts(tmp_path, f"diving48_{version.lower()}", partial=False)
    account = check_counts(tmp_path, f"diving48_{version.lower()}", partial=True)
    assert len(account.missing) == 10
    assert len(read_diving48(tmp_path, version)) == number - 10  # type: ignore[arg-type]
    for n in range(10):
        (tmp_path / "rgb" / f"-x_{n}.mp4").touch()
    assert check_counts(tmp_path, f"diving48_{version.lower()}", partial=False).whole


def test_posetrack17(tmp_path: Path) -> None:
    for split, count in (("train", 292), ("val", 50), ("test", 3)):
        (tmp_path / "annotations" / split).mkdir(parents=True)
        for number in range(count):
            image = f"images/bonn/{split}_{number}/00001.jpg"
            record = {"annolist": [{"image": [{"name": image}]}]}
            (tmp_path / f"annotations/{split}/{number:06d}_relpath.json").write_text(json.dumps(record))
            if split != "test":  # their images come from elsewhere and need not be there
                (tmp_path / image).parent.mkdir(parents=True)
                (tmp_path / image).touch()
    account = check_counts(tmp_path, "posetrack17", partial=False)
    assert account.lines == (
        "posetrack17: 292 train sequences and 50 val sequences, as published",
        "posetrack17: 342 of 342 labelled sequences with images",
    )
    assert account.missing == tuple(f"test/{number:06d}_relpath" for number in range(3))
    assert len(read_posetrack17(tmp_path)) == 342

    shutil.rmtree(tmp_path / "images/bonn/val_7")
    with pytest.raises(DatasetError, match="341 of 342 labelled sequences with images; missing: val/000007_relpath"):
        check_counts(tmp_path, "posetrack17", partial=False)
    assert not check_counts(tmp_path, "posetrack17", partial=True).whole
    assert len(read_posetrack17(tmp_path)) == 341

    (tmp_path / "annotations/val/000003_relpath.json").unlink()
    with pytest.raises(DatasetError, match="292 train sequences and 49 val sequences, published are 292 and 50"):
        check_counts(tmp_path, "posetrack17", partial=False)


def test_posetrack18(tmp_path: Path) -> None:
    for name in ("000001_mpii_test", "000002_mpii_test"):
        file = f"images/val/{name}/000000.jpg"
        labels = {
            "images": [{"id": 1, "file_name": file, "is_labeled": False}],
            "annotations": [],
            "categories": [{"keypoints": list(POSETRACK_JOINTS)}],
        }
        (tmp_path / "annotations" / "val").mkdir(parents=True, exist_ok=True)
        (tmp_path / "annotations" / "val" / f"{name}.json").write_text(json.dumps(labels))
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).touch()
    assert check_counts(tmp_path, "posetrack18", partial=False).whole
    (tmp_path / "images/val/000001_mpii_test/000000.jpg").unlink()
    (tmp_path / "images/val/000001_mpii_test").rmdir()
    with pytest.raises(DatasetError, match="1 of 2 labelled sequences with images; missing: val/000001_mpii_test"):
        check_counts(tmp_path, "posetrack18", partial=False)
    check_counts(tmp_path, "posetrack18", partial=True)
    assert [video.name for video in read_posetrack18(tmp_path)] == ["000002_mpii_test"]


def test_an_unknown_data_set_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="coco: no such data set"):
        check_counts(tmp_path, "coco", partial=True)


def test_what_is_missing_comes_back(tmp_path: Path) -> None:
    assert read_missing(tmp_path) == set()
    write_missing(tmp_path, ["b/-x", "a/ö (1)"])
    assert read_missing(tmp_path) == {"a/ö (1)", "b/-x"}
    (tmp_path / MISSING).write_bytes(b"\xff")
    with pytest.raises(DatasetError, match=rf"{MISSING}: cannot be read"):
        read_missing(tmp_path)


def test_the_official_numbers_of_diving48() -> None:
    assert DIVING48_VERSIONS == {"V1": (15_943, 2_096), "V2": (15_027, 1_970)}


def test_the_official_numbers_are_those_of_the_official_files(samples: Path) -> None:
    for split, official in JHMDB_SPLITS.items():
        parts = list(read_split(samples / "jhmdb" / "splits", split).values())
        assert (parts.count("train"), parts.count("test")) == official
        assert len(parts) == 928
    found = [dive.split for dive in read_labels(samples / "diving48", "V2")]
    assert (found.count("train"), found.count("test")) == DIVING48_VERSIONS["V2"]
