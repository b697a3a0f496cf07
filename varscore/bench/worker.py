"""Measures one task in a process of its own, so that its peak memory is its own: JSON in, JSON out."""

from __future__ import annotations

import json
import resource
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from varscore.bench.cases import Case, Measured, Task
from varscore.engine.device import resolve_device, steady_math
from varscore.engine.difference_scorer import DifferenceScorer
from varscore.engine.plain import PlainScorer
from varscore.engine.precision import Precision, round_to_tf32
from varscore.engine.trunk import one_hot
from varscore.engine.windows import Job
from varscore.genome.reference import Reference
from varscore.genome.variant import Edit
from varscore.genome.window import cut_window
from varscore.network.checkpoint import load_enformer
from varscore.network.enformer import Enformer, EnformerConfig
from varscore.network.zoo import get_model

SPREAD = 1_000
"""Bases between the first allele and the last."""
ORGANISM = "human"


class InPrecision(TorchFunctionMode):
    """The matrix products of any network in a precision, to see what becomes of a method that was not made for it."""

    def __init__(self, precision: Precision) -> None:
        super().__init__()
        self.precision = precision

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Round both factors of a product; sums and biases stay in float32."""
        kwargs = kwargs or {}
        if func in (F.linear, F.conv1d):
            x, weight, bias, *rest = args
            y = func(self._round(x), self._round(weight), None, *rest, **kwargs).float()
            return y if bias is None else y + (bias if func is F.linear else bias[:, None])
        if func in (torch.matmul, Tensor.matmul, Tensor.__matmul__):
            return func(*(self._round(x) for x in args)).float()
        return func(*args, **kwargs)

    def _round(self, x: Tensor) -> Tensor:
        return x.bfloat16() if self.precision is Precision.BF16 else round_to_tf32(x)


def jobs(case: Case, reference: Reference, window: int) -> list[Job]:
    """SNVs around the middle of the contig, each in a window of its own or all in one."""
    [contig] = reference.contigs
    stretch = reference.stretch(contig, 0)
    assert stretch is not None
    middle = reference.contigs[contig] // 2
    shared_start = middle - window // 2 + 1
    found = []
    for i in range(case.alleles):
        position = middle - SPREAD // 2 + (2 * i + 1) * SPREAD // (2 * case.alleles)
        ref = "ACGT"[reference.codes(stretch, position, position + 1)[0]]
        alt = "ACGT"["ACGT".index(ref) - 1]
        start = shared_start if case.window == "shared" else position - window // 2 + 1
        found.append(Job(stretch, Edit(position, ref, alt, position), start))
    return found


def score_with_peer(network: Any, reference: Reference, some: list[Job], window: int) -> np.ndarray:
    """SAD as a user of enformer-pytorch computes it: four forwards an allele, and a subtraction."""
    scores = []
    for job in some:
        cut = cut_window(reference, job.stretch, job.edit, job.start, window)
        device = next(network.parameters()).device
        alleles = [one_hot(torch.from_numpy(codes).to(device)) for codes in (cut.ref, cut.alt)]
        sums = [(network(x, head=ORGANISM) + network(x.flip(0, 1), head=ORGANISM)).sum(dim=0) / 2 for x in alleles]
        scores.append((sums[1] - sums[0]).double().cpu().numpy())
    return np.array(scores)


def load_peer(weights: Path, config: EnformerConfig, device: torch.device) -> Any:
    """enformer-pytorch's network with the same weights."""
    from enformer_pytorch import Enformer as Peer
    from safetensors.torch import load_file

    network: Any = Peer.from_hparams(
        dim=config.dim, depth=config.layers, heads=config.heads, output_heads=config.tracks,
        target_length=config.bins_out, attn_dim_key=config.key_size,
    )  # fmt: skip
    tensors = load_file(weights) if weights.suffix == ".safetensors" else torch.load(weights, mmap=True)
    own = network.state_dict()
    # drawn weights lack the axes of length one, and the names under which a tensor is there twice
    shaped = {name: value.reshape(own[name].shape) for name, value in tensors.items() if name in own}
    network.load_state_dict(shaped, strict=False)
    return network.eval().requires_grad_(False).to(device)


def scorer(network: Enformer, case: Case) -> PlainScorer | DifferenceScorer:
    """The case's engine with its defaults."""
    if case.engine == "plain":
        return PlainScorer(network, ORGANISM, rc=case.rc)
    return DifferenceScorer(network, ORGANISM, rc=case.rc, precision=Precision(case.precision))


def measure(task: Task) -> Measured:
    """Load the model, score the case's alleles, and say how long that took and what it needed."""
    case, device = task.case, resolve_device(task.device)
    config = EnformerConfig(**get_model(task.model).architecture)
    dtype = torch.float64 if case.dtype == "float64" else torch.float32
    emulated = case.engine == "plain" and case.precision != "fp32"
    with steady_math(), Reference(task.fasta) as reference, torch.inference_mode():
        some = jobs(case, reference, config.window)
        if case.engine == "enformer-pytorch":
            network = load_peer(task.weights, config, device)

            def score(some: list[Job]) -> np.ndarray:
                return score_with_peer(network, reference, some, config.window)
        else:
            network = load_enformer(task.weights, device, config=config, dtype=dtype)
            engine = scorer(network, case)

            def score(some: list[Job]) -> np.ndarray:
                return engine.score(reference, some).alleles[:, 0]

        for weight in network.parameters():
            weight.sum()  # reads what is mapped from the file
        if device.type == "cuda":
            score(some)  # chooses kernels
            torch.cuda.reset_peak_memory_stats(device)
        with InPrecision(Precision(case.precision)) if emulated else nullcontext():
            began = time.perf_counter()
            scores = score(some)
            seconds = time.perf_counter() - began
    if task.scores:
        np.save(task.scores, scores)
    if device.type == "cuda":
        return Measured(seconds, torch.cuda.max_memory_allocated(device))
    unit = 1 if sys.platform == "darwin" else 1024
    return Measured(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)


def main() -> None:
    """Read a task from standard input, write what was measured to standard output."""
    asked = json.load(sys.stdin)
    scores = Path(asked["scores"]) if asked["scores"] else None
    task = Task(
        Case(**asked["case"]), asked["model"], Path(asked["weights"]), Path(asked["fasta"]), asked["device"], scores
    )
    json.dump(vars(measure(task)), sys.stdout)


if __name__ == "__main__":
    main()
