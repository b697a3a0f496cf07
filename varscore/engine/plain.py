"""Scoring as it is defined: predict both alleles' windows, subtract, take statistics. Four forwards an allele."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from varscore.engine.precision import Products
from varscore.engine.readout import Reducer
from varscore.engine.statistics import SAD, Statistic
from varscore.engine.trunk import one_hot
from varscore.engine.windows import Job, Scores
from varscore.genome.encoding import reverse_complement
from varscore.genome.reference import Reference
from varscore.genome.window import Window, cut_window
from varscore.network.enformer import Enformer


class PlainScorer:
    """Statistics of windows by four forwards of the network each: the readable reference for the other engine.

    Args:
        network: on the device that is to compute.
        organism: whose head.
        rc: average the predictions of both strands.
        batch_size: windows in one forward; reference and alternative count as two.
        statistics: what to compute.
    """

    def __init__(
        self,
        network: Enformer,
        organism: str,
        *,
        rc: bool = True,
        batch_size: int = 1,
        statistics: Sequence[Statistic] = (SAD,),
    ) -> None:
        self.network, self.organism, self.rc, self.batch_size = network, organism, rc, batch_size
        weight = network.final.conv.weight
        self.device, self.dtype = weight.device, weight.dtype
        self.reducer = Reducer(statistics, network.config.crop, network.config.bin_size)

    @torch.inference_mode()
    def score(self, reference: Reference, jobs: Sequence[Job], done: Callable[[float], None] | None = None) -> Scores:
        """Statistics of n jobs, in their order. `done` is told how many alleles were just finished."""
        alleles, genes, length = [], [], self.network.config.window
        together = max(1, self.batch_size // 2)
        with Products().active():
            for first in range(0, len(jobs), together):
                some = jobs[first : first + together]
                windows = [cut_window(reference, job.stretch, job.edit, job.start, length) for job in some]
                for job, (ref, alt) in zip(some, self.predict(windows), strict=True):
                    # subtracted bin by bin, in float64: the other way round the sums' digits would be lost
                    r, d = ref.double(), (alt.double() - ref.double())[None]
                    alleles.append(self.reducer.alleles(r, d, [job])[0].cpu().numpy())
                    of_genes = self.reducer.genes(r, d, job.genes)[0].float().cpu().numpy() if job.genes else None
                    genes.append(np.zeros((0, 0, r.shape[-1]), np.float32) if of_genes is None else of_genes)
                if done:
                    done(len(some))
        return Scores(np.stack(alleles), genes)

    @torch.inference_mode()
    def predict(self, windows: Sequence[Window]) -> Tensor:
        """Predictions of n windows for reference and alternative, averaged over strands: [n, 2, bins, T].

        Bins are in the order of the forward strand.
        """
        codes = np.stack([codes for window in windows for codes in (window.ref, window.alt)])
        predicted = torch.cat(list(self._predictions(codes)))
        if self.rc:
            other = torch.cat(list(self._predictions(reverse_complement(codes))))
            predicted = (predicted + other.flip(-2)) / 2
        return predicted.unflatten(0, (-1, 2))

    def _predictions(self, codes: np.ndarray) -> Iterator[Tensor]:
        for first in range(0, len(codes), self.batch_size):
            batch = torch.from_numpy(codes[first : first + self.batch_size]).to(self.device)
            yield self.network(one_hot(batch, self.dtype), organisms=[self.organism])[self.organism]
