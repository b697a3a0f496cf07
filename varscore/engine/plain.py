"""Scoring as it is defined: predict both alleles' windows, subtract, sum. Four forwards an allele."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from varscore.engine.precision import Products
from varscore.engine.trunk import one_hot
from varscore.engine.windows import Job
from varscore.genome.encoding import reverse_complement
from varscore.genome.reference import Reference
from varscore.genome.window import Window, cut_window
from varscore.network.enformer import Enformer


def sad(ref: Tensor, alt: Tensor) -> Tensor:
    """SAD = Σ over bins of (alt − ref): [B, bins, T] twice to [B, T], summed in float64.

    Subtracted bin by bin: the other way round the sums' digits would be lost. The formula is that of basenji's and
    Enformer's variant scoring (Avsec et al. 2021, Methods).
    """
    return (alt.double() - ref.double()).sum(dim=-2)


class PlainScorer:
    """SAD of windows by four forwards of the network each: the readable reference for the other engine.

    Args:
        network: on the device that is to compute.
        organism: whose head.
        rc: average the predictions of both strands.
        batch_size: windows in one forward; reference and alternative count as two.
    """

    def __init__(self, network: Enformer, organism: str, *, rc: bool = True, batch_size: int = 1) -> None:
        self.network, self.organism, self.rc, self.batch_size = network, organism, rc, batch_size
        weight = network.final.conv.weight
        self.device, self.dtype = weight.device, weight.dtype

    @torch.inference_mode()
    def score(
        self, reference: Reference, jobs: Sequence[Job], done: Callable[[float], None] | None = None
    ) -> np.ndarray:
        """SAD of n jobs: [n, T] float64, in their order. `done` is told how many alleles were just finished."""
        scores, length = [], self.network.config.window
        windows = (cut_window(reference, job.stretch, job.edit, job.start, length) for job in jobs)
        with Products().active():
            while some := list(islice(windows, max(1, self.batch_size // 2))):
                scores.append(self.score_windows(some))
                if done:
                    done(len(some))
        return torch.cat(scores).cpu().numpy()

    def score_windows(self, windows: Sequence[Window]) -> Tensor:
        """SAD of n windows: [n, T] float64."""
        strands = [np.stack([codes for window in windows for codes in (window.ref, window.alt)])]
        if self.rc:
            strands.append(reverse_complement(strands[0]))
        # averaging predictions over strands and averaging scores is the same for SAD, and bins need no flipping back
        scores = []
        for codes in strands:
            predicted = torch.cat(list(self._predictions(codes)))
            scores.append(sad(predicted[::2], predicted[1::2]))
        return torch.stack(scores).mean(dim=0)

    def _predictions(self, codes: np.ndarray) -> Iterator[Tensor]:
        for first in range(0, len(codes), self.batch_size):
            batch = torch.from_numpy(codes[first : first + self.batch_size]).to(self.device)
            yield self.network(one_hot(batch, self.dtype), organisms=[self.organism])[self.organism]
