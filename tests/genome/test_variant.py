from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from varscore.errors import VcfError
from varscore.genome.variant import Edit, Status, Variant, alt_status, minimal_edit, parse_variant

bases = st.text("ACGT", max_size=12)


def apply(sequence: str, edit: Edit) -> str:
    assert sequence[edit.start : edit.start + len(edit.ref)] == edit.ref
    return sequence[: edit.start] + edit.alt + sequence[edit.start + len(edit.ref) :]


@pytest.mark.parametrize(
    ("pos", "ref", "alt", "expected"),
    [
        (10, "A", "G", Edit(9, "A", "G", 9)),
        (10, "a", "g", Edit(9, "A", "G", 9)),
        (10, "GACTA", "G", Edit(10, "ACTA", "", 9)),
        (9, "XGACTA", "XG", Edit(10, "ACTA", "", 9)),
        (10, "GACTAT", "GT", Edit(10, "ACTA", "", 9)),
        (10, "G", "GTT", Edit(10, "", "TT", 9)),
        (10, "CAA", "CA", Edit(10, "A", "", 9)),
        (10, "AC", "GT", Edit(9, "AC", "GT", 9)),
        (10, "CAC", "CGC", Edit(10, "A", "G", 10)),
        (10, "CACC", "CGTC", Edit(10, "AC", "GT", 10)),
        (10, "CAT", "CGGGT", Edit(10, "A", "GGG", 10)),
        (1, "AC", "C", Edit(0, "A", "", -1)),
        (10, "AC", "AC", Edit(9, "", "", 9)),
        (10, "ac", "AC", Edit(9, "", "", 9)),
    ],
)
def test_minimal_edit(pos: int, ref: str, alt: str, expected: Edit) -> None:
    assert minimal_edit(pos, ref, alt) == expected


@given(bases, bases, bases, bases)
def test_minimal_edit_is_minimal_and_makes_the_same_sequence(before: str, ref: str, alt: str, after: str) -> None:
    assume(ref or alt)
    edit = minimal_edit(len(before) + 1, ref, alt)
    assert apply(before + ref + after, edit) == before + alt + after
    if edit.ref and edit.alt:
        assert edit.ref[0] != edit.alt[0]
        assert edit.ref[-1] != edit.alt[-1]
    assert edit.anchor == (edit.start if bool(edit.ref) == bool(edit.alt) else edit.start - 1)


@given(bases, bases, bases, bases)
def test_longer_spellings_of_a_trimmed_edit_are_one_edit(before: str, ref: str, alt: str, after: str) -> None:
    assume(ref and alt and ref[0] != alt[0] and ref[-1] != alt[-1])
    assert minimal_edit(len(before) + 1, ref, alt) == minimal_edit(1, before + ref + after, before + alt + after)


@pytest.mark.parametrize(
    ("ref", "alt", "expected"),
    [
        ("A", ".", Status.MISSING_ALT),
        ("A", "*", Status.STAR_ALLELE),
        ("A", "<DEL>", Status.SYMBOLIC),
        ("A", "<*>", Status.SYMBOLIC),
        ("A", "<NON_REF>", Status.SYMBOLIC),
        ("A", "A[chr2:5[", Status.SYMBOLIC),
        ("A", "]chr2:5]A", Status.SYMBOLIC),
        ("A", "A.", Status.SYMBOLIC),
        ("A", ".A", Status.SYMBOLIC),
        ("N", "A", Status.NON_ACGT),
        ("", "A", Status.NON_ACGT),
        ("A", "R", Status.NON_ACGT),
        ("ANA", "A", Status.NON_ACGT),
        ("A", "G", None),
        ("acgt", "ACGTacgt", None),
    ],
)
def test_alt_status(ref: str, alt: str, expected: Status | None) -> None:
    assert alt_status(ref, alt) is expected


def test_every_status_has_its_own_explanation() -> None:
    assert len({status.explanation for status in Status}) == len(Status) == 9
    assert Status("too_long") is Status.TOO_LONG
    assert f"{Status.STAR_ALLELE}" == "star_allele"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("chr22:20112513:T:TG", Variant("chr22", 20_112_513, None, "T", "TG")),
        ("chr22-20112513-T-TG", Variant("chr22", 20_112_513, None, "T", "TG")),
        (" 22:20,112,513T>tg ", Variant("22", 20_112_513, None, "T", "tg")),
        ("HLA-A*01:01:5:A:C", Variant("HLA-A*01:01", 5, None, "A", "C")),
        ("chr1\t7\trs5\tA\tC\t.\tPASS\tAF=0.5\n", Variant("chr1", 7, "rs5", "A", "C")),
        ("chr1 7 . A C", Variant("chr1", 7, None, "A", "C")),
    ],
)
def test_a_variant_as_people_write_it(text, expected):
    assert parse_variant(text) == expected
    again = parse_variant(expected.name)
    assert (again.name, again.id) == (expected.name, None)


@pytest.mark.parametrize("text", ["", "rs12", "chr1:5", "chr1:5:A", "chr1:A:C:5", "chr1:5:A:<DEL>", "chr1 5 . A C,G"])
def test_what_is_no_variant(text):
    with pytest.raises(VcfError, match=r"no variant|several ALT"):
        parse_variant(text)
