import pytest
import torch
from safetensors.torch import save_file

from dimofs.training.checkpoint import CheckpointError, load_checkpoint, save_checkpoint, start_from


def test_round_trip_and_equal_bytes(tmp_path):
    tensors = {"b": torch.randn(3, 4).t(), "a": torch.arange(5)}
    for name in ("one", "two"):
        save_checkpoint(tmp_path / name, tensors, {"z": 1, "y": [2.5, None]})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    loaded, metadata = load_checkpoint(tmp_path / "one")
    assert metadata == {"z": 1, "y": [2.5, None]}
    assert all(torch.equal(loaded[name], tensors[name]) for name in tensors)


def test_bad_files_are_named(tmp_path):
    path = tmp_path / "x.safetensors"
    with pytest.raises(CheckpointError, match=r"x\.safetensors"):
        load_checkpoint(path)
    save_checkpoint(path, {"a": torch.zeros(100)}, {})
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(CheckpointError, match=r"x\.safetensors"):
        load_checkpoint(path)
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match="not written by this project"):
        load_checkpoint(path)
    for metadata, complaint in (("{", "not a readable checkpoint"), ("[]", "no mapping")):
        save_file({"a": torch.zeros(1)}, path, {"dimofs": metadata})
        with pytest.raises(CheckpointError, match=complaint):
            load_checkpoint(path)


def test_only_the_named_parts_are_taken(tmp_path):
    first = torch.nn.ModuleDict({"body": torch.nn.Linear(2, 2), "head": torch.nn.Linear(2, 2)})
    save_checkpoint(tmp_path / "first", first.state_dict(), {})
    second = torch.nn.ModuleDict({"body": torch.nn.Linear(2, 2), "head": torch.nn.Linear(2, 2)})
    head = second["head"].weight.clone()
    start_from(second, tmp_path / "first", parts=("body.",))
    assert torch.equal(second["body"].weight, first["body"].weight)
    assert torch.equal(second["head"].weight, head)


def test_a_part_that_does_not_fit_is_an_error(tmp_path):
    save_checkpoint(tmp_path / "first", torch.nn.ModuleDict({"body": torch.nn.Linear(2, 2)}).state_dict(), {})
    with pytest.raises(CheckpointError, match=r"body\.weight"):
        start_from(torch.nn.ModuleDict({"body": torch.nn.Linear(3, 2)}), tmp_path / "first", parts=("body.",))
    deeper = torch.nn.ModuleDict({"body": torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))})
    save_checkpoint(tmp_path / "deeper", deeper.state_dict(), {})
    with pytest.raises(CheckpointError, match=r"body\.1\.bias"):
        start_from(torch.nn.ModuleDict({"body": deeper["body"][:1]}), tmp_path / "deeper", parts=("body.",))
    with pytest.raises(CheckpointError, match="no such part"):
        start_from(torch.nn.ModuleDict({"body": torch.nn.Linear(2, 2)}), tmp_path / "first", parts=("tail.",))
