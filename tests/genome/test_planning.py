from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import astuple
from pathlib import Path

import pytest

from varscore.errors import VcfError
from varscore.genome.encoding import decode
from varscore.genome.planning import Placed, place
from varscore.genome.reference import Reference
from varscore.genome.variant import Edit, Status, Variant
from varscore.genome.vcf import read_variants
from varscore.genome.window import WindowPolicy, build_window

POLICY = WindowPolicy(length=20, index=9)
SEQUENCE = "ACGTTGCAnACGGTACCATGacgt"
#           1234567890123456789012345


@pytest.fixture
def reference(write_fasta: Callable[..., Path]) -> Iterator[Reference]:
    with Reference(write_fasta({"chr1": SEQUENCE, "chr2:101-110": "ACGTACGTAC", "chr2:201-204": "TTTT"})) as reference:
        yield reference


def placed(reference: Reference, chrom: str, pos: int, ref: str, alt: str, **options: object) -> Placed:
    return place(Variant(chrom, pos, None, ref, alt), reference, POLICY, **options)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("chrom", "pos", "ref", "alt", "expected"),
    [
        ("chr1", 1, "A", "C", Status.SCORED),
        ("1", 1, "a", "c", Status.SCORED),
        ("1", 21, "ACGT", "A", Status.SCORED),
        ("chr2", 101, "A", "C", Status.SCORED),
        ("2", 204, "T", "C", Status.SCORED),
        ("chr1", 1, "A", ".", Status.MISSING_ALT),
        ("chrZ", 1, "N", "*", Status.STAR_ALLELE),
        ("chrZ", 1, "A", "<DEL>", Status.SYMBOLIC),
        ("chrZ", 1, "A", "N", Status.NON_ACGT),
        ("chrZ", 1, "A", "C", Status.UNKNOWN_CONTIG),
        ("chr1", 0, "A", "C", Status.OUT_OF_RANGE),
        ("chr1", -5, "A", "C", Status.OUT_OF_RANGE),
        ("chr1", 25, "A", "C", Status.OUT_OF_RANGE),
        ("chr1", 24, "TA", "T", Status.OUT_OF_RANGE),
        ("chr2", 100, "A", "C", Status.OUT_OF_RANGE),
        ("chr2", 150, "A", "C", Status.OUT_OF_RANGE),
        ("chr2", 110, "CA", "C", Status.OUT_OF_RANGE),
        ("chr1", 1, "C", "A", Status.REF_MISMATCH),
        ("chr1", 9, "A", "C", Status.REF_MISMATCH),
        ("chr1", 1, "C", "C" * 50, Status.REF_MISMATCH),
        ("chr1", 1, "A", "A" + "C" * 10, Status.SCORED),
        ("chr1", 1, "A", "A" + "C" * 11, Status.TOO_LONG),
    ],
)
def test_statuses(reference: Reference, chrom: str, pos: int, ref: str, alt: str, expected: Status) -> None:
    result = placed(reference, chrom, pos, ref, alt)
    assert result.status is expected
    assert (result.stretch is not None) == (result.edit is not None) == (expected is Status.SCORED)
    assert not result.swapped


def test_a_shift_leaves_less_room(reference: Reference) -> None:
    alt = "A" + "C" * 10
    assert placed(reference, "1", 1, "A", alt, max_shift=1).status is Status.TOO_LONG
    assert placed(reference, "1", 1, "A", alt[:-1], max_shift=1).status is Status.SCORED


def test_error_names_place_file_and_reference(reference: Reference) -> None:
    with pytest.raises(VcfError, match=r"^1:2: REF is GG in the VCF, but the reference has CG there \(contig chr1\)"):
        placed(reference, "1", 2, "GG", "G", on_ref_mismatch="error")
    with pytest.raises(VcfError, match=r"GGGGGGGGGGGGGGG.*\.\.\. \(22 bases\)"):
        placed(reference, "1", 2, "G" * 22, "G", on_ref_mismatch="error")
    assert placed(reference, "1", 2, "CG", "C", on_ref_mismatch="error").status is Status.SCORED


@pytest.mark.parametrize(
    ("pos", "ref", "alt", "edit"),
    [
        (2, "T", "C", Edit(1, "C", "T", 1)),
        (2, "T", "CG", Edit(1, "CG", "T", 1)),
        (21, "t", "a", Edit(20, "A", "T", 20)),
    ],
)
def test_swap(reference: Reference, pos: int, ref: str, alt: str, edit: Edit) -> None:
    result = placed(reference, "1", pos, ref, alt, on_ref_mismatch="swap")
    assert (result.status, result.swapped, result.edit) == (Status.SCORED, True, edit)
    assert (result.variant.ref, result.variant.alt) == (ref, alt)
    assert result.stretch is not None
    assert result.edit is not None
    window = build_window(reference, result.stretch, result.edit, POLICY)
    index = window.variant_index
    assert decode(window.ref[index : index + len(alt)]) == alt.upper()
    assert decode(window.alt[index : index + len(ref)]) == ref.upper()


def test_swap_leaves_what_matches_and_what_cannot_match(reference: Reference) -> None:
    unswapped = placed(reference, "1", 2, "C", "T", on_ref_mismatch="swap")
    assert (unswapped.status, unswapped.swapped) == (Status.SCORED, False)
    assert placed(reference, "1", 2, "T", "A", on_ref_mismatch="swap").status is Status.REF_MISMATCH
    assert placed(reference, "1", 24, "C", "TA", on_ref_mismatch="swap").status is Status.REF_MISMATCH


def test_real_variants(kgp: Path, kgp_rows: list[tuple], kgp_sequence: str) -> None:
    policy = WindowPolicy()
    with Reference(kgp / "region.fa.gz") as reference:
        results = [place(v, reference, policy) for v in read_variants(kgp / "variants.vcf.gz")]
        assert Counter(r.status for r in results) == {Status.SCORED: 16_429, Status.SYMBOLIC: 18}
        assert [r.status is Status.SYMBOLIC for r in results] == [row[4].startswith("<") for row in kgp_rows]

        indels = [r for r in results if r.edit and len(r.edit.ref) != len(r.edit.alt)]
        padding = "N" * policy.length
        for result in [*results[:5], *results[:: len(results) // 30], *indels[:5], *indels[-5:]]:
            if result.status is Status.SYMBOLIC:
                continue
            assert result.edit is not None
            assert result.stretch is not None
            _, pos, _, ref, alt = astuple(result.variant)
            edited = padding + kgp_sequence[: pos - 1] + alt + kgp_sequence[pos - 1 + len(ref) :] + padding
            start = result.edit.anchor - policy.index + len(padding)
            window = build_window(reference, result.stretch, result.edit, policy)
            assert decode(window.alt) == edited[start : start + policy.length]
            assert decode(window.ref) == (padding + kgp_sequence + padding)[start : start + policy.length]
        assert set(reference.digests({r.variant.chrom for r in results})) == {"z"}


def test_chromosome_coordinates_on_an_extract(chr22: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="varscore")
    with Reference(chr22 / "chr22_20-21M.fa.gz") as reference:
        results = [place(v, reference, WindowPolicy()) for v in read_variants(chr22 / "genotypes_20-21M.vcf.gz")]
        literal = place(Variant("chr22:20000001-21000000", 428, None, "G", "T"), reference, WindowPolicy())
    assert Counter(r.status for r in results) == {Status.SCORED: 1_864}
    assert caplog.messages == ["VCF contig 'chr22' from 20000001 to 21000000 is FASTA contig 'chr22:20000001-21000000'"]
    assert results[0].variant.pos == 20_000_428
    assert literal.status is Status.SCORED
    assert literal.edit == Edit(427, "G", "T", 427)
