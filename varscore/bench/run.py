"""Runs the cases one after the other, each in a process of its own, and puts the figures together."""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from varscore.bench.cases import EXACT, PEER, PLAIN, SPEED_CASES, Case, Measured, Task, error_cases, speed_cases
from varscore.engine.device import resolve_device
from varscore.errors import VarscoreError
from varscore.network.checkpoint import published_names
from varscore.network.download import weights_path
from varscore.network.enformer import Enformer, EnformerConfig
from varscore.network.zoo import get_model

log = logging.getLogger("varscore")

SEED = 1
MARGIN = 4_096
"""Bases of the drawn sequence beyond one window."""


@dataclass(frozen=True)
class Speed:
    """A case's runs. Ratios are of seconds per allele, to the plain network and to enformer-pytorch in this run."""

    case: Case
    seconds_per_allele: list[float]
    peak_bytes: int
    times_plain: float | None
    times_peer: float | None


@dataclass(frozen=True)
class Error:
    """Root mean square error of SAD against float64, over the root mean square of SAD, over alleles and tracks."""

    case: Case
    error: float


@dataclass(frozen=True)
class Report:
    """All that was measured, and on what."""

    machine: dict[str, Any]
    model: str
    weights: str
    speed: list[Speed]
    errors: list[Error]

    def as_json(self) -> str:
        """For a file."""
        return json.dumps(asdict(self), indent=2)


def run_bench(
    *,
    model: str = "enformer",
    weights: Path | str | None = None,
    device: str = "auto",
    cases: Iterable[str] = SPEED_CASES,
    precisions: Iterable[str] = ("fp32", "bf16"),
    alleles: int = 16,
    repeats: int = 1,
    errors: bool = True,
) -> Report:
    """Measure ways of scoring on this machine, on all human tracks and both strands of a drawn sequence.

    Args:
        model: a model's name or folder.
        weights: a file to use; by default the model's own where they are on this machine, else drawn ones.
        device: `auto`, `cpu`, `cuda` or `cuda:i`.
        cases: of `SPEED_CASES`; enformer-pytorch is left out where it is not installed or the model is another.
        precisions: of the difference engine.
        alleles: of the dense and the shared case.
        repeats: runs of each case, in turn.
        errors: measure the error of SAD against float64 too.

    Returns:
        Seconds, peak memory, errors.

    Raises:
        VarscoreError: no such model or device, or a case failed.
    """
    spec = get_model(model)
    chosen = resolve_device(device)
    names = list(cases)
    config = EnformerConfig(**spec.architecture)
    if PEER in names and (not importlib.util.find_spec("enformer_pytorch") or config != EnformerConfig()):
        log.info("enformer-pytorch is left out: it is not installed, or this is not Enformer's architecture")
        names.remove(PEER)
    with tempfile.TemporaryDirectory(prefix="varscore-bench-") as temporary:
        folder = Path(temporary)
        file, kind = weights_path(spec, weights), str(weights or "its own")
        if file is None:
            log.info("%s's weights are not here: drawing some", spec.name)
            file, kind = folder / "seeded.safetensors", f"drawn (seed {SEED})"
            save_file(seeded_weights(config), file)
        fasta = draw_fasta(folder, config.window + MARGIN)
        runner = _Runner(model, file, fasta, str(chosen))
        measured: dict[Case, list[Measured]] = {}
        some = speed_cases(tuple(names), tuple(precisions), alleles)
        for turn in range(repeats):
            for case in some:
                log.info("%s, %s, %d allele(s), run %d of %d", *_label(case), case.alleles, turn + 1, repeats)
                measured.setdefault(case, []).append(runner.measure(case))
        found = _errors(runner, folder) if errors else []
    return Report(_machine(chosen), spec.name, kind, _speeds(measured), found)


class _Runner:
    def __init__(self, model: str, weights: Path, fasta: Path, device: str) -> None:
        self.model, self.weights, self.fasta, self.device = model, weights, fasta, device

    def measure(self, case: Case, scores: Path | None = None) -> Measured:
        task = Task(case, self.model, self.weights.resolve(), self.fasta, self.device, scores)
        command = [sys.executable, "-m", "varscore.bench.worker"]
        done = subprocess.run(
            command, input=json.dumps(asdict(task), default=str), capture_output=True, text=True, check=False
        )
        if done.returncode:
            last = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
            raise VarscoreError(f"the case {' '.join(_label(case))} failed: {last[0]}")
        return Measured(**json.loads(done.stdout.splitlines()[-1]))


def _label(case: Case) -> tuple[str, str]:
    return f"{case.engine} {case.window}", case.dtype if case.dtype == "float64" else case.precision


def _errors(runner: _Runner, folder: Path) -> list[Error]:
    scores = folder / "scores.npy"
    log.info("the exact scores, in float64")
    runner.measure(EXACT, scores)
    exact, found = np.load(scores), []
    for case in error_cases():
        log.info("the error of %s, %s", *_label(case))
        runner.measure(case, scores)
        found.append(Error(case, float(np.sqrt(((np.load(scores) - exact) ** 2).mean() / (exact**2).mean()))))
    return found


def _speeds(measured: dict[Case, list[Measured]]) -> list[Speed]:
    each = {case: [one.seconds / case.alleles for one in runs] for case, runs in measured.items()}
    yardsticks = {case.name: statistics.median(seconds) for case, seconds in each.items()}

    def times(name: str, seconds: list[float]) -> float | None:
        return yardsticks[name] / statistics.median(seconds) if name in yardsticks else None

    return [
        Speed(case, seconds, max(run.peak_bytes for run in measured[case]), times(PLAIN, seconds), times(PEER, seconds))
        for case, seconds in each.items()
    ]


def _machine(device: torch.device) -> dict[str, Any]:
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    return {
        "device": gpu or "cpu", "threads": torch.get_num_threads(), "cpus": os.cpu_count(),
        "instructions": torch.backends.cpu.get_cpu_capability(), "platform": platform.platform(),
        "torch": torch.__version__,
    }  # fmt: skip


def draw_fasta(folder: Path, length: int) -> Path:
    """A contig of drawn bases."""
    bases = np.random.default_rng(SEED).choice(np.frombuffer(b"ACGT", np.uint8), length)
    path = folder / "drawn.fa"
    path.write_bytes(b">drawn\n" + bases.tobytes() + b"\n")
    return path


def seeded_weights(config: EnformerConfig) -> dict[str, torch.Tensor]:
    """Weights under the published names, drawn so that activations keep their size from layer to layer."""
    generator = torch.Generator().manual_seed(SEED)
    with torch.device("meta"):
        wanted = Enformer(config).state_dict()
    drawn = {}
    for published, ours in published_names(config).items():
        shape, leaf = wanted[ours].shape, ours.rsplit(".", 1)[-1]
        if leaf == "num_batches_tracked":
            continue
        values = torch.randn(shape, generator=generator)
        if leaf == "running_var" or (leaf == "weight" and len(shape) == 1):
            values = 1 + 0.5 * values.clamp(-1, 1)
        elif leaf in ("bias", "running_mean") or leaf.endswith("_bias"):
            values *= 0.1
        else:
            values *= (1.5 if ours.startswith("conv_stages") else 1) / shape[1:].numel() ** 0.5
        drawn[published] = values
    return drawn
