import math

import pytest
import torch

from varscore.network.enformer import Enformer, EnformerConfig, relative_position_features, relative_shift


def random_dna(length: int, batch: int = 2, seed: int = 0) -> torch.Tensor:
    codes = torch.randint(0, 5, (batch, length), generator=torch.Generator().manual_seed(seed))
    return torch.eye(5, 4, dtype=torch.float64)[codes]


def test_defaults_are_the_published_network():
    config = EnformerConfig()
    assert (config.window, config.bin_size, config.crop, config.dim) == (196_608, 128, 320, 1536)
    with torch.device("meta"):
        network = Enformer(config)
    assert sum(p.numel() for p in network.parameters()) == 251_221_292


@pytest.mark.parametrize(
    ("sizes", "complaint"),
    [({"heads": 7}, "multiple of 6"), ({"bins_out": 895}, "cropped evenly"), ({"bins_out": 1538}, "cropped evenly")],
)
def test_sizes_that_do_not_fit_are_refused(sizes, complaint):
    with pytest.raises(ValueError, match=complaint):
        EnformerConfig(**sizes)


def test_parts_make_the_whole(small_network):
    x = random_dna(small_network.config.window)
    trunk = small_network.trunk(x)
    assert trunk.shape == (2, 32, 24)
    embedding = small_network.embed(small_network.transformer(trunk))
    assert embedding.shape == (2, 20, 48)
    whole = small_network(x)
    assert {organism: y.shape for organism, y in whole.items()} == {"human": (2, 20, 7), "mouse": (2, 20, 3)}
    for organism, y in whole.items():
        torch.testing.assert_close(small_network.head(embedding, organism), y, rtol=0, atol=0)


def test_relative_shift_reads_by_distance():
    n = 5
    by_distance = torch.arange(-n + 1, n, dtype=torch.float64).expand(2, 3, n, 2 * n - 1)
    positions = torch.arange(n, dtype=torch.float64)
    expected = (positions[None] - positions[:, None]).expand(2, 3, n, n)
    torch.testing.assert_close(relative_shift(by_distance), expected)


def test_relative_position_features_against_scipy_free_arithmetic():
    bins, size = 16, 12  # two functions of each kind, then the same with the sign
    features = relative_position_features(bins, size, torch.float64)
    assert features.shape == (31, 12)
    distance = 5
    row = features[bins - 1 + distance]
    assert row[0].item() == pytest.approx(2 ** (-distance / 8))
    assert row[1].item() == pytest.approx(2 ** (-distance / 16))
    assert row[2:4].tolist() == [0, 0]  # |d| < 1 and |d| < 3 do not hold
    # gamma density of mean 8 and standard deviation 4: concentration 4, rate 1/2
    density = [x**3 * math.exp(-x / 2) * 0.5**4 / math.gamma(4) + 1e-8 for x in range(bins)]
    assert row[4].item() == pytest.approx(density[distance] / max(density))
    torch.testing.assert_close(features[bins - 1 - distance, :6], row[:6])
    torch.testing.assert_close(features[bins - 1 - distance, 6:], -row[6:])
    assert features[bins - 1, 6:].abs().max() == 0


def test_same_function_as_the_package_on_pypi(small_config, monkeypatch):
    """Random parameters everywhere, float64; only the package's gamma features, which need a stored table at other
    sizes than these, are given by their formula."""
    peer = pytest.importorskip("enformer_pytorch", reason="enformer-pytorch is not installed")
    from enformer_pytorch import modeling_enformer

    from tests.conftest import randomise
    from varscore.network.checkpoint import load_enformer

    def gamma_features(positions, features, seq_len, **_):
        mean = torch.linspace(seq_len / features, seq_len, features)
        concentration, rate = (mean / (seq_len / (2 * features))) ** 2, mean / (seq_len / (2 * features)) ** 2
        density = torch.exp(torch.distributions.Gamma(concentration, rate).log_prob(positions.double().abs()[:, None]))
        density = density + 1e-8
        return density / density.amax(dim=0)

    monkeypatch.setattr(modeling_enformer, "get_positional_features_gamma", gamma_features)
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)  # the package's positions follow it
    try:
        theirs = peer.Enformer(
            peer.EnformerConfig(
                dim=96, depth=2, heads=4, attn_dim_key=16, output_heads={"human": 7, "mouse": 3},
                target_length=20, dim_divisible_by=8, use_tf_gamma=False,
            )
        )  # fmt: skip
        randomise(theirs)
        tower = tuple(theirs.state_dict()[f"conv_tower.{i}.0.2.weight"].shape[0] for i in range(6))
        config = EnformerConfig(48, tower, 4, 16, 2, small_config.tracks, small_config.bins, small_config.bins_out)
        ours = load_enformer(theirs.state_dict(), config=config, dtype=torch.float64)
        x = random_dna(config.window)
        with torch.no_grad():
            expected = theirs(x)
    finally:
        torch.set_default_dtype(default)
    for organism, y in ours(x).items():
        assert expected[organism].abs().max() > 0.1
        torch.testing.assert_close(y, expected[organism], rtol=1e-9, atol=1e-9)
