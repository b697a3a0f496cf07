from pathlib import Path

import pytest
import torch

from varscore.network.enformer import Enformer, EnformerConfig

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    if not SHARED.is_dir():
        pytest.skip(f"no shared test data at {SHARED}")
    return SHARED


@pytest.fixture(scope="session")
def small_config() -> EnformerConfig:
    """Every part of Enformer at a size that float64 on a CPU handles at once: 4,096 bp, 20 of 32 bins."""
    return EnformerConfig(
        stem_channels=8,
        tower_channels=(8, 10, 12, 14, 16, 24),
        heads=2,
        key_size=6,
        layers=2,
        tracks={"human": 7, "mouse": 3},
        bins=32,
        bins_out=20,
    )


def randomise(network: Enformer, seed: int = 0) -> Enformer:
    """Give every parameter and running statistic a random value, at scales that keep the signal alive."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in network.state_dict().items():
        if not tensor.is_floating_point():
            continue
        values = torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype)
        if name.endswith("running_var") or (tensor.ndim == 1 and name.endswith("weight")):
            values = 0.5 + values.abs()
        elif tensor.ndim > 1 and "bias" not in name:
            values *= 1.5 / tensor[0].numel() ** 0.5
        else:
            values *= 0.3
        tensor.copy_(values)
    return network.eval().requires_grad_(False)


@pytest.fixture
def small_network(small_config: EnformerConfig) -> Enformer:
    return randomise(Enformer(small_config).double())
