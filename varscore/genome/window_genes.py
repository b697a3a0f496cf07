"""Which genes a window's prediction reaches, and in which of its bins their transcription starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from varscore.genome.genes import Gene, GeneIndex


@dataclass(frozen=True)
class GeneBins:
    """A gene in a window. tss: those 0-based TSSs that are in predicted bins. bins: these, counted from the first."""

    gene: Gene
    tss: tuple[int, ...]
    bins: tuple[int, ...]

    def nearest(self, pos: int) -> tuple[int, int]:
        """The TSS next to the 1-based `pos`, 1-based too; and the distance from it to `pos` along the gene's strand."""
        tss = min(self.tss, key=lambda site: abs(site + 1 - pos)) + 1
        return tss, pos - tss if self.gene.strand == "+" else tss - pos


class WindowGenes:
    """The genes of windows.

    Args:
        genes: all there are.
        crop, bins_out, bin_size: bins of a window left of the predicted ones, those predicted, and base pairs in one.
        flank: bins on either side of a TSS's that belong to it.
    """

    def __init__(self, genes: Sequence[Gene], *, crop: int, bins_out: int, bin_size: int, flank: int = 0) -> None:
        self.index = GeneIndex(genes)
        self.crop, self.bins_out, self.bin_size, self.flank = crop, bins_out, bin_size, flank
        self._last: tuple[tuple[str, int], list[GeneBins]] | None = None

    def of(self, chrom: str, start: int) -> list[GeneBins]:
        """Genes with a TSS in a predicted bin of the window that begins at the 0-based `start`, by place."""
        if self._last is None or self._last[0] != (chrom, start):
            self._last = (chrom, start), self._find(chrom, start)
        return self._last[1]

    def _find(self, chrom: str, start: int) -> list[GeneBins]:
        first = start + self.crop * self.bin_size
        found = []
        for gene, tss in self.index.between(chrom, first, first + self.bins_out * self.bin_size):
            centres = {(site - first) // self.bin_size for site in tss}
            around = {centre + i for centre in centres for i in range(-self.flank, self.flank + 1)}
            bins = tuple(sorted(b for b in around if 0 <= b < self.bins_out))
            found.append(GeneBins(gene, tuple(tss), bins))
        return found
