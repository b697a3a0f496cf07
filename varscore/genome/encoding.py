"""Bases as small integers: A 0, C 1, G 2, T 3 in either case, anything else 4."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

UNKNOWN = 4

_CODE_OF_BYTE = bytearray([UNKNOWN]) * 256
for _code, _base in enumerate(b"ACGT"):
    _CODE_OF_BYTE[_base] = _CODE_OF_BYTE[_base + 32] = _code  # +32 is lower case
_CODE_OF_BYTE = bytes(_CODE_OF_BYTE)

_BASE_OF_CODE = np.frombuffer(b"ACGTN", np.uint8)
_COMPLEMENT = np.array([3, 2, 1, 0, UNKNOWN], np.uint8)


def encode(sequence: str | bytes) -> NDArray[np.uint8]:
    """Codes of a sequence, uint8 [len(sequence)], read-only."""
    if isinstance(sequence, str):
        sequence = sequence.encode("latin-1", "replace")
    return np.frombuffer(sequence.translate(_CODE_OF_BYTE), np.uint8)


def decode(codes: NDArray[np.uint8]) -> str:
    """The sequence of codes [length], in upper case with N for 4."""
    return _BASE_OF_CODE[codes].tobytes().decode("ascii")


def reverse_complement(codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Codes [..., length] of the other strand: 0 and 3, 1 and 2 exchanged, 4 kept, the last axis reversed."""
    return _COMPLEMENT[codes[..., ::-1]]
