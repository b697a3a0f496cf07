"""What htslib leaves to its callers: which gzip a file is, whether a bgzipped one is whole, and silence on stderr."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path

import pysam

HEADER_SIZE = 16
# The empty block that ends every whole BGZF file (SAM specification, section 4.1.2).
BGZF_EOF = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")


class Compression(Enum):
    """How a file is compressed, as its first bytes tell."""

    NONE = "none"
    GZIP = "gzip"
    BGZF = "bgzf"


def compression_of(header: bytes) -> Compression:
    """The compression of a file that starts with `header` (at least HEADER_SIZE bytes of it, if it has them)."""
    if header[:2] != b"\x1f\x8b":
        return Compression.NONE
    has_extra_field = len(header) >= HEADER_SIZE and header[3] & 4
    return Compression.BGZF if has_extra_field and header[12:14] == b"BC" else Compression.GZIP


def file_compression(path: Path) -> Compression:
    """The compression of a regular file. Raises OSError."""
    with path.open("rb") as file:
        return compression_of(file.read(HEADER_SIZE))


def last_bytes(path: Path, size: int) -> bytes:
    """The end of a regular file. Raises OSError."""
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - size))
        return file.read()


def ends_with_bgzf_eof(path: Path) -> bool:
    """Whether a BGZF file is whole, as its end tells. Raises OSError."""
    return last_bytes(path, len(BGZF_EOF)) == BGZF_EOF


@contextmanager
def quiet_htslib() -> Iterator[None]:
    """Keep htslib from writing to stderr what is raised as an error here."""
    verbosity = pysam.set_verbosity(0)
    try:
        yield
    finally:
        pysam.set_verbosity(verbosity)
