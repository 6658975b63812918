"""Checkpoints: safetensors files that carry the configuration which made them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from dimofs import DimofsError
from dimofs.io import replacing


class CheckpointError(DimofsError, ValueError):
    """A checkpoint that cannot be used; the message names the file and what is wrong with it."""


def save_checkpoint(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
    """Write tensors and JSON-able metadata; equal content gives equal bytes."""
    with replacing(path) as temporary:
        save_file(
            {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()},
            temporary,
            metadata={"dimofs": json.dumps(metadata)},
        )


def load_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a checkpoint of `save_checkpoint`: its tensors (on the CPU) and its metadata.

    Raises CheckpointError when the file is missing, damaged or not ours. No code in the file is ever run.
    """
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            metadata = file.metadata() or {}
            if "dimofs" not in metadata:
                raise CheckpointError(f"{path}: has no `dimofs` metadata; it was not written by this project")
            settings = json.loads(metadata["dimofs"])
            if not isinstance(settings, dict):
                raise CheckpointError(f"{path}: its `dimofs` metadata is no mapping; make it again")
            return {name: file.get_tensor(name) for name in file.keys()}, settings  # noqa: SIM118
    except (OSError, SafetensorError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path}: is not a readable checkpoint ({error}); make it again") from error


def start_from(network: nn.Module, path: Path, *, parts: tuple[str, ...]) -> None:
    """Copy the weights of a checkpoint into the parts of `network` that both have, as `fill` does."""
    tensors, _ = load_checkpoint(path)
    fill(network, tensors, path, parts=parts)


def fill(network: nn.Module, tensors: Mapping[str, Tensor], source: Path | str, *, parts: tuple[str, ...]) -> None:
    """Copy named tensors into parts of `network`; `source` is only named in the message.

    `parts` are name prefixes such as "backbone."; each must be filled completely, and there must be nothing more of it
    in `tensors`, so that no mismatch passes silently. Everything else keeps its own initialisation.
    """
    own = network.state_dict()
    for part in parts:
        wanted = {name for name in own if name.startswith(part) and not name.endswith("num_batches_tracked")}
        given = {name for name in tensors if name.startswith(part) and not name.endswith("num_batches_tracked")}
        shared = wanted & given
        bad = sorted((wanted ^ given) | {name for name in shared if tensors[name].shape != own[name].shape})
        if bad or not wanted:
            raise CheckpointError(
                f"{source}: does not fit {part!r} of this network ({', '.join(bad[:3]) or 'no such part'})"
            )
        own.update({name: tensors[name] for name in wanted})
    network.load_state_dict(own)
