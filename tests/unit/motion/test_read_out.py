import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch

from dimofs.datasets.records import DatasetError, Frame, Person
from dimofs.motion.read_out import PENALTIES, fit, joint_displacements, load_read_out
from dimofs.training.checkpoint import CheckpointError, save_checkpoint


def person(track_id: int, joints: list[tuple[float, float]], labelled: list[bool]) -> Person:
    return Person(track_id, np.zeros(4, np.float32), None, np.array(joints, np.float32), np.array(labelled))


def frame(*people: Person) -> Frame:
    return Frame(Path("a.jpg"), True, people, ())


class TestJointDisplacements:
    def test_joints_labelled_in_both_frames_of_the_same_person(self):
        a = frame(person(7, [(1, 2), (3, 4), (5, 6)], [True, True, False]), person(8, [(9, 9)] * 3, [True] * 3))
        b = frame(person(9, [(0, 0)] * 3, [True] * 3), person(7, [(4, 0), (3, 3), (5, 5)], [True, False, True]))
        places, displacements = joint_displacements(a, b)
        assert places.tolist() == [[1, 2]]
        assert displacements.tolist() == [[3, -2]]
        assert places.dtype == displacements.dtype == np.float32

    def test_nobody_is_no_joint(self):
        places, displacements = joint_displacements(frame(), frame(person(1, [(0, 0)], [True])))
        assert places.shape == displacements.shape == (0, 2)


class TestFit:
    def sample(self, noise=0.0, size=400):
        generator = np.random.default_rng(0)
        features = generator.normal(size=(size, 6)).astype(np.float32)
        truth = generator.normal(size=(2, 6))
        displacements = features @ truth.T + noise * generator.normal(size=(size, 2))
        return features, displacements.astype(np.float32), truth, np.arange(size) // 40

    def test_it_finds_a_linear_law(self):
        features, displacements, truth, groups = self.sample()
        found = fit(features, displacements, groups)
        np.testing.assert_allclose(found.coefficients.numpy(), truth, atol=0.05)
        assert found.penalty == min(PENALTIES)
        assert found.joints == 400
        assert found.coefficients.dtype == torch.float32

    def test_where_features_say_nothing_the_penalty_is_large(self):
        features, displacements, _, groups = self.sample(noise=100.0)
        found = fit(features, np.random.default_rng(1).permutation(displacements), groups)
        assert found.penalty == max(PENALTIES)

    def test_no_intercept_hides_a_constant(self):
        """A displacement that the features do not tell stays unexplained: at δ = 0 they are zero, and so is it."""
        features, displacements, truth, groups = self.sample()
        found = fit(features, displacements + 5, groups).coefficients.numpy()
        residual = displacements + 5 - features @ found.T
        np.testing.assert_allclose(residual.mean(0), 5, atol=0.5)
        np.testing.assert_allclose(found, truth, atol=0.8)

    def test_one_video_is_too_few(self):
        features, displacements, _, groups = self.sample()
        with pytest.raises(DatasetError, match="fewer than two videos"):
            fit(features, displacements, 0 * groups)


class TestFile:
    def test_round_trip(self, tmp_path):
        (tmp_path / "w.safetensors").write_bytes(b"weights")
        sums = {"w.safetensors": hashlib.sha256(b"weights").hexdigest(), "pairs.parquet": "0"}
        save_checkpoint(tmp_path / "r.safetensors", {"coefficients": torch.ones(2, 24)}, {"sha256": sums})
        assert load_read_out(tmp_path / "r.safetensors", 3, tmp_path / "w.safetensors").shape == (2, 24)
        (tmp_path / "w.safetensors").write_bytes(b"others")
        with pytest.raises(CheckpointError, match=r"r\.safetensors: was fitted to other weights than .*w\.safetensors"):
            load_read_out(tmp_path / "r.safetensors", 3, tmp_path / "w.safetensors")

    @pytest.mark.parametrize("tensors", [{"coefficients": torch.ones(2, 16)}, {"weights": torch.ones(2, 24)}])
    def test_another_file_is_named(self, tensors, tmp_path):
        save_checkpoint(tmp_path / "r.safetensors", tensors, {})
        with pytest.raises(CheckpointError, match=r"r\.safetensors: is no read-out of 3 channels"):
            load_read_out(tmp_path / "r.safetensors", 3, tmp_path / "r.safetensors")


def test_it_is_ridge_regression_through_the_origin() -> None:
    """With features that are not centred, where an intercept would change the coefficients."""
    features, displacements, _, groups = TestFit().sample(noise=1.0)
    features, displacements = features + 3, displacements + 5
    found = fit(features, displacements, groups)
    penalty = found.penalty * len(features)
    expected = np.linalg.solve(features.T @ features + penalty * np.eye(6), features.T @ displacements).T
    np.testing.assert_allclose(found.coefficients.numpy(), expected, rtol=1e-3, atol=1e-4)
