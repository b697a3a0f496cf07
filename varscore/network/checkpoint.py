"""Reading Enformer checkpoints: the published PyTorch file, safetensors, or a mapping under the published names.

The published names are those of `EleutherAI/enformer-official-rough`. Its file lists 287 tensors, and 283 of them once
more as `_trunk.*`, sharing storage.
"""

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from varscore.errors import WeightsError
from varscore.network.enformer import Enformer, EnformerConfig

ALIAS = "_trunk."
"""Names starting so are second names of tensors listed already."""

UNREADABLE = (
    SafetensorError, pickle.UnpicklingError, zipfile.BadZipFile,
    RuntimeError, ValueError, TypeError, LookupError, EOFError, OSError, AttributeError, AssertionError,
)  # fmt: skip
"""What safetensors and torch raise on files that are not theirs, or are damaged."""

COUNTER = "num_batches_tracked"
"""A BatchNorm counter that only training reads; a checkpoint may leave it out."""


def published_names(config: EnformerConfig) -> dict[str, str]:
    """Every tensor of a network of these sizes: its published name to its name in `Enformer`."""
    modules: dict[str, str] = {"stem.0": "conv_stages.0.widen"}
    stages = ["stem", *(f"conv_tower.{i}" for i in range(len(config.tower_channels)))]
    norms = []
    for i, stage in enumerate(stages):
        if i > 0:
            norms.append((f"{stage}.0.0", f"conv_stages.{i}.widen.norm"))
            modules[f"{stage}.0.2"] = f"conv_stages.{i}.widen.conv"
        norms.append((f"{stage}.1.fn.0", f"conv_stages.{i}.pointwise.norm"))
        modules[f"{stage}.1.fn.2"] = f"conv_stages.{i}.pointwise.conv"
    norms.append(("final_pointwise.1.0", "final.norm"))
    modules["final_pointwise.1.2"] = "final.conv"
    modules |= {f"_heads.{organism}.0": f"heads.{organism}" for organism in config.tracks}
    names = {
        f"{stage}.2.to_attn_logits.weight": f"conv_stages.{i}.pool.logits.weight" for i, stage in enumerate(stages)
    }
    for i in range(config.layers):
        ours, attention, feed_forward = f"layers.{i}", f"transformer.{i}.0.fn", f"transformer.{i}.1.fn"
        modules |= {
            f"{attention}.0": f"{ours}.attention_norm",
            f"{attention}.1.to_out": f"{ours}.attention.out",
            f"{feed_forward}.0": f"{ours}.feed_forward_norm",
            f"{feed_forward}.1": f"{ours}.expand",
            f"{feed_forward}.4": f"{ours}.contract",
        }
        names |= {
            f"{attention}.1.rel_content_bias": f"{ours}.attention.content_bias",
            f"{attention}.1.rel_pos_bias": f"{ours}.attention.position_bias",
            f"{attention}.1.to_q.weight": f"{ours}.attention.query.weight",
            f"{attention}.1.to_k.weight": f"{ours}.attention.key.weight",
            f"{attention}.1.to_v.weight": f"{ours}.attention.value.weight",
            f"{attention}.1.to_rel_k.weight": f"{ours}.attention.position.weight",
        }
    leaves = ("weight", "bias")
    names |= {f"{theirs}.{leaf}": f"{ours}.{leaf}" for theirs, ours in modules.items() for leaf in leaves}
    leaves = ("weight", "bias", "running_mean", "running_var", COUNTER)
    return names | {f"{theirs}.{leaf}": f"{ours}.{leaf}" for theirs, ours in norms for leaf in leaves}


def load_enformer(
    weights: Path | str | Mapping[str, Any],
    device: torch.device | str = "cpu",
    *,
    config: EnformerConfig | None = None,
    dtype: torch.dtype = torch.float32,
) -> Enformer:
    """Build an Enformer around its weights; a file's tensors are mapped, not copied, where dtype and device allow.

    Args:
        weights: a `.safetensors` file, a PyTorch file (weights-only unpickling), or a mapping of the published names to
            tensors or NumPy arrays.
        device: where the network goes.
        config: its sizes; by default the published network's.
        dtype: floating-point type of the parameters.

    Returns:
        The network in evaluation mode, parameters frozen.

    Raises:
        WeightsError: the file is missing or unreadable; or tensors are missing, unexpected or misshapen, all listed.
    """
    if isinstance(weights, Mapping):
        tensors, source = weights, "the given mapping"
    else:
        tensors, source = _read(Path(weights)), str(weights)
    with torch.device("meta"):
        network = Enformer(config or EnformerConfig())
    state = {
        name: tensor.to(torch.device(device), dtype if tensor.is_floating_point() else tensor.dtype)
        for name, tensor in _renamed(tensors, network, source).items()
    }
    network.load_state_dict(state, assign=True)
    return network.eval().requires_grad_(False)


def _read(path: Path) -> Mapping[str, Tensor]:
    if not path.is_file():
        raise WeightsError(f"no weights file {path}: check the path, or fetch a model with `varscore models download`")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        _refuse_packed(path)
        tensors = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    except UNREADABLE as error:
        reason = str(error).strip().split("\n")[0]
        raise WeightsError(
            f"{path} cannot be read as weights ({reason}): expected a PyTorch file of tensors alone, or .safetensors; "
            "fetch it again if it may have been cut short"
        ) from error
    if not isinstance(tensors, Mapping) or not all(isinstance(tensor, Tensor) for tensor in tensors.values()):
        raise WeightsError(
            f"{path} does not hold weights: found a {type(tensors).__name__}, expected a mapping of names to tensors"
        )
    return tensors


def _refuse_packed(path: Path) -> None:
    """PyTorch stores what it writes as it is; what is packed could unpack to any size."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > path.stat().st_size:
                raise ValueError("it unpacks to more than its size, which no checkpoint does")


def _renamed(tensors: Mapping[str, Any], network: Enformer, source: str) -> dict[str, Tensor]:
    """Tensors under `Enformer`'s names, in its shapes.

    Raises:
        WeightsError: any are missing, unexpected or misshapen.
    """
    names, wanted = published_names(network.config), network.state_dict()
    tensors = {name: value for name, value in tensors.items() if not name.startswith(ALIAS)}
    state, missing, misshapen = {}, [], []
    for published, ours in names.items():
        shape = wanted[ours].shape
        if published not in tensors:
            if published.endswith(COUNTER):
                state[ours] = torch.zeros(shape, dtype=torch.int64)
            else:
                missing.append(published)
            continue
        value = tensors[published]
        tensor = value if isinstance(value, Tensor) else torch.from_numpy(value)
        # published with axes of length one: pooling as a 2-d convolution, attention biases with a batch axis
        if [n for n in tensor.shape if n > 1] == [n for n in shape if n > 1]:
            state[ours] = tensor.reshape(shape)
        else:
            misshapen.append(f"{published} {tuple(tensor.shape)} instead of {tuple(shape)}")
    unexpected = [name for name in tensors if name not in names]
    problems = [
        f"{len(which)} {kind} ({', '.join(which[:10])}{', …' if len(which) > 10 else ''})"
        for kind, which in (("missing", missing), ("unexpected", unexpected), ("misshapen", misshapen))
        if which
    ]
    if problems:
        raise WeightsError(
            f"{source} does not fit the model: of {len(names)} tensors {'; '.join(problems)}; "
            "is it another model's file?"
        )
    return state
