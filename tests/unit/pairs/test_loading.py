from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from dimofs.config import Augmentation, load_config
from dimofs.datasets.records import POSETRACK_JOINTS, DatasetError, Frame, Person, Video
from dimofs.pairs.loading import (
    FILL,
    Change,
    PairLoader,
    action_target,
    as_tensor,
    load_frames,
    middles,
    mirrored,
    neighbours,
    network_scale,
    nothing,
    pose_target,
    read_frame,
    resize,
    second_frame,
    zoomed,
)
from dimofs.pairs.sampling import Draw

MODEL = load_config(Path(__file__).parents[3] / "config/config.yaml").model
AUGMENTATION = Augmentation(
    window=None, flip=0.5, min_scale=0.8, max_scale=1.25, shift=0.1, brightness=0.2, short_sides=()
)
NOBODY = np.zeros((0, 2), np.float32)
HEIGHT, WIDTH = 128, 128


def dotted(joints: np.ndarray) -> np.ndarray:
    """Draw a frame with a bright dot, of a colour of its own, on every joint."""
    image = np.full((HEIGHT, WIDTH, 3), 20, np.uint8)
    for number, (x, y) in enumerate(joints):
        image[round(y) - 1 : round(y) + 2, round(x) - 1 : round(x) + 2] = (250, 10 * number + 40, 60)
    return image


@pytest.fixture
def joints() -> np.ndarray:
    places = np.stack(np.meshgrid(np.arange(5) * 20 + 24, np.arange(4) * 22 + 28), -1).reshape(-1, 2)[:17]
    return places.astype(np.float32)


@pytest.fixture
def video(tmp_path: Path, joints: np.ndarray) -> Video:
    frames = []
    for number in range(4):
        path = tmp_path / f"{number}.png"
        cv2.imwrite(str(path), dotted(joints)[:, :, ::-1])
        labelled = np.ones(17, bool)
        labelled[[3, 4, 9]] = False
        box = np.array([10, 20, 110, 100], np.float32)
        person = Person(0, box, np.array([20, 20, 40, 40], np.float32), joints, labelled)
        frames.append(Frame(path, True, (person,), ()))
    return Video("v", "train", POSETRACK_JOINTS, tuple(frames), 7)


def loader(video: Video, target=pose_target, beside=second_frame, seed: int = 0, window=None) -> PairLoader:
    augmentation = AUGMENTATION.model_copy(update={"window": window})
    model = MODEL.model_copy(update={"image_max_size": 512})
    return PairLoader([video], None, model, augmentation, target=target, beside=beside, seed=seed)


def test_both_frames_change_alike(video):
    for position in range(8):
        batch = loader(video).batch([Draw(position, "v", 0, 3, 3)])
        assert torch.equal(batch.frames[0], batch.frames[1])  # the files are equal, so the changed frames must be


@pytest.mark.parametrize("zoom", [1.0, 1.5, 2.0])
def test_labels_follow_the_pixels_through_every_change(video, joints, zoom):
    colours = [(250, 10 * number + 40, 60) for number in range(17)]
    partners = mirrored(POSETRACK_JOINTS)
    flips = 0
    for position in range(12):
        rng = np.random.default_rng((0, 2, position))
        size = (round(zoom * HEIGHT), round(zoom * WIDTH))
        change = Change.draw(AUGMENTATION, *size, NOBODY, rng)
        geometry = Change(change.matrix, change.flip, 1.0, 0.0)
        large = read_frame(video.frames[0]).repeat(2, 0).repeat(2, 1)  # dots of six pixels
        image = geometry.image(resize(large, zoom / 2), size)
        target = pose_target(video, 0, zoom, geometry, size)
        flips += change.flip
        hidden = [partners[slot] if change.flip else slot for slot in (3, 4, 9)]
        assert not target["keypoints"][0, hidden, 2].any()
        for slot, (x, y, visible) in enumerate(target["keypoints"][0].tolist()):
            if not visible:
                continue
            colour = colours[partners[slot] if change.flip else slot]
            near = image[max(round(y) - 1, 0) : round(y) + 2, max(round(x) - 1, 0) : round(x) + 2].reshape(-1, 3)
            assert np.abs(near.astype(int) - colour).max(1).min() <= 14
    assert 0 < flips < 12


def test_a_change_of_brightness_keeps_the_order_of_greys(video):
    greys = np.arange(256, dtype=np.uint8).reshape(1, 256, 1).repeat(3, 2)
    for gain, bias in ((1.2, -25.0), (0.8, 25.0), (1.0, -25.0)):
        changed = Change(np.eye(2, 3), False, gain, bias).image(greys, (1, 256))[0, :, 0]
        assert changed.tolist() == [min(max(round(gain * grey + bias), 0), 255) for grey in range(256)]


@pytest.mark.parametrize("zoom", [0.25, 0.5, 2.0])
def test_points_are_where_a_zoom_puts_the_pixels(zoom):
    frame = np.zeros((96, 128, 3), np.uint8)
    frame[40:48, 72:80] = 255  # its middle is (75.5, 43.5)
    rows, columns = np.nonzero(resize(frame, zoom)[:, :, 0] > 127)
    np.testing.assert_allclose(zoomed(np.array([75.5, 43.5]), zoom), [columns.mean(), rows.mean()])
    np.testing.assert_allclose(zoomed(zoomed(np.array([3.0, 4.0]), zoom), 1 / zoom), [3, 4])


def test_a_flip_swaps_left_and_right():
    partners = mirrored(POSETRACK_JOINTS)
    assert [POSETRACK_JOINTS[p] for p in partners[:7]] == [
        "nose", "head_bottom", "head_top", "right_ear", "left_ear", "right_shoulder", "left_shoulder",
    ]  # fmt: skip
    assert [partners[p] for p in partners] == list(range(17))


@pytest.fixture
def street(tmp_path: Path, joints: np.ndarray) -> Video:
    """One frame four times as wide as a person needs, with two people, at the left and in the middle."""
    both = [joints * 0.4 + (20, 30), joints * 0.4 + (230, 30)]
    image = np.full((HEIGHT, 512, 3), 20, np.uint8)
    people = []
    for track, places in enumerate(both):
        for number, (x, y) in enumerate(places):
            image[round(y), round(x)] = (250, 10 * number + 40, 60 + 100 * track)
        box = np.concatenate([places.min(0), places.max(0)]).astype(np.float32)
        people.append(Person(track, box, None, places.astype(np.float32), np.ones(17, bool)))
    cv2.imwrite(str(tmp_path / "street.png"), image[:, :, ::-1])
    return Video("v", "train", POSETRACK_JOINTS, (Frame(tmp_path / "street.png", True, tuple(people), ()),) * 2, None)


def test_windows_show_people_where_their_labels_are(street):
    windows = loader(street, window=64)
    found = []
    for position in range(24):
        batch = windows.batch([Draw(position, "v", 0, 1, 1)])
        assert batch.frames[0].shape == (1, 3, 64, 64)
        assert torch.equal(batch.frames[0], batch.frames[1])  # Frame B is the same picture in the same window
        assert batch.sizes == [(64, 64)]
        (target,) = batch.targets
        found.append(len(target["boxes"]))
        for x, y, seen in target["keypoints"].reshape(-1, 3).tolist():
            if seen and 2 < x < 61 and 2 < y < 61:
                near = batch.frames[0][0, :, round(y) - 2 : round(y) + 3, round(x) - 2 : round(x) + 3]
                assert int(near[0].max()) - int(near[0].min()) > 15  # a dot, about a pixel wide after the change
    assert set(found) <= {0, 1}  # the people are further apart than a window
    assert 10 < sum(found) < 24  # the third place is anywhere in the frame


def test_a_window_stays_in_the_frame(street):
    for position in range(24):
        change = Change.draw(
            AUGMENTATION.model_copy(update={"window": 64, "shift": 0.5}),
            HEIGHT, 512, np.array([[0, 0], [511, 127]], np.float32), np.random.default_rng(position),
        )  # fmt: skip
        first, last = change.points(np.array([[0, 0], [511, 127]], np.float32), 64)
        if change.flip:
            first[0], last[0] = 63 - first[0], 63 - last[0]
        assert (first <= 0.5).all()
        assert (last >= 62).all()


def test_a_window_larger_than_the_frame_begins_with_it(street):
    change = Change.draw(
        AUGMENTATION.model_copy(update={"window": 1024}), HEIGHT, 512, NOBODY, np.random.default_rng(0)
    )
    assert change.matrix[:, 2].tolist() == [0, 0]


def test_boxes_hold_their_joints_and_stay_inside(video):
    for position in range(12):
        target = loader(video).batch([Draw(position, "v", 1, 2, 1)]).targets[0]
        (box,), (keypoints,) = target["boxes"], target["keypoints"]
        seen = keypoints[keypoints[:, 2] > 0]
        assert (box >= 0).all()
        assert (box <= torch.tensor([WIDTH, HEIGHT] * 2)).all()
        assert (seen[:, :2] >= box[:2]).all()
        assert (seen[:, :2] <= box[2:]).all()
        assert not keypoints[3:5].any()


def test_action_boxes_flip_with_the_frame(video):
    flip = Change(np.eye(2, 3), True, 1.0, 0.0)
    target = action_target(video, 0, 1.0, flip, (HEIGHT, WIDTH))
    assert target["boxes"].tolist() == [[WIDTH - 110, 20, WIDTH - 10, 100]]
    assert target["labels"].tolist() == [8]


def test_frames_beside_frame_a():
    draw = Draw(0, "v", 0, 2, 2)
    assert second_frame(draw, 4) == [2]
    assert neighbours(draw, 4) == [0, 1]
    assert neighbours(Draw(0, "v", 3, 3, 0), 4) == [2, 3]
    assert nothing(draw, 4) == []


def test_a_frame_without_people_gives_empty_targets(video):
    nobody = Video("v", "train", POSETRACK_JOINTS, (Frame(video.frames[0].path, True, (), ()),), 7)
    pose, action = (make(nobody, 0, 1.0, None, (HEIGHT, WIDTH)) for make in (pose_target, action_target))
    assert pose["boxes"].shape == (0, 4)
    assert pose["keypoints"].shape == (0, 17, 3)
    assert action["boxes"].shape == (0, 4)


def test_padding_and_zoom():
    tensor = as_tensor([np.full((100, 60, 3), 9, np.uint8)])
    assert tensor.shape == (1, 3, 128, 64)
    assert tensor[0, :, :100, :60].eq(9).all()
    assert not tensor[0, :, 100:].any()
    assert network_scale(np.zeros((480, 640, 3), np.uint8), MODEL) == pytest.approx(128 / 640)


def test_a_short_side_is_drawn_for_each_example_and_holds_for_both_frames(video):
    sides = (64, 96, 128)
    found = set()
    augmentation = AUGMENTATION.model_copy(update={"short_sides": sides})
    drawing = PairLoader([video], None, MODEL, augmentation, target=pose_target, beside=second_frame, seed=0)
    for position in range(12):
        batch, again = (drawing.batch([Draw(position, "v", 0, 3, 3)]) for _ in range(2))
        assert batch.sizes == again.sizes
        assert batch.frames[0].shape == batch.frames[1].shape
        found.add(min(batch.sizes[0]))
        assert batch.targets[0]["boxes"].max() <= max(batch.sizes[0])
    assert found == {min(side, round(128 * min(HEIGHT, WIDTH) / max(HEIGHT, WIDTH))) for side in sides}


def test_inference_frames_are_unchanged(video):
    frames, sizes, scale = load_frames(video, [1, 2], MODEL)
    assert scale == 1
    assert sizes == [(HEIGHT, WIDTH)] * 2
    assert np.array_equal(frames[0].permute(1, 2, 0).numpy(), read_frame(video.frames[1]))


def test_an_unreadable_frame_is_named(video):
    video.frames[2].path.write_bytes(b"not an image")
    with pytest.raises(DatasetError, match=r"2\.png"):
        loader(video).batch([Draw(0, "v", 0, 2, 2)])


def test_labels_are_cut_at_an_oblong_frame(video):
    """Of the joints the first row alone is in it, x 24 to 64, no ears; a box is 1.2 of that and a pixel more."""
    pose, action = (make(video, 0, 1.0, None, (40, 128)) for make in (pose_target, action_target))
    assert pose["keypoints"][0, :, 2].tolist() == [1, 1, 1] + [0] * 14
    assert pose["boxes"].tolist() == [[19, 27, 69, 29]]
    assert action["boxes"].tolist() == [[10, 20, 110, 40]]
    (box,) = pose_target(video, 0, 1.0, None, (128, 45))["boxes"].tolist()
    assert box[2] == 45  # and not 47, as joints at x 24 and 44 would have it


def test_labels_are_zoomed_with_their_frame(video, joints):
    pose, action = (make(video, 0, 0.5, None, (64, 64)) for make in (pose_target, action_target))
    seen = pose["keypoints"][0, :, 2] > 0
    np.testing.assert_allclose(pose["keypoints"][0, seen, :2], zoomed(joints[seen.numpy()], 0.5))
    assert action["boxes"].tolist() == [[5, 10, 55, 50]]


def test_a_flip_takes_the_label_of_a_joint_to_its_partner_and_mirrors_about_the_middle(video, joints):
    (person,) = video.frames[0].people
    left, right = (POSETRACK_JOINTS.index(f"{side}_wrist") for side in ("left", "right"))
    hidden = replace(person, labelled=np.arange(17) != left)
    one = replace(video, frames=(replace(video.frames[0], people=(hidden,)),))
    (found,) = pose_target(one, 0, 1.0, Change(np.eye(2, 3), True, 1.0, 0.0), (HEIGHT, WIDTH))["keypoints"]
    assert found[right].tolist() == [0, 0, 0]
    assert found[left].tolist() == [WIDTH - 1 - joints[right, 0], joints[right, 1], 1]


def test_a_change_stays_within_its_settings_and_uses_them():
    """In a frame four times as wide as high; seen about its middle, which a change without a shift leaves alone."""
    settings = AUGMENTATION.model_copy(update={"min_scale": 0.9, "max_scale": 1.5, "shift": 0.25, "flip": 0.0})
    changes = [Change.draw(settings, 100, 400, NOBODY, np.random.default_rng(seed)) for seed in range(200)]
    middle = np.array([199.5, 49.5])
    moved = np.array([change.matrix @ [*middle, 1] - middle for change in changes])
    for values, low, high in (
        ([change.matrix[0, 0] for change in changes], 0.9, 1.5),
        (moved[:, 0], -100, 100),
        (moved[:, 1], -25, 25),
        ([change.gain for change in changes], 0.8, 1.2),
        ([change.bias for change in changes], -25.5, 25.5),
    ):
        margin = 0.05 * (high - low)
        assert low <= min(values) < low + margin
        assert high - margin < max(values) <= high
    assert not any(change.flip for change in changes)
    always = settings.model_copy(update={"flip": 1.0})
    assert all(Change.draw(always, 100, 400, NOBODY, np.random.default_rng(seed)).flip for seed in range(20))


def test_a_window_looks_for_people_in_the_zoomed_frame(street, monkeypatch):
    """A frame 512 wide that the network sees 256 wide: its people are half as far from the corner."""
    given = []

    def draw(augmentation, height, width, people, rng):
        given.append(people)
        return Change(np.eye(2, 3), False, 1.0, 0.0)

    monkeypatch.setattr(Change, "draw", staticmethod(draw))
    model = MODEL.model_copy(update={"image_max_size": 256})
    PairLoader([street], None, model, AUGMENTATION, target=pose_target, beside=nothing, seed=0).batch(
        [Draw(0, "v", 0, 0, 0)]
    )
    expected = [(person.box[:2] + person.box[2:]) / 4 for person in street.frames[0].people]
    np.testing.assert_allclose(given[0], expected)


def test_people_without_a_box_have_no_middle(street):
    """PoseTrack18 has people with neither joints nor a box; no window can be put round them."""
    first, second = street.frames[0].people
    nowhere = replace(first, box=np.full(4, np.nan, np.float32))
    found = middles(replace(street.frames[0], people=(nowhere, second)))
    np.testing.assert_allclose(found, [(second.box[:2] + second.box[2:]) / 2])
    assert middles(replace(street.frames[0], people=())).shape == (0, 2)


def test_batches_go_on_where_the_step_before_ended(video):
    class Stream:
        def draw(self, position):
            return Draw(position, "v", position % 4, 0, 0)

    pairs = PairLoader([video], Stream(), MODEL, AUGMENTATION, target=pose_target, beside=nothing, seed=0)
    positions = [[draw.position for draw in batch.draws] for batch in pairs.batches(3, 1, 4)]
    assert positions == [[3, 4, 5], [6, 7, 8], [9, 10, 11]]


def test_who_has_left_the_frame_has_neither_box_nor_class(video):
    away = Change(np.array([[1.0, 0, 500], [0, 1, 0]]), False, 1.0, 0.0)
    target = action_target(video, 0, 1.0, away, (HEIGHT, WIDTH))
    assert target["boxes"].shape == (0, 4)
    assert target["labels"].shape == (0,)


def test_what_comes_into_view_is_grey(video):
    moved = Change(np.array([[1.0, 0, 10], [0, 1, 5]]), False, 1.0, 0.0)
    image = moved.image(read_frame(video.frames[0]), (HEIGHT, WIDTH))
    assert (image[:5] == FILL).all()
    assert (image[:, :10] == FILL).all()
    assert (image[5:, 10:] != FILL).any(-1).all()
