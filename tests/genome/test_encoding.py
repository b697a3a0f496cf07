from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from varscore.genome.encoding import decode, encode, reverse_complement


def test_order_case_and_the_rest() -> None:
    assert encode("ACGTacgtNRn-.\xe9").tolist() == [0, 1, 2, 3, 0, 1, 2, 3] + [4] * 6
    assert encode(b"TA").tolist() == [3, 0]
    assert encode("").shape == (0,)
    assert encode("A").dtype == np.uint8


@given(st.text("ACGTN"))
def test_decode_inverts_encode(sequence: str) -> None:
    assert decode(encode(sequence)) == sequence


@given(st.text("ACGTN"))
def test_reverse_complement(sequence: str) -> None:
    expected = sequence[::-1].translate(str.maketrans("ACGT", "TGCA"))
    assert decode(reverse_complement(encode(sequence))) == expected


def test_reverse_complement_of_a_batch_reverses_the_last_axis() -> None:
    assert reverse_complement(np.array([[0, 1, 4], [2, 2, 3]], np.uint8)).tolist() == [[4, 2, 3], [0, 1, 1]]
