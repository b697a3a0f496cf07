"""Train enformer-tiny on the simulation: `python models/enformer-tiny/train.py`.

First on short windows rich in sites, where the convolutions learn the motifs in many cheap steps, then on whole
windows, where the transformer learns what acts from afar. Every step draws a new window, so nothing is seen twice. As
in the Enformer paper: Poisson loss, Adam with warm-up and clipped gradients, shifts of up to 3 bp and reverse
complements at random, both organisms' heads.
"""

import argparse
import math
import time
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from simulation import BIN, BINS, BINS_OUT, IDENTIFIERS, TRACKS, WINDOW, draw_sequence, one_hot, tracks_of

from varscore.network.checkpoint import load_enformer, published_names
from varscore.network.download import sha256_of
from varscore.network.enformer import Enformer, EnformerConfig

HERE = Path(__file__).parent
MAX_SHIFT = 3
WARM_UP, CLIP = 100, 1.0


@dataclass(frozen=True)
class Phase:
    """Window sizes in bins, density of planted sites, and the learning rate at its peak."""

    bins: int
    bins_out: int
    density: float
    peak_rate: float
    steps: int


PHASES = {
    "short": Phase(bins=128, bins_out=112, density=6, peak_rate=2e-3, steps=6000),
    # a second start finds the motifs that the first one missed
    "again": Phase(bins=128, bins_out=112, density=6, peak_rate=2e-3, steps=2000),
    "whole": Phase(bins=BINS, bins_out=BINS_OUT, density=1, peak_rate=1e-3, steps=1000),
}


def initialise(network: Enformer) -> None:
    """The paper's start: pooling prefers the larger, attention adds nothing yet; other layers as torch has them."""
    for stage in network.conv_stages:
        channels = stage.pool.logits.weight.shape[0]
        torch.nn.init.eye_(stage.pool.logits.weight.data.view(channels, channels)).mul_(2)
    for layer in network.layers:
        torch.nn.init.zeros_(layer.attention.out.weight)
        torch.nn.init.normal_(layer.attention.content_bias, std=0.1)
        torch.nn.init.normal_(layer.attention.position_bias, std=0.1)


def draw_example(phase: Phase, rng: np.random.Generator) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """A window [1, L, 4] and its coverage {organism: [1, bins_out, T]}, shifted and reverse-complemented at random."""
    length = phase.bins * BIN
    codes, _ = draw_sequence(length + 2 * MAX_SHIFT, rng, phase.density)
    coverage = tracks_of(codes[MAX_SHIFT:-MAX_SHIFT], phase.bins_out)
    start = int(rng.integers(0, 2 * MAX_SHIFT + 1))
    x = one_hot(codes[start : start + length])
    if rng.random() < 0.5:
        x, coverage = x.flip(0, 1), {organism: y.flip(0) for organism, y in coverage.items()}
    return x[None], {organism: y[None] for organism, y in coverage.items()}


def train(network: Enformer, phase: Phase, rng: np.random.Generator) -> None:
    """Train in place for one phase."""
    network.config = replace(network.config, bins=phase.bins, bins_out=phase.bins_out)
    optimiser = torch.optim.Adam(network.parameters())
    began, average = time.monotonic(), None
    for step in range(phase.steps):
        warmth = min(1.0, (step + 1) / WARM_UP) * 0.5 * (1 + math.cos(math.pi * step / phase.steps))
        optimiser.param_groups[0]["lr"] = phase.peak_rate * warmth
        x, coverage = draw_example(phase, rng)
        predicted = network(x)
        losses = [torch.nn.functional.poisson_nll_loss(predicted[o], y, log_input=False) for o, y in coverage.items()]
        # the loss of a perfect prediction, so that what is printed falls to zero
        floors = [torch.nn.functional.poisson_nll_loss(y, y, log_input=False) for y in coverage.values()]
        loss = torch.stack(losses).sum()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), CLIP)
        optimiser.step()
        excess = (loss - torch.stack(floors).sum()).item()
        average = excess if average is None else 0.98 * average + 0.02 * excess
        if (step + 1) % max(1, phase.steps // 40) == 0:
            print(f"step {step + 1}  excess loss {average:.4f}  {time.monotonic() - began:.0f} s", flush=True)


def correlation(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Pearson's over bins: [n, T] twice to [T]."""
    x, y = x - x.mean(dim=0), y - y.mean(dim=0)
    return (x * y).sum(dim=0) / (x.norm(dim=0) * y.norm(dim=0))


@torch.no_grad()
def held_out(network: Enformer, windows: int, seed: int) -> dict[str, torch.Tensor]:
    """Correlation of predicted and true coverage over the bins of fresh windows: {organism: [T]}."""
    network.eval()
    rng = np.random.default_rng(seed)
    predicted: dict[str, list] = {organism: [] for organism in network.heads}
    true: dict[str, list] = {organism: [] for organism in network.heads}
    for _ in range(windows):
        codes, _ = draw_sequence(WINDOW, rng)
        for organism, y in tracks_of(codes).items():
            true[organism].append(y)
        for organism, y in network(one_hot(codes)[None]).items():
            predicted[organism].append(y[0])
    network.train()
    return {o: correlation(torch.cat(predicted[o]), torch.cat(true[o])) for o in true}


def save(network: Enformer, path: Path) -> None:
    """Write the weights under the published names."""
    state = network.state_dict()
    save_file({theirs: state[ours].contiguous() for theirs, ours in published_names(network.config).items()}, path)


def write_track_tables(folder: Path) -> list[Path]:
    """Write `tracks_ORGANISM.tsv`: identifiers such as SIM_CTCF, and descriptions."""
    paths = []
    for organism, descriptions in TRACKS.items():
        rows = [f"{i}\tSIM_{IDENTIFIERS[i]}\t{text} (simulated {organism})" for i, text in enumerate(descriptions)]
        paths.append(folder / f"tracks_{organism}.tsv")
        paths[-1].write_text("\n".join(["index\tidentifier\tdescription", *rows]) + "\n")
    return paths


def main() -> None:
    """Train, report, save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--phases", nargs="+", choices=list(PHASES), default=list(PHASES))
    parser.add_argument("--start-from", type=Path, metavar="WEIGHTS", help="go on from these, for the later phases")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, default=HERE / "weights.safetensors")
    options = parser.parse_args()

    torch.manual_seed(options.seed)
    rng = np.random.default_rng(options.seed)
    sizes = tomllib.loads((HERE / "model.toml").read_text())["architecture"]
    tracks = {organism: len(names) for organism, names in TRACKS.items()}
    config = EnformerConfig(**sizes, tracks=tracks, bins=BINS, bins_out=BINS_OUT)
    if options.start_from:
        network = load_enformer(options.start_from, config=config).requires_grad_(True)
    else:
        network = Enformer(config)
        initialise(network)
    network.train()
    for name in options.phases:
        train(network, PHASES[name], rng)
        save(network, options.output)
    for organism, r in held_out(network, 20, seed=10_000 + options.seed).items():
        print(f"held-out correlation, {organism}: {' '.join(f'{value:.3f}' for value in r.tolist())}")
    for path in (options.output, *write_track_tables(options.output.parent)):
        print(f"for model.toml: {path.name} has {path.stat().st_size} bytes, sha256 {sha256_of(path)}")


if __name__ == "__main__":
    main()
