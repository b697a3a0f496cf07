"""What is measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Engine = Literal["difference", "plain", "enformer-pytorch"]


@dataclass(frozen=True)
class Case:
    """One way of scoring. The alleles are SNVs within 1,000 bp.

    engine: varscore's two, or four forwards an allele of the package enformer-pytorch. dtype: of weights and
    activations; float64 is what errors are measured against.
    """

    name: str
    engine: Engine
    alleles: int
    window: Literal["centered", "shared"] = "centered"
    precision: str = "fp32"
    rc: bool = True
    dtype: Literal["float32", "float64"] = "float32"


@dataclass(frozen=True)
class Task:
    """A case with all that a process of its own needs to measure it."""

    case: Case
    model: str
    weights: Path
    fasta: Path
    device: str
    scores: Path | None = None


@dataclass(frozen=True)
class Measured:
    """seconds: of scoring all alleles, without loading the model. peak_bytes: of the process, or of the GPU."""

    seconds: float
    peak_bytes: int


PEER = "enformer-pytorch"
PLAIN = "plain"
SPEED_CASES = (PEER, PLAIN, "alone", "dense", "shared")


def speed_cases(names: tuple[str, ...], precisions: tuple[str, ...], alleles: int) -> list[Case]:
    """The cases of these names; the difference engine's in each precision."""
    fixed = {PEER: Case(PEER, "enformer-pytorch", 1), PLAIN: Case(PLAIN, "plain", 1)}
    cases = [fixed[name] for name in names if name in fixed]
    for precision in precisions:
        several = {
            "alone": Case("alone", "difference", 1, "centered", precision),
            "dense": Case("dense", "difference", alleles, "centered", precision),
            "shared": Case("shared", "difference", alleles, "shared", precision),
        }
        cases += [several[name] for name in names if name in several]
    return cases


ERROR_ALLELES = 2
EXACT = Case("exact", "difference", ERROR_ALLELES, "shared", rc=False, dtype="float64")
"""Two SNVs of one window, on one strand: what errors are measured on. Tests hold this engine to the plain network's
scores in float64, to 1e-9."""


def error_cases() -> list[Case]:
    """Both engines in every precision."""
    return [
        Case("error", engine, ERROR_ALLELES, "shared", precision, rc=False)
        for engine in ("plain", "difference")
        for precision in ("fp32", "tf32", "bf16")
    ]
