"""The configuration is complete and strict: every bad key is named."""

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from dimofs.config import Config, ConfigError, DeltaRange, check_config, load_config
from dimofs.training.loop import learning_rate

ROOT = Path(__file__).parents[2]
DEFAULT = ROOT / "config" / "config.yaml"
SCENARIOS = [DEFAULT, *sorted(ROOT.glob("scenarios/*/config/config.yaml"))]
PAPER = load_config(ROOT / "scenarios/paper/config/config.yaml")

Key = tuple[str, ...]


def keys(section: dict[str, Any], above: Key = ()) -> Iterator[Key]:
    """Every key of a nested mapping, sections included."""
    for name, value in section.items():
        yield (*above, name)
        if isinstance(value, dict):
            yield from keys(value, (*above, name))


def at(section: dict[str, Any], key: Key) -> Any:
    for name in key:
        section = section[name]
    return section


def fresh() -> dict[str, Any]:
    """The default configuration as parsed; through JSON, so that sections which share a YAML anchor are separate."""
    return json.loads(TEXT)


TEXT = json.dumps(yaml.safe_load(DEFAULT.read_text(encoding="utf-8")))
RAW = fresh()
KEYS = list(keys(RAW))
SECTIONS: list[Key] = [(), *(key for key in KEYS if isinstance(at(RAW, key), dict))]
VALUES = [key for key in KEYS if key not in SECTIONS]


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.parts[-3])
def test_every_scenario_has_a_complete_configuration(path: Path) -> None:
    config = load_config(path)
    raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert set(keys(config.model_dump())) == set(keys(raw))


def test_values_arrive(tmp_path: Path) -> None:
    raw = fresh()
    raw["seed"] = 7
    raw["pairs"]["posetrack18_val"] = {"min": -4, "max": 4, "step": 2}
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(raw), encoding="utf-8")
    config = load_config(path)
    assert config.seed == 7
    assert config.pairs.posetrack18_val.values() == (-4, -2, 0, 2, 4)


@pytest.mark.parametrize("key", KEYS, ids=".".join)
def test_a_missing_key_is_named(key: Key) -> None:
    raw = fresh()
    del at(raw, key[:-1])[key[-1]]
    with pytest.raises(ConfigError, match=rf"here\.yaml: .*\n  {'[.]'.join(key)}: Field required"):
        check_config(raw, Path("here.yaml"))


@pytest.mark.parametrize("section", SECTIONS, ids=lambda key: ".".join(key) or "(top)")
def test_an_unknown_key_is_named(section: Key) -> None:
    raw = fresh()
    at(raw, section)["colour"] = 1
    with pytest.raises(ConfigError, match=rf"  {'[.]'.join((*section, 'colour'))}: Extra inputs are not permitted"):
        check_config(raw, Path("here.yaml"))


@pytest.mark.parametrize("key", KEYS, ids=".".join)
def test_a_value_of_another_kind_is_named(key: Key) -> None:
    raw = fresh()
    at(raw, key[:-1])[key[-1]] = {"neither": "number nor text"} if key in VALUES else "no section"
    with pytest.raises(ConfigError, match=rf"\n  {'[.]'.join(key)}"):
        check_config(raw, Path("here.yaml"))


def test_every_bad_key_is_listed() -> None:
    raw = fresh()
    raw["seed"] = -1
    raw["paper"]["resample"] = raw["paper"].pop("resamples")
    with pytest.raises(ConfigError, match=r"3 bad key\(s\)") as caught:
        check_config(raw, Path("here.yaml"))
    assert [line.split(":")[0] for line in str(caught.value).splitlines()[1:]] == [
        "  seed",
        "  paper.resamples",
        "  paper.resample",
    ]


@pytest.mark.parametrize("seeds", [[], [0, 1, 0], [0, -1], [0.5], 3])
def test_seeds_are_different_numbers(seeds: object) -> None:
    raw = fresh()
    raw["seeds"] = seeds
    with pytest.raises(ConfigError, match=r"\n  seeds"):
        check_config(raw, Path("here.yaml"))


def test_files_of_the_first_seed_have_plain_names() -> None:
    raw = fresh()
    assert check_config(raw, Path("here.yaml")).runs() == [""]
    raw["seeds"] = [4, 0, 12]
    assert check_config(raw, Path("here.yaml")).runs() == ["", "-seed0", "-seed12"]


@pytest.mark.parametrize(("changes", "says"), [
    ({"frame_size": 65}, "frame_size.*multiple of 2"),
    ({"jhmdb": {"min_frames": 9, "max_frames": 8}}, "max_frames must not"),
])  # fmt: skip
def test_data_that_cannot_be_rendered_are_refused(changes: dict[str, object], says: str) -> None:
    raw = fresh()
    for key, value in changes.items():
        raw["datasets"][key] = raw["datasets"][key] | value if isinstance(value, dict) else value
    with pytest.raises(ConfigError, match=says):
        check_config(raw, Path("here.yaml"))


def test_a_narrow_backbone_on_large_frames_is_refused() -> None:
    raw = fresh()
    raw["model"] |= {"backbone": "small", "small_width": 8, "image_size": 128}
    with pytest.raises(ConfigError, match=r"model\.image_size.*at most 96"):
        check_config(raw, Path("here.yaml"))


@pytest.mark.parametrize(
    ("section", "says"), [("corpus", "corpus.frames must be at least"), ("rivals", "frames must be at least")]
)
def test_clips_that_are_longer_than_their_videos_are_refused(section: str, says: str) -> None:
    raw = fresh()
    held = raw["datasets"]["corpus"] if section == "corpus" else raw["recognition"]["rivals"]
    rivals = raw["recognition"]["rivals"]
    held["frames"] = (rivals["clip_frames"] - 1) * rivals["clip_stride"]
    with pytest.raises(ConfigError, match=says):
        check_config(raw, Path("here.yaml"))


def test_more_labelled_frames_than_frames_are_refused() -> None:
    raw = fresh()
    raw["datasets"]["posetrack18"] |= {"frames": 5, "labelled_frames": 6}
    with pytest.raises(ConfigError, match=r"datasets.posetrack18: .*labelled_frames"):
        check_config(raw, Path("here.yaml"))


FOOTAGE = {
    "video": "walk.mp4",
    "poses": "walk.json",
    "train": {"first": 0, "last": 9},
    "val": {"first": 10, "last": 19},
    "clip_frames": 5,
    "margin": 2,
}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (None, r"datasets: .*source is footage"),
        ({"val": {"first": 9, "last": 19}}, r"datasets\.footage: .*must not share a frame"),
        ({"val": {"first": 20, "last": 19}}, r"datasets\.footage\.val: .*last must not be before first"),
        ({"clip_frames": 0}, r"datasets\.footage\.clip_frames"),
    ],
)
def test_footage_that_cannot_be_cut_is_refused(changes: dict[str, Any] | None, says: str) -> None:
    raw = fresh()
    raw["datasets"] |= {"source": "footage", "footage": FOOTAGE}
    assert check_config(raw, Path("here.yaml")).datasets.footage is not None
    raw["datasets"]["footage"] = None if changes is None else FOOTAGE | changes
    with pytest.raises(ConfigError, match=says):
        check_config(raw, Path("here.yaml"))


@pytest.mark.parametrize(("content", "message"), [
    ("seed: [1", "is not YAML"), ("", "must be a mapping"), ("- 1", "must be a mapping"), ("seed", "must be a mapping"),
])  # fmt: skip
def test_a_file_that_is_no_configuration_is_named(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=rf"config\.yaml: {message}"):
        load_config(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no_such\.yaml: cannot be read"):
        load_config(tmp_path / "no_such.yaml")


def test_a_configuration_cannot_be_changed() -> None:
    config = load_config(DEFAULT)
    with pytest.raises(ValidationError, match="frozen"):
        config.model.small_width = 1  # type: ignore[misc]


@given(st.integers(-50, 50), st.integers(0, 30), st.integers(1, 9))
def test_a_delta_range_has_both_ends(low: int, steps: int, step: int) -> None:
    values = DeltaRange(min=low, max=low + steps * step, step=step).values()
    assert (values[0], values[-1], len(values)) == (low, low + steps * step, steps + 1)
    assert all(after - before == step for before, after in pairwise(values))


@pytest.mark.parametrize(("low", "high", "step"), [(1, 0, 1), (0, 5, 2), (0, 4, 0), (0, 4, -2)])
def test_what_is_no_delta_range_is_refused(low: int, high: int, step: int) -> None:
    raw = fresh()
    raw["pairs"]["jhmdb_test"] = {"min": low, "max": high, "step": step}
    with pytest.raises(ConfigError, match=r"\n  pairs\.jhmdb_test"):
        check_config(raw, Path("here.yaml"))


def test_the_sections_are_chapters_and_what_they_share() -> None:
    assert list(Config.model_fields) == [
        "seed",
        "seeds",
        "datasets",
        "pairs",
        "model",
        "pretrain",
        "pose",
        "tracking",
        "motion",
        "actions",
        "features",
        "clusters",
        "recognition",
        "paper",
    ]


def test_the_papers_scenario_keeps_detect_and_tracks_schedule() -> None:
    """Its linear scaling rule: 0.001 · b / 8 for 13,000 · 8 / b steps of b images, ×0.1 at 10,000 and 12,000 (A13)."""
    for training in (PAPER.pretrain.pose, PAPER.actions.training):
        scale = training.batch_size / 8
        assert training.learning_rate == pytest.approx(0.001 * scale)
        assert training.steps == pytest.approx(13_000 / scale)
        drops = [
            step
            for step in range(1, training.steps)
            if learning_rate(training, step) < 0.5 * learning_rate(training, step - 1)
        ]
        assert [drop * scale for drop in drops] == [10_000, 12_000]
        assert learning_rate(training, 0) == pytest.approx(0.001 * scale / 3)
        assert learning_rate(training, 500) == pytest.approx(0.001 * scale)
        assert (training.optimizer, training.weight_decay) == ("sgd", 1e-4)


def test_the_papers_scenario_is_of_the_papers_size() -> None:
    model = PAPER.model
    assert (model.backbone, model.fpn_channels, model.box_features) == ("resnet101", 256, 1024)
    assert model.keypoint_layers == (512,) * 8
    assert PAPER.pretrain.augmentation.short_sides == tuple(range(640, 801, 32))
    assert (model.image_size, model.image_max_size) == (800, 1333)
    assert PAPER.datasets.source == "archives"
