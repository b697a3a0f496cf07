"""Small weights files, to be damaged. Apart, since torch takes seconds to import."""

from pathlib import Path

import torch
from safetensors.torch import save_file

from varscore.network.checkpoint import published_names
from varscore.network.enformer import Enformer, EnformerConfig

CONFIG = EnformerConfig(
    stem_channels=2, tower_channels=(2, 2, 2, 2, 2, 6), heads=1, key_size=6, layers=1,
    tracks={"human": 2, "mouse": 1}, bins=16, bins_out=8,
)  # fmt: skip


def weight_files(folder: Path) -> dict[str, bytes]:
    """One as safetensors, one as torch's own."""
    torch.manual_seed(0)
    state = Enformer(CONFIG).state_dict()
    tensors = {theirs: state[ours].contiguous() for theirs, ours in published_names(CONFIG).items()}
    save_file(tensors, folder / "o.safetensors")
    torch.save(tensors, folder / "o.bin")
    return {"weights": (folder / "o.safetensors").read_bytes(), "weights.bin": (folder / "o.bin").read_bytes()}
