import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch

from dimofs.datasets.records import DatasetError
from dimofs.model.backbone import both_frames
from dimofs.model.fields import joint_features, motion_fields
from dimofs.pairs.loading import network_frames, zoomed
from dimofs.pairs.window import FeatureWindow
from dimofs.tracking.link import Tracker
from dimofs.training.checkpoint import CheckpointError, save_checkpoint
from dimofs.training.loop import as_input
from dimofs.video.analyse import BATCH, LINKER, analyse, analyse_pictures, first_needed, resized
from dimofs.video.read import Picture


def footage(frames):
    return [Picture(position, position / 25, f"{position}", frame) for position, frame in enumerate(frames)]


def analysed(detector, model, frames, deltas, score=0.0, tracker=None, first=0):
    pictures = iter(footage(frames)[first_needed(first, deltas) :])
    return list(analyse_pictures(detector, model, pictures, deltas, score, tracker or Tracker(LINKER), first))


@pytest.mark.usefixtures("in_float32")
@torch.inference_mode()
def test_it_is_the_detector_on_every_frame_and_its_offsets_on_every_pair(detector, model, frames):
    large = [np.repeat(np.repeat(frame, 2, 0), 2, 1) for frame in frames[:11]]
    found = analysed(detector, model, large, (3, -6))
    assert [frame.picture.position for frame in found] == list(range(11))
    for a, frame in enumerate(found):
        assert frame.frames_b == {3: min(a + 3, 10), -6: max(a - 6, 0)}
        for delta, b in frame.frames_b.items():
            images, sizes, zoom = network_frames([large[a], large[b]], model)
            assert (frame.zoom, frame.size) == (zoom, sizes[0]) == (0.5, (64, 96))
            features_a, features_b = both_frames(
                detector.backbone, as_input(images[:1], images.device), as_input(images[1:], images.device)
            )
            expected = detector.offsets(features_a, features_b)
            for level, wanted in zip(frame.offsets[delta], expected, strict=True):
                np.testing.assert_allclose(level, wanted[0], atol=1e-4)
        (people,) = detector.detect(detector.resampled(features_a, features_a), sizes[:1])
        assert len(frame.people) == len(people["scores"]) > 0
        for person, box, score in zip(frame.people, people["boxes"], people["scores"], strict=True):
            np.testing.assert_allclose(person.box, box / zoom, atol=0.05)
            assert person.score == pytest.approx(float(score), abs=1e-4)
            np.testing.assert_allclose(person.joints[1], person.joints[5:7].mean(0), atol=1e-3)  # A21
            for delta, features in person.features.items():
                fields = motion_fields([level[None] for level in frame.offsets[delta]])
                expected = joint_features(fields, torch.from_numpy(zoomed(person.joints, zoom))[None])[0]
                np.testing.assert_allclose(features, expected / zoom, atol=1e-3)
                assert features.shape == (17, 8 * model.fpn_channels)


def test_every_frame_passes_the_backbone_once(detector, model, frames):
    passed = []
    handle = detector.backbone.register_forward_hook(lambda _, inputs, __: passed.append(len(inputs[0])))
    try:
        analysed(detector, model, frames, (1, -2, 5, -9, 30))
    finally:
        handle.remove()
    assert sum(passed) == len(frames)


@pytest.mark.parametrize("deltas", [(5,), (-3, 2), (-9,)])
def test_going_on_in_the_middle_gives_what_a_run_from_the_beginning_gives(detector, model, frames, deltas):
    whole = analysed(detector, model, frames, deltas)
    tracker = Tracker(LINKER)
    first = 3 * BATCH
    for frame in whole[:first]:
        boxes, poses = (np.array([getattr(p, name) for p in frame.people], np.float64) for name in ("box", "joints"))
        tracker.remember(frame.picture.position, np.array([p.track for p in frame.people]), boxes, poses)
    rest = analysed(detector, model, frames, deltas, tracker=tracker, first=first)
    assert len(rest) == len(frames) - first
    for one, other in zip(whole[first:], rest, strict=True):
        assert [p.track for p in one.people] == [p.track for p in other.people]
        for person, same in zip(one.people, other.people, strict=True):
            assert np.array_equal(person.joints, same.joints)
            assert all(np.array_equal(person.features[delta], same.features[delta]) for delta in deltas)


def test_tracks_hold_over_frames(detector, model, frames):
    still = analysed(detector, model, [frames[0]] * 9, (1,))
    assert {tuple(p.track for p in frame.people) for frame in still} == {tuple(range(len(still[0].people)))}


def test_nobody(detector, model, frames):
    found = analysed(detector, model, frames[:5], (2,), score=1.0)
    assert [frame.people for frame in found] == [()] * 5
    assert found[0].offsets[2][0].shape == (16, 16, 24)


def test_one_frame_has_no_motion(detector, model, frames):
    (frame,) = analysed(detector, model, frames[:1], (5,))
    assert frame.frames_b == {5: 0}
    assert not any(level.any() for level in frame.offsets[5])


def test_no_frame(detector, model):
    assert analysed(detector, model, [], (5,)) == []


@pytest.mark.parametrize("deltas", [(), (0,), (5, 5), (1000,)])
def test_gaps_that_mean_nothing_are_refused(clip, checkpoint, deltas):
    with pytest.raises(DatasetError, match="give different gaps"):
        analyse(clip, checkpoint, deltas=deltas)


def test_no_more_frames_are_held_than_the_gaps_need(detector, model, frames):
    images = []
    most = 0

    def pictures():
        for position in range(60):
            picture = replace(footage(frames[:1])[0], position=position, image=frames[position % 23].copy())
            images.append(weakref.ref(picture.image))
            yield picture

    for _ in analyse_pictures(detector, model, pictures(), (3, -2), 1.0, Tracker(LINKER)):
        most = max(most, sum(image() is not None for image in images))
    assert BATCH < most <= 5 * BATCH


def test_a_video_and_a_checkpoint_are_enough(clip, checkpoint, frames):
    found = list(analyse(clip, checkpoint, deltas=(2,), score=0.0))
    assert len(found) == len(frames)
    assert found[0].size == (64, 96)
    assert next(analyse(clip, checkpoint, size=192)).size == (128, 192)


def test_no_inference_mode_leaks_to_the_caller(clip, checkpoint):
    for _ in analyse(clip, checkpoint):
        assert not torch.is_inference_mode_enabled()
        break


@pytest.mark.parametrize("size", [0, 63, 5000])
def test_sizes_that_no_network_takes_are_refused(model, size):
    with pytest.raises(DatasetError, match=f"size {size}"):
        resized(model, size)


class TestCheckpoint:
    def test_a_single_frame_network_has_no_offsets(self, clip, tmp_path, detector, model):
        tensors = {name: value for name, value in detector.state_dict().items() if not name.startswith("offsets")}
        save_checkpoint(tmp_path / "single.safetensors", tensors, {"model": model.model_dump(mode="json")})
        with pytest.raises(CheckpointError, match=r"single\.safetensors: does not fit 'offsets\.'"):
            next(analyse(clip, tmp_path / "single.safetensors"))

    def test_one_that_does_not_say_what_it_is(self, clip, tmp_path, detector):
        save_checkpoint(tmp_path / "x.safetensors", detector.state_dict(), {})
        with pytest.raises(CheckpointError, match="does not describe its network"):
            next(analyse(clip, tmp_path / "x.safetensors"))


@torch.inference_mode()
def test_every_person_has_their_own_joint_scores(detector, model, frames):
    (frame,) = analysed(detector, model, frames[:1], (1,))
    images, sizes, _ = network_frames(frames[:1], model)
    features = detector.backbone(as_input(images, images.device))
    (found,) = detector.detect(detector.resampled(features, features), sizes)
    assert len(frame.people) > 1
    for person, logits in zip(frame.people, found["keypoints_scores"], strict=True):
        np.testing.assert_allclose(person.joint_scores, logits, atol=0.05)


@pytest.mark.parametrize("deltas", [(-1000,), (5, -101)])
def test_gaps_that_are_too_long_are_refused_backwards_too(clip, checkpoint, deltas):
    with pytest.raises(DatasetError, match="of 1 to 100"):
        analyse(clip, checkpoint, deltas=deltas)


def test_no_more_features_are_held_than_the_gaps_need(detector, model, frames, monkeypatch):
    most = 0
    features = FeatureWindow.features

    def counted(window, wanted):
        nonlocal most
        found = features(window, wanted)
        most = max(most, len(window._features))
        return found

    monkeypatch.setattr(FeatureWindow, "features", counted)
    analysed(detector, model, [frames[position % 23] for position in range(60)], (3, -2), score=1.0)
    assert BATCH < most <= 5 * BATCH
