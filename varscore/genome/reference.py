"""The reference genome: a FASTA, plain or bgzipped, read by coordinates."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pysam
from numpy.typing import NDArray

from varscore.errors import FastaError
from varscore.genome.contigs import Stretch, find_stretches
from varscore.genome.encoding import UNKNOWN, encode
from varscore.genome.htslib import Compression, ends_with_bgzf_eof, file_compression, quiet_htslib

BLOCK = 2**20  # bases read and encoded at once

_LONGEST_HEADER = 2**16

log = logging.getLogger("varscore")


class Reference:
    """A FASTA and its index, opened for reading; a context manager. Not for several threads at once.

    A missing index is made with `samtools faidx`, beside the FASTA or, where that cannot be written, in a temporary
    folder that goes with `close()`. An index that is there is checked against the FASTA.

    contigs: FASTA name to length in bases, in the order of the file. quiet: do not log how names are reconciled.
    Raises FastaError if the file is missing, empty, truncated, not a FASTA, gzipped but not bgzipped, or does not go
    with its index.
    """

    def __init__(self, path: str | os.PathLike[str], *, cached_blocks: int = 8, quiet: bool = False) -> None:
        self.path = Path(path)
        compression = _check_fasta(self.path)
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        index = _IndexFiles.beside(self.path, compression)
        if index.exist():
            _check_index(self.path, index)
        else:
            index = self._make_index(index)
        try:
            with quiet_htslib():
                self._fasta = pysam.FastaFile(
                    str(self.path),
                    filepath_index=str(index.fai),
                    filepath_index_compressed=index.gzi and str(index.gzi),
                )
        except (OSError, ValueError) as error:
            raise FastaError(f"{self.path}: cannot be opened with its index {index.fai} ({error})") from error
        self.contigs: dict[str, int] = dict(zip(self._fasta.references, self._fasta.lengths, strict=True))
        self._stretches: dict[str, tuple[Stretch, ...]] = {}
        self._digests: dict[str, str] = {}
        self._quiet = quiet
        self._block = lru_cache(maxsize=cached_blocks)(self._read_block)

    def __enter__(self) -> Reference:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the FASTA and remove a temporary index."""
        self._fasta.close()
        self._block.cache_clear()
        if self._scratch:
            self._scratch.cleanup()

    def stretch(self, chrom: str, start: int) -> Stretch | None:
        """The FASTA sequence that holds the 0-based `start` of the VCF contig `chrom`; None for an unknown contig.

        Where no sequence of the contig holds it, the first one: compare with its `offset` and `end`. How names are
        reconciled, see `contigs.find_stretches`.
        """
        stretches = self._stretches_of(chrom)
        if not stretches:
            return None
        return next((s for s in stretches if s.offset <= start < s.end), stretches[0])

    def codes(self, stretch: Stretch, start: int, end: int) -> NDArray[np.uint8]:
        """Codes uint8 [end - start] of the 0-based half-open chromosome interval; 4 outside the stretch.

        Served from the last few blocks of 2**20 bases, so that going along a contig reads each block once.
        Raises FastaError if the file turns out to be damaged.
        """
        codes = np.full(end - start, UNKNOWN, np.uint8)
        first, last = max(start - stretch.offset, 0), min(end - stretch.offset, stretch.length)
        if first < last:
            inside = codes[first + stretch.offset - start : last + stretch.offset - start]
            for block_start in range(first - first % BLOCK, last, BLOCK):
                low, high = max(first, block_start), min(last, block_start + BLOCK)
                block = self._block(stretch.name, block_start)
                inside[low - first : high - first] = block[low - block_start : high - block_start]
        return codes

    def digest(self, name: str) -> str:
        """The M5 of a FASTA sequence, as in a SAM header: MD5 of its letters in upper case. Computed once."""
        if name not in self._digests:
            md5 = hashlib.md5(usedforsecurity=False)
            for start in range(0, self.contigs[name], BLOCK):
                md5.update(self._fetch(name, start).upper().encode("ascii"))
            self._digests[name] = md5.hexdigest()
        return self._digests[name]

    def digests(self, chroms: Iterable[str]) -> dict[str, str]:
        """The M5 of each sequence that these VCF contigs stand on, by FASTA name, in the order of the file."""
        used = {stretch.name for chrom in chroms for stretch in self._stretches_of(chrom)}
        return {name: self.digest(name) for name in self.contigs if name in used}

    def _read_block(self, name: str, start: int) -> NDArray[np.uint8]:
        return encode(self._fetch(name, start))

    def _fetch(self, name: str, start: int) -> str:
        end = min(start + BLOCK, self.contigs[name])
        try:
            with quiet_htslib():
                bases = self._fasta.fetch(name, start, end)
        except (OSError, ValueError) as error:
            raise FastaError(f"{self.path}: cannot read {name}:{start + 1}-{end} ({error}); is it damaged?") from error
        if len(bases) != end - start:
            raise FastaError(
                f"{self.path}: {name}:{start + 1}-{end} gave {len(bases)} bases: a damaged file, or a stale index"
            )
        return bases

    def _stretches_of(self, chrom: str) -> tuple[Stretch, ...]:
        stretches = self._stretches.get(chrom)
        if stretches is None:
            stretches = self._stretches[chrom] = find_stretches(self.contigs, chrom)
            if not self._quiet:
                self._log_names(chrom, stretches)
        return stretches

    def _log_names(self, chrom: str, stretches: tuple[Stretch, ...]) -> None:
        if not stretches:
            log.warning("VCF contig '%s' is not in %s", chrom, self.path)
        for stretch in stretches:
            if not stretch.whole:
                log.info("VCF contig '%s' from %d to %d is FASTA contig '%s'",
                         chrom, stretch.offset + 1, stretch.end, stretch.name)  # fmt: skip
            elif stretch.name != chrom:
                log.info("VCF contig '%s' is FASTA contig '%s'", chrom, stretch.name)

    def _make_index(self, beside: _IndexFiles) -> _IndexFiles:
        self._scratch = tempfile.TemporaryDirectory(prefix="varscore-")
        made = beside.in_folder(Path(self._scratch.name))
        log.info("indexing %s, as samtools faidx does", self.path)
        try:
            with quiet_htslib():
                gzi_option = ["--gzi-idx", str(made.gzi)] if made.gzi else []
                pysam.faidx("--fai-idx", str(made.fai), *gzi_option, str(self.path))
        except pysam.SamtoolsError as error:
            self._scratch.cleanup()
            raise FastaError(
                f"{self.path}: cannot be indexed; is it a FASTA whose lines are equally long within each sequence?"
            ) from error
        try:
            for source, target in reversed(made.pairs(beside)):  # the .fai last: where it is, the .gzi is too
                # Unfinished files never bear the final name: other processes may be looking for it.
                unfinished = target.with_name(f"{target.name}.{os.getpid()}.tmp")
                shutil.copyfile(source, unfinished)
                unfinished.replace(target)
        except OSError:
            log.info("%s cannot be written; the index is kept in a temporary folder", beside.fai)
            return made
        self._scratch.cleanup()
        return beside


class _IndexFiles(NamedTuple):
    fai: Path
    gzi: Path | None

    @classmethod
    def beside(cls, fasta: Path, compression: Compression) -> _IndexFiles:
        gzi = fasta.with_name(f"{fasta.name}.gzi") if compression is Compression.BGZF else None
        return cls(fasta.with_name(f"{fasta.name}.fai"), gzi)

    def in_folder(self, folder: Path) -> _IndexFiles:
        return _IndexFiles(folder / self.fai.name, self.gzi and folder / self.gzi.name)

    def exist(self) -> bool:
        return self.fai.exists() and (self.gzi is None or self.gzi.exists())

    def pairs(self, other: _IndexFiles) -> list[tuple[Path, Path]]:
        return [(mine, theirs) for mine, theirs in zip(self, other, strict=True) if mine and theirs]


def _check_fasta(path: Path) -> Compression:
    if not path.exists():
        raise FastaError(f"{path}: no such file; give the reference as a FASTA, plain or bgzipped")
    if not path.is_file():
        raise FastaError(f"{path}: not a regular file; give the reference as a FASTA, plain or bgzipped")
    try:
        compression = file_compression(path)
        if compression is Compression.GZIP:
            raise FastaError(
                f"{path}: compressed with gzip, which cannot be read by position; "
                f"recompress with bgzip: gunzip -c {path} | bgzip > {path.with_suffix('')}.bgz"
            )
        if compression is Compression.BGZF:
            if not ends_with_bgzf_eof(path):
                raise FastaError(f"{path}: has no BGZF end marker, so it is truncated; fetch or copy it again")
            with pysam.BGZFile(str(path), "rb", None) as file:
                beginning = file.read(_LONGEST_HEADER)
        else:
            with path.open("rb") as file:
                beginning = file.read(_LONGEST_HEADER)
    except OSError as error:
        raise FastaError(f"{path}: cannot be read ({error.strerror or error})") from error
    if not beginning.strip():
        raise FastaError(f"{path}: empty; give the reference as a FASTA, plain or bgzipped")
    if not beginning.lstrip().startswith(b">"):
        found = beginning[:20].decode("latin-1")
        raise FastaError(f"{path}: not a FASTA, which begins with '>' and a name; it begins with {found!r}")
    return compression


def _check_index(path: Path, index: _IndexFiles) -> None:
    """See that each contig of the index stands in the FASTA, between its header and the next one."""
    advice = f"remove {index.fai}" + (f" and {index.gzi}" if index.gzi else "") + " and it is made anew"
    try:
        rows = [line.split("\t") for line in index.fai.read_text().splitlines()]
        contigs = [(row[0], *map(int, row[1:5])) for row in rows]
        with _open_at_offsets(path, index.gzi) as read_at:
            for name, length, offset, line_bases, line_width in contigs:
                if length and not _stands_there(read_at, name, length, offset, line_bases, line_width):
                    raise FastaError(f"{index.fai}: does not go with {path} (contig '{name}'); {advice}")
    except (OSError, ValueError, ZeroDivisionError) as error:
        raise FastaError(f"{index.fai}: not an index of {path} ({error}); {advice}") from error
    if not contigs:
        raise FastaError(f"{index.fai}: empty; {advice}")


def _stands_there(
    read_at: Callable[[int, int], bytes], name: str, length: int, offset: int, line_bases: int, line_width: int
) -> bool:
    before = read_at(max(0, offset - _LONGEST_HEADER), min(offset, _LONGEST_HEADER))
    header = before.rstrip(b"\r\n").rpartition(b"\n")[2]
    full_lines, rest = divmod(length - 1, line_bases)
    after = read_at(offset + full_lines * line_width + rest, 256)
    last_base, following = after[:1], after[1:]
    return (
        before.endswith(b"\n")
        and header.startswith(b">")
        and header[1:].split()[:1] == [name.encode()]
        and bool(last_base.strip())
        and following[:1] in (b"", b"\r", b"\n")
        and following.strip()[:1] in (b"", b">")
    )


@contextmanager
def _open_at_offsets(path: Path, gzi: Path | None) -> Iterator[Callable[[int, int], bytes]]:
    """A function (offset, size) that reads the uncompressed file."""
    if gzi is None:
        with path.open("rb") as plain:

            def read_plain(offset: int, size: int) -> bytes:
                plain.seek(offset)
                return plain.read(size)

            yield read_plain
        return

    blocks = np.fromfile(gzi, "<u8", offset=8).reshape(-1, 2)  # compressed and uncompressed offset of each block
    blocks = np.concatenate([np.zeros((1, 2), blocks.dtype), blocks])
    with quiet_htslib(), pysam.BGZFile(str(path), "rb", None) as bgzf:

        def read_bgzf(offset: int, size: int) -> bytes:
            compressed, uncompressed = blocks[np.searchsorted(blocks[:, 1], offset, side="right") - 1].tolist()
            if offset - uncompressed >= 2**16:
                return b""
            bgzf.seek(compressed << 16 | offset - uncompressed)
            return bgzf.read(size)

        yield read_bgzf
