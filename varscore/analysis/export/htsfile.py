"""Files as htslib writes them, compressed in blocks and with an index, there when they are whole."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pysam

from varscore.errors import OutputError
from varscore.genome.htslib import quiet_htslib
from varscore.store.folder import whole_file

log = logging.getLogger("varscore")

TBI_LIMIT = 2**29
"""A .tbi index has no place for what begins at this 0-based coordinate or after it."""


class Order:
    """Sees whether records come sorted: each contig in one piece, and in it no position before the last."""

    def __init__(self) -> None:
        self.is_sorted = True
        self.furthest = 0
        self._seen: set[str] = set()
        self._chrom, self._start = "", 0

    def see(self, chrom: str, start: int) -> None:
        """The next record, at 0-based start."""
        if chrom != self._chrom:
            self.is_sorted &= chrom not in self._seen
            self._seen.add(chrom)
        elif start < self._start:
            self.is_sorted = False
        self._chrom, self._start = chrom, start
        self.furthest = max(self.furthest, start)


@contextmanager
def indexed_file(path: Path, preset: Literal["vcf", "bcf", "bed"]) -> Iterator[tuple[Path, Order]]:
    """A temporary path to write to, by name; its file and an index get their own names when the block has ended.

    The block shows its records to the Order. Without an index, where they are not sorted or htslib cannot make one, a
    warning is logged. An old index is removed.

    Raises:
        OutputError: the file cannot be written.
    """
    with whole_file(path) as data:
        order = Order()
        yield Path(data.name), order
        for ending in (".tbi", ".csi"):
            path.with_name(path.name + ending).unlink(missing_ok=True)
        if not order.is_sorted:
            log.warning("%s has no index: its records are not sorted; `bcftools sort` would do that", path)
            return
        is_csi = preset == "bcf" or order.furthest >= TBI_LIMIT
        index = path.with_name(path.name + (".csi" if is_csi else ".tbi"))
        try:
            with whole_file(index) as file, quiet_htslib():
                pysam.tabix_index(
                    data.name,
                    preset=preset,  # pyright: ignore[reportArgumentType]
                    index=file.name,
                    csi=is_csi,
                    force=True,
                    keep_original=True,
                )
        except OutputError as error:
            log.warning(
                "%s has no index: htslib could not make one (%s); does a record, or its END, lie beyond the length "
                "that the header gives of its contig?",
                path,
                error.__cause__,
            )
