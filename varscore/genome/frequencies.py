"""How common each alternative allele of a VCF is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pysam

from varscore.errors import VcfError
from varscore.genome.htslib import Compression, ends_with_bgzf_eof, file_compression, quiet_htslib


class Frequency(NamedTuple):
    """An alternative allele (pos 1-based) and how often it is seen: from 0 to 1, None where the VCF does not say."""

    chrom: str
    pos: int
    ref: str
    alt: str
    frequency: float | None

    @property
    def minor(self) -> float | None:
        """The smaller of the frequencies of this allele and all others."""
        return None if self.frequency is None else min(self.frequency, 1 - self.frequency)


def read_frequencies(path: str | Path) -> Iterator[Frequency]:
    """Every ALT of a VCF or BCF with its frequency: INFO/AF, else INFO/AC over INFO/AN, else counted in genotypes.

    Genotypes are only read where the header declares neither, because they are most of the time.

    Raises:
        VcfError: no such file, not a VCF, truncated or damaged, or it has no frequencies of any kind.
    """
    path = Path(path)
    if not path.is_file():
        raise VcfError(f"{path}: no such file")
    with quiet_htslib(), ExitStack() as resources:
        try:
            if file_compression(path) is Compression.BGZF and not ends_with_bgzf_eof(path):
                raise VcfError(f"{path}: has no BGZF end marker, so it is truncated; fetch, copy or write it again")
            with pysam.VariantFile(str(path)) as file:
                info, samples = set(file.header.info), len(file.header.samples)
            told = "AF" in info or {"AC", "AN"} <= info
            if not (told or samples):
                raise VcfError(
                    f"{path}: has neither INFO/AF, nor INFO/AC and INFO/AN, nor genotypes, so it does not say which "
                    "variants are common; `bcftools +fill-tags` adds AF to a VCF with genotypes"
                )
            file = resources.enter_context(pysam.VariantFile(str(path), drop_samples=told))
        except (OSError, ValueError, NotImplementedError) as error:
            raise VcfError(f"{path}: not a VCF or BCF that can be read ({error})") from error
        last = None
        try:
            for record in file:
                ref, *alts = record.alleles or ("",)
                for alt, frequency in zip(alts, _frequencies(record, len(alts), told), strict=True):
                    yield Frequency(record.chrom, record.pos, ref, alt, frequency)
                last = record
        except (OSError, ValueError) as error:
            where = f"the record after {last.chrom}:{last.pos}" if last else "the first record"
            raise VcfError(f"{path}: {where} cannot be read: it is malformed, or cut off ({error})") from error


def _frequencies(record: pysam.VariantRecord, alts: int, told: bool) -> list[float | None]:
    """Of each ALT of a record."""
    if not told:
        counts = Counter(allele for sample in record.samples.values() for allele in sample["GT"] if allele is not None)
        return _shares([counts[i + 1] for i in range(alts)], counts.total())
    info = dict(record.info)
    values = _as_tuple(info.get("AF", ()))
    if len(values) == alts:
        return [None if value is None else float(value) for value in values]
    counted = _as_tuple(info.get("AC", ()))
    return _shares(counted, info.get("AN")) if len(counted) == alts else [None] * alts


def _shares(counts: Any, total: Any) -> list[float | None]:
    return [count / total if total and count is not None else None for count in counts]


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)
