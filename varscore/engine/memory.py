"""How many alternatives go through the transformer together."""

from __future__ import annotations

import torch

from varscore.engine.precision import Precision
from varscore.network.enformer import EnformerConfig

ON_A_CPU = 16
AT_MOST = 64
"""The reference costs as much as one alternative: shared by 64, next to nothing."""

KEPT_FREE = 0.2
"""Of a GPU's free memory, for its allocator and for what cuBLAS and cuDNN work with."""


def alternative_bytes(config: EnformerConfig, precision: Precision) -> int:
    """What each alternative of a batch adds to the peak: its change [N, D], in what layers need of it at a time."""
    widths = 3 * config.dim + 2 * config.heads * config.key_size
    return round(config.bins * widths * (4 if precision is Precision.FP32 else 5))


def fixed_bytes(config: EnformerConfig) -> int:
    """What a batch needs besides, without the weights: the trunk of a group of windows, and attention's blocks."""
    del config
    return 3 * 2**30


def batch_size_for(device: torch.device, config: EnformerConfig, precision: Precision) -> int:
    """As many as fit into the memory that is free, on a GPU; on a CPU 16, with which Enformer needs less than 4 GB."""
    if device.type != "cuda":
        return ON_A_CPU
    free, _ = torch.cuda.mem_get_info(device)
    room = (1 - KEPT_FREE) * free - fixed_bytes(config)
    return max(1, min(AT_MOST, int(room // alternative_bytes(config, precision))))
