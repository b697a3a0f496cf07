import hashlib
import logging
import os
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

if "PYTEST_XDIST_WORKER_COUNT" in os.environ:  # processes of several threads each would hold each other up
    cores = (os.cpu_count() or 1) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores)))

import torch
from safetensors.torch import save_file

from varscore.network.checkpoint import published_names
from varscore.network.enformer import Enformer, EnformerConfig

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(autouse=True)
def _log_as_the_library_has_it() -> Iterator[None]:
    """The command line sends the log to standard error, which is for its own process."""
    yield
    log = logging.getLogger("varscore")
    log.handlers, log.propagate = [], True
    log.setLevel(logging.NOTSET)


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


def randomise(network: torch.nn.Module, seed: int = 0, gain: float = 1.5) -> None:
    """Give every parameter and running statistic a random value; below a gain of 1 an edit changes little."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in network.state_dict().items():
        if not tensor.is_floating_point():
            continue
        values = torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype)
        if name.endswith("running_var") or (tensor.ndim == 1 and name.endswith("weight")):
            values = 0.5 + values.abs()
        elif tensor.ndim > 1 and "bias" not in name:
            values *= gain / tensor[0].numel() ** 0.5
        else:
            values *= 0.3
        tensor.copy_(values)
    network.eval().requires_grad_(False)


@pytest.fixture
def small_network(small_config: EnformerConfig) -> Enformer:
    network = Enformer(small_config).double()
    randomise(network)
    return network


@pytest.fixture(scope="session")
def small_model(small_config: EnformerConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a whole model with random weights, for runs in milliseconds: window 4,096 bp, 7 and 3 tracks."""
    folder = tmp_path_factory.mktemp("models") / "small"
    folder.mkdir()
    network = Enformer(small_config)
    randomise(network, seed=1)
    state = network.state_dict()
    names = published_names(small_config)
    save_file({theirs: state[ours] for theirs, ours in names.items()}, folder / "weights.safetensors")
    tables = ""
    for organism, count in small_config.tracks.items():
        kinds = ["DNASE:liver", "CAGE:liver, adult", "CHIP:CTCF:K562", "DNASE:K562"]
        rows = [f"{i}\t{organism[0].upper()}{i:03d}\t{kinds[i % 4]} {i}" for i in range(count)]
        path = folder / f"{organism}.tsv"
        path.write_text("\n".join(["index\tidentifier\tdescription", *rows]) + "\n")
        tables += f'[track_tables.{organism}]\ntracks = {count}\nfilename = "{path.name}"\nsha256 = "{sha256(path)}"\n'
    weights = folder / "weights.safetensors"
    (folder / "model.toml").write_text(
        f"""
        name = "small"
        title = "random weights"
        licence = "none"
        source = "tests"
        citation = "none"
        window = {small_config.window}
        bin_size = {small_config.bin_size}
        bins_out = {small_config.bins_out}
        [architecture]
        stem_channels = {small_config.stem_channels}
        tower_channels = {list(small_config.tower_channels)}
        heads = {small_config.heads}
        key_size = {small_config.key_size}
        layers = {small_config.layers}
        [weights]
        filename = "{weights.name}"
        size = {weights.stat().st_size}
        sha256 = "{sha256(weights)}"
        """
        + tables
    )
    assert tomllib.loads((folder / "model.toml").read_text())["name"] == "small"
    return folder


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
