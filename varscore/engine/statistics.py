"""What is written of two predictions: statistics of a reference profile and of what an alternative adds to it.

A profile is the prediction of a track in the output bins. All formulas take the reference r and the difference
d = a − r instead of the two predictions, so that a small difference keeps its digits.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from varscore.errors import OptionError

LN2 = math.log(2.0)
Exchange = Literal["negates", "keeps", "swaps"]


@dataclass(frozen=True)
class Formula:
    """A statistic's definition.

    compute: from r [N, T] and d [B, N, T] to [B, T] in float64. exchange: what exchanging REF and ALT does to it.
    text: as the metadata states it, of r, a and d = a − r, in bins. source: where it is from.
    """

    compute: Callable[[Tensor, Tensor], Tensor]
    exchange: Exchange
    text: str
    source: str


def _total(x: Tensor) -> Tensor:
    return x.sum(dim=-2, dtype=torch.float64)


def _logsad(r: Tensor, d: Tensor) -> Tensor:
    return torch.log1p(_total(d) / (1 + _total(r))) / LN2


def _sax(_r: Tensor, d: Tensor) -> Tensor:
    return d.gather(-2, d.abs().argmax(dim=-2, keepdim=True)).squeeze(-2).double()


def _d2(_r: Tensor, d: Tensor) -> Tensor:
    return torch.linalg.vector_norm(d, dim=-2, dtype=torch.float64)


def _js(r: Tensor, d: Tensor) -> Tensor:
    """Of p = r/Σr and q = a/Σa, with m = (p + q)/2 and u = (q − p)/2m: ½·Σ m·((1 + u)·log(1 + u) + (1 − u)·log(1 − u)).

    The bracket is log(1 − u²) + u·(log(1 + u) − log(1 − u)), which loses nothing where u is small; nor does
    q − p = (d − p·Σd)/Σa, unless Σa and Σr are far apart.
    """
    tiny = torch.finfo(r.dtype).tiny
    before, change = _total(r).clamp_min(tiny).unsqueeze(-2), _total(d).unsqueeze(-2)
    a = (r + d).clamp_min(0)
    after = _total(a).clamp_min(tiny).unsqueeze(-2)
    p = r / before
    delta = torch.where(change.abs() < before / 2, (d - p * change) / after, a / after - p).to(r.dtype)
    middle = p.to(r.dtype) + delta / 2
    edge = 1 - torch.finfo(r.dtype).eps
    u = (delta / (2 * middle).clamp_min(tiny)).clamp(-edge, edge)
    divergence = _total(middle * (torch.log1p(-u * u) + u * (torch.log1p(u) - torch.log1p(-u)))) / (2 * LN2)
    # of a profile that has vanished, the shape is not known
    return torch.where(after.squeeze(-2) > tiny, divergence, 0)


_OTHER = {"REF": "ALT", "ALT": "REF"}
BASENJI = "basenji_sad.py of calico/basenji"
FORMULAS: Mapping[str, Formula] = {
    "SAD": Formula(
        lambda _r, d: _total(d), "negates", "Σ (a − r)", "Avsec et al. 2021, Nature Methods 18, 1196; " + BASENJI
    ),
    "SADM": Formula(lambda _r, d: _total(d) / d.shape[-2], "negates", "mean of (a − r)", "SAD over the number of bins"),
    "SAR": Formula(
        lambda r, d: _total(torch.log1p(d / (1 + r))) / LN2,
        "negates",
        "Σ (log2(1 + a) − log2(1 + r))",
        "README of Enformer's scores",
    ),
    "logSAD": Formula(
        _logsad,
        "negates",
        "log2(1 + Σ a) − log2(1 + Σ r)",
        "SAR of basenji_sad.py, logSAD of baskerville, AlphaGenome's DIFF_LOG2_SUM",
    ),
    "SAX": Formula(_sax, "negates", "a − r in the bin where |a − r| is largest", BASENJI),
    "D1": Formula(lambda _r, d: _total(d.abs()), "keeps", "Σ |a − r|", "baskerville"),
    "D2": Formula(_d2, "keeps", "√ Σ (a − r)²", "baskerville; AlphaGenome's L2_DIFF"),
    "JS": Formula(
        _js,
        "keeps",
        "Jensen–Shannon divergence in bits of r / Σ r and a / Σ a",
        "Lin 1991, IEEE Transactions on Information Theory 37, 145",
    ),
    "REF": Formula(lambda r, d: _total(r).expand(d.shape[0], -1), "swaps", "Σ r", "–"),
    "ALT": Formula(lambda r, d: _total(r) + _total(d), "swaps", "Σ a", "–"),
}


@dataclass(frozen=True)
class Statistic:
    """A formula over all predicted bins, or over those around the variant.

    width: of the mask around the variant in base pairs; None: all bins.
    """

    formula: str
    width: int | None = None

    @classmethod
    def parse(cls, text: str) -> Statistic:
        """`logSAD`, or `logSAD@2001` for the bins of 2,001 bp around the variant.

        Raises:
            OptionError: no such statistic.
        """
        match = re.fullmatch(r"(\w+)(?:@([1-9][0-9]*))?", text)
        if not match or match[1] not in FORMULAS:
            raise OptionError(
                f"no statistic is called {text!r}: expected one of {', '.join(FORMULAS)}; or one with @ and the width "
                "in base pairs of a mask around the variant, such as logSAD@2001"
            )
        return cls(match[1], int(match[2]) if match[2] else None)

    def __str__(self) -> str:
        return self.formula if self.width is None else f"{self.formula}@{self.width}"

    @property
    def definition(self) -> str:
        """For a file's metadata."""
        formula = FORMULAS[self.formula]
        where = "over all predicted bins" if self.width is None else f"over the bins of a mask of {self.width} bp"
        return f"{formula.text}, {where}; r, a: predictions for REF and ALT ({formula.source})"


SAD = Statistic("SAD")


def parse_statistics(texts: Iterable[str]) -> list[Statistic]:
    """Each once, in their order. A text may hold several with commas. Raises OptionError."""
    found = [Statistic.parse(part.strip()) for text in texts for part in text.split(",")]
    return list(dict.fromkeys(found))


def with_counterparts(statistics: Iterable[Statistic]) -> list[Statistic]:
    """These, and behind them ALT for REF and REF for ALT where they lack it: all that `exchanged` needs."""
    there = list(statistics)
    wanted = [Statistic(_OTHER[one.formula], one.width) for one in there if one.formula in _OTHER]
    return list(dict.fromkeys([*there, *wanted]))


def exchanged(statistics: Sequence[Statistic], scores: np.ndarray) -> np.ndarray:
    """What statistics [..., S, T] are with REF and ALT exchanged: of `with_counterparts`, in that order."""
    order = [statistics.index(Statistic(_OTHER.get(one.formula, one.formula), one.width)) for one in statistics]
    signs = [-1 if FORMULAS[one.formula].exchange == "negates" else 1 for one in statistics]
    return scores[..., order, :] * np.array(signs, scores.dtype)[:, None]


def mask(index: int, width: int | None, bins: int, bin_size: int) -> tuple[int, int]:
    """The bins [first, end) of a mask, as AlphaGenome's CenterMaskScorer chooses them.

    Of ⌈width / bin size⌉ bins, the one with the variant is the middle, or the first right of it; those outside the
    prediction are left out.

    Args:
        index: the variant's 0-based place in base pairs, from the first base of the first predicted bin.
        width: of the mask in base pairs; None: all bins.
        bins: that are predicted.
        bin_size: in base pairs.
    """
    if width is None:
        return 0, bins
    count = -(-width // bin_size)
    first = index // bin_size - count // 2
    return max(0, first), max(0, min(bins, first + count))
