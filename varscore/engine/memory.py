"""How many alternatives go through the transformer together: what memory allows.

The figures were taken with tensors of no content at full size; `tests/engine/test_memory.py` holds them to that.
"""

from __future__ import annotations

import torch

from varscore.network.enformer import EnformerConfig

ON_A_CPU = 16
"""With it Enformer needs less than 3 GB; more alternatives gain little."""
AT_MOST = 64
"""The reference costs as much as one alternative: shared by 64, next to nothing."""
FIXED_BYTES = 2 * 2**30
"""What a batch needs beside the weights: trunk outputs of a group of windows, blocks of attention, libraries' own."""
KEPT_FREE = 0.2
"""Of a GPU's free memory, for what an allocator loses."""


def alternative_bytes(config: EnformerConfig) -> int:
    """What an alternative adds to the peak, at most: its activations [N, D] and projections, in either precision; and
    what waits for the head, of both strands.
    """
    embeddings = 2 * 4 * config.bins_out * 2 * config.dim
    return 5 * config.bins * (3 * config.dim + 2 * config.heads * config.key_size) + embeddings


def batch_size_for(config: EnformerConfig, free: int) -> int:
    """Alternatives that fit into so many free bytes of a GPU; at least 1, which may not fit."""
    room = (1 - KEPT_FREE) * free - FIXED_BYTES
    return max(1, min(AT_MOST, int(room // alternative_bytes(config))))


def usual_batch_size(config: EnformerConfig, device: torch.device) -> int:
    """By the memory that is free on a GPU, with the weights there; on a CPU 16."""
    if device.type != "cuda":
        return ON_A_CPU
    return batch_size_for(config, torch.cuda.mem_get_info(device)[0])
