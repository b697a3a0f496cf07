"""Scoring as it is defined: predict both alleles' windows, subtract, sum. Four forwards an allele."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from varscore.engine.device import full_float32
from varscore.genome.encoding import reverse_complement
from varscore.genome.window import Window
from varscore.network.enformer import Enformer


def one_hot(codes: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Base codes [..., L] (A0 C1 G2 T3, anything else unknown) to [..., L, 4], unknown bases all zero."""
    return (codes[..., None] == torch.arange(4, device=codes.device, dtype=codes.dtype)).to(dtype)


def sad(ref: Tensor, alt: Tensor) -> Tensor:
    """SAD = Σ over bins of (alt − ref): [B, bins, T] twice to [B, T], summed in float64.

    Subtracted bin by bin: the other way round the sums' digits would be lost. The formula is that of basenji's and
    Enformer's variant scoring (Avsec et al. 2021, Methods).
    """
    return (alt.double() - ref.double()).sum(dim=-2)


class PlainScorer:
    """SAD of windows by four forwards of the network each.

    Args:
        network: on the device that is to compute.
        organism: whose head.
        rc: average the predictions of both strands.
        batch_size: windows in one forward; reference and alternative count as two.
    """

    def __init__(self, network: Enformer, organism: str, *, rc: bool = True, batch_size: int = 1) -> None:
        self.network, self.organism, self.rc, self.batch_size = network, organism, rc, batch_size
        weight = next(network.parameters())
        self.device, self.dtype = weight.device, weight.dtype

    @torch.inference_mode()
    def score(self, windows: Sequence[Window]) -> np.ndarray:
        """SAD of n windows: [n, T] float32."""
        strands = [np.stack([codes for window in windows for codes in (window.ref, window.alt)])]
        if self.rc:
            strands.append(reverse_complement(strands[0]))
        # averaging predictions over strands and averaging scores is the same for SAD, and bins need no flipping back
        scores = torch.stack([self._scores(codes) for codes in strands]).mean(dim=0)
        return scores.float().cpu().numpy()

    def _scores(self, codes: np.ndarray) -> Tensor:
        """Codes of (ref, alt, ref, alt, …) [2n, L] to SAD [n, T]."""
        scores, held = [], None
        with full_float32():
            for first in range(0, len(codes), self.batch_size):
                batch = torch.from_numpy(codes[first : first + self.batch_size]).to(self.device)
                predicted = self._predict(batch)
                if held is not None:
                    predicted = torch.cat([held, predicted])
                pairs = len(predicted) // 2 * 2
                if pairs:
                    scores.append(sad(predicted[:pairs:2], predicted[1:pairs:2]))
                held = predicted[pairs:] if pairs < len(predicted) else None
        return torch.cat(scores)

    def _predict(self, codes: Tensor) -> Tensor:
        return self.network(one_hot(codes, self.dtype), organisms=[self.organism])[self.organism]
