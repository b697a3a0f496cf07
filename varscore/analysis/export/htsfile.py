"""Files as htslib writes them, compressed in blocks and with an index, there when they are whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal

import pysam

from varscore.errors import OutputError
from varscore.store.folder import whole_file

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

    The block shows its records to the Order. If they are not sorted, there is no index; an old one is removed.
    """
    with ExitStack() as files:
        data = files.enter_context(whole_file(path))
        order = Order()
        yield Path(data.name), order
        stale = {path.with_name(path.name + ending) for ending in (".tbi", ".csi")}
        if order.is_sorted:
            is_csi = preset == "bcf" or order.furthest >= TBI_LIMIT
            index = path.with_name(path.name + (".csi" if is_csi else ".tbi"))
            stale.remove(index)
            index_file = files.enter_context(whole_file(index))
            try:
                pysam.tabix_index(
                    data.name,
                    preset=preset,  # pyright: ignore[reportArgumentType]
                    index=index_file.name,
                    csi=is_csi,
                    force=True,
                    keep_original=True,
                )
            except OSError as error:
                raise OutputError(f"{path} cannot be indexed: {error}") from error
        for old in stale:
            old.unlink(missing_ok=True)
