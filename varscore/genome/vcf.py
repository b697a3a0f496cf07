"""Reading variants, one per alternative allele, from VCF and BCF, compressed or not, as a file or a stream.

Records are parsed by htslib, through pysam. htslib leaves some truncated inputs unnoticed: those are detected here.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
import sys
import tempfile
import threading
import zlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from gzip import GzipFile
from io import BytesIO, FileIO
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa
import pysam
from pyarrow import fs

from varscore.errors import VcfError
from varscore.genome.htslib import (
    BGZF_EOF,
    HEADER_SIZE,
    Compression,
    compression_of,
    ends_with_bgzf_eof,
    file_compression,
    last_bytes,
    quiet_htslib,
)
from varscore.genome.regions import Region, RegionFilter
from varscore.genome.variant import Variant

log = logging.getLogger("varscore")

_Stream = BinaryIO | FileIO | GzipFile


@contextmanager
def rereadable(path: str | os.PathLike[str]) -> Iterator[str | os.PathLike[str]]:
    """A path that can be read any number of times: standard input (`-`), a named pipe or what is at an address
    (https://, s3://, gs://) is copied to a temporary file.

    Raises VcfError if there is no room for the copy, or it cannot be fetched.
    """
    remote = "://" in os.fspath(path)
    is_stream = os.fspath(path) == "-" or (Path(path).exists() and not (Path(path).is_file() or Path(path).is_dir()))
    if not (is_stream or remote):
        yield path
        return
    with tempfile.NamedTemporaryFile(prefix="varscore-", suffix=".vcf") as copy:
        try:
            with ExitStack() as opened:
                if remote:
                    stream = opened.enter_context(_fetch(os.fspath(path)))
                elif os.fspath(path) == "-":
                    stream = opened.enter_context(_standard_input())
                else:
                    stream = opened.enter_context(Path(path).open("rb"))
                shutil.copyfileobj(stream, copy)
            copy.flush()
        except (OSError, ValueError, pa.ArrowException) as error:
            if remote and getattr(error, "errno", None) != errno.ENOSPC:
                address = os.fspath(path).partition("?")[0]
                message = f"{address}: cannot be fetched ({error}); expected http(s)://, s3:// or gs://"
                raise VcfError(message) from error
            reason = getattr(error, "strerror", None) or error
            message = f"{path}: cannot be copied to {copy.name}: {reason}; TMPDIR names another folder"
            raise VcfError(message) from error
        yield copy.name


def _fetch(address: str) -> Any:
    """What is at an address, as a file to read once. Options of an object store's connection may follow a `?`."""
    if address.startswith(("s3://", "gs://")):
        system, path = fs.FileSystem.from_uri(address)
        return system.open_input_stream(path, compression=None)
    return pysam.HFile(address, "rb")


def read_variants(
    path: str | os.PathLike[str],
    *,
    regions: Sequence[Region] | None = None,
    pass_only: bool = False,
    name: str | None = None,
) -> Generator[Variant]:
    """Stream a VCF, bgzipped or gzipped VCF, BCF, or standard input (`-`): one Variant per ALT, in the file's order.

    A record without ALT gives one Variant with alt ".". `regions` keeps records whose POS lies in one of them, as
    `bcftools view -t` does; `pass_only` keeps those whose FILTER is PASS or missing, as `bcftools view -f PASS,.` does.
    Nothing is opened before the first Variant is asked for. `name` is what errors call the file, by default its path.

    Raises VcfError if there is no such file, it is not a VCF, a record is malformed, or the input is truncated: for a
    bgzipped one, if its end marker is missing. Text that is cut exactly after a line cannot be told from a whole file.
    """
    region_filter = None if regions is None else RegionFilter(regions)
    with ExitStack() as resources:
        resources.enter_context(quiet_htslib())
        source = resources.enter_context(_Source(path, name))
        for site in source.sites(pass_only):
            if region_filter and not region_filter.holds(site.chrom, site.pos - 1):
                continue
            ref, *alts = site.alleles
            for alt in alts or (".",):
                yield Variant(site.chrom, site.pos, site.id, ref, alt)


class _Site(NamedTuple):
    """What is used of a record. htslib keeps it as bytes, so naming it may already find that it is not text."""

    chrom: str
    pos: int
    id: str | None
    alleles: tuple[str, ...]


class _Source:
    """An opened variant file whose iteration ends only where the input really ends."""

    def __init__(self, path: str | os.PathLike[str], name: str | None) -> None:
        self._feed: _Feed | None = None
        if os.fspath(path) == "-":
            self._name = "standard input"
            self._file = self._open_feed(_standard_input())
            return
        path = Path(path)
        self._name = name or str(path)
        if not path.exists():
            raise VcfError(f"{path}: no such file")
        if path.is_dir():
            raise VcfError(f"{path}: a folder; give a VCF or BCF file")
        try:
            if not path.is_file():  # a named pipe or <(...): can be read only once
                self._file = self._open_feed(path.open("rb", buffering=0))
            elif (compression := file_compression(path)) is Compression.GZIP:  # which pysam does not open
                self._file = self._open_feed(GzipFile(path))
            else:
                self._file = self._open_file(path, compression)
        except OSError as error:
            raise VcfError(f"{path}: cannot be read ({error.strerror or error})") from error

    def __enter__(self) -> _Source:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def sites(self, pass_only: bool) -> Iterator[_Site]:
        count, last = 0, None
        try:
            for record in self._file:
                last = _Site(record.chrom, record.pos, record.id, record.alleles or ("",))
                count += 1
                if not pass_only or all(name == "PASS" for name in record.filter):
                    yield last
        except (OSError, ValueError) as error:  # ValueError: not UTF-8
            self._close()
            problem = self._feed and self._feed.problem()
            where = f"record {count + 1}" + (f", the one after {last.chrom}:{last.pos}," if last else "")
            reason = problem or f"is malformed, or cut off ({error})"
            raise VcfError(f"{self._name}: {where} cannot be read: it {reason}") from error
        if self._feed and (problem := self._feed.problem()):
            raise VcfError(f"{self._name}: after {count} records, it {problem}")

    def _open_file(self, path: Path, compression: Compression) -> pysam.VariantFile:
        is_whole = compression is Compression.BGZF
        if is_whole and not ends_with_bgzf_eof(path):
            raise VcfError(f"{path}: has no BGZF end marker, so it is truncated; fetch, copy or write it again")
        # Genotypes are half of the time, but without parsing them a record that breaks off in them looks whole.
        file = self._open_htslib(str(path), drop_samples=is_whole)
        if file.format == "VCF" and not is_whole and last_bytes(path, 1) != b"\n":
            log.warning("%s: does not end with a newline; its last line may have been cut off", path)
        return file

    def _open_feed(self, stream: _Stream) -> pysam.VariantFile:
        self._feed = _Feed(stream)
        try:
            return self._open_htslib(self._feed.pipe)
        except VcfError as error:
            self._feed.pipe.close()
            if problem := self._feed.problem():
                raise VcfError(f"{self._name}: it {problem}") from error
            raise

    def _open_htslib(self, source: str | BinaryIO, drop_samples: bool = False) -> pysam.VariantFile:
        try:
            return pysam.VariantFile(source, drop_samples=drop_samples)  # type: ignore[arg-type]
        except (OSError, ValueError, NotImplementedError) as error:  # the last: compressed, but not seekable
            raise VcfError(
                f"{self._name}: not a VCF or BCF, or its header is incomplete or damaged; "
                "a VCF begins with ##fileformat=VCFv4 and has a #CHROM line before its records"
            ) from error

    def _close(self) -> None:
        with suppress(OSError, TypeError):  # closing repeats a read error, and pysam's own report of it is a TypeError
            self._file.close()
        if self._feed:
            self._feed.pipe.close()


class _Feed:
    """Hands htslib a stream through a pipe, and tells afterwards whether the stream was whole.

    htslib cannot look for the end marker of a stream by itself, and pysam does not open plain gzip files.
    """

    def __init__(self, stream: _Stream) -> None:
        read_end, write_end = os.pipe()
        self.pipe: BinaryIO = os.fdopen(read_end, "rb")
        self._problem: str | None = None
        # A daemon, since it may wait for input that nobody wants any more.
        self._thread = threading.Thread(target=self._pump, args=(stream, write_end), daemon=True)
        self._thread.start()

    def problem(self) -> str | None:
        """What was wrong with the stream, as the rest of a sentence. To be asked after htslib has met its end."""
        self._thread.join(timeout=5)
        return self._problem

    def _pump(self, stream: _Stream, write_end: int) -> None:
        head = tail = b""
        try:
            with os.fdopen(write_end, "wb") as pipe:
                while chunk := stream.read(2**16):
                    head = (head + chunk)[:HEADER_SIZE] if len(head) < HEADER_SIZE else head
                    tail = (tail + chunk[-len(BGZF_EOF) :])[-len(BGZF_EOF) :]
                    pipe.write(chunk)
                    pipe.flush()
            if compression_of(head) is Compression.BGZF and tail != BGZF_EOF:
                self._problem = "has no BGZF end marker, so it is truncated"
            elif not head:
                self._problem = "is empty"
        except BrokenPipeError:
            pass  # the reader has had enough
        except (OSError, EOFError, zlib.error) as error:
            self._problem = f"is truncated or damaged ({error})"
        finally:
            stream.close()


def _standard_input() -> _Stream:
    try:
        descriptor = os.dup(sys.stdin.fileno())
    except OSError:  # standard input replaced by an object without a file
        return BytesIO(sys.stdin.buffer.read())
    # Not sys.stdin.buffer: if the pump still reads when Python ends, the lock on that object is fatal.
    return os.fdopen(descriptor, "rb", buffering=0)
