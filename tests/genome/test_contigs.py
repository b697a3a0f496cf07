from __future__ import annotations

import pytest

from varscore.genome.contigs import Stretch, canonical_name, find_stretches


@pytest.mark.parametrize(
    ("fasta_name", "chrom"),
    [
        ("chr1", "1"), ("1", "chr1"), ("chrX", "X"), ("chrM", "MT"), ("chrM", "M"),
        ("MT", "chrM"), ("M", "chrMT"), ("chrMT", "M"),
    ],
)  # fmt: skip
def test_names_of_the_same_contig(fasta_name: str, chrom: str) -> None:
    assert find_stretches({"other": 5, fasta_name: 10}, chrom) == (Stretch(fasta_name, 0, 10, whole=True),)


def test_unknown_names() -> None:
    assert find_stretches({"chr1": 10, "chr11": 10}, "2") == ()
    assert find_stretches({"chr1": 10}, "chr") == ()
    assert canonical_name("chr") == "chr"


def test_the_same_name_wins_over_another_spelling() -> None:
    contigs = {"chr1": 10, "1": 20}
    assert [s.length for chrom in ("chr1", "1") for s in find_stretches(contigs, chrom)] == [10, 20]


def test_a_whole_contig_wins_over_an_extract() -> None:
    assert find_stretches({"chr1:1-10": 10, "1": 20}, "chr1") == (Stretch("1", 0, 20, whole=True),)


@pytest.mark.parametrize("chrom", ["chr22", "22"])
def test_extracts_are_in_the_coordinates_of_their_chromosome(chrom: str) -> None:
    contigs = {"chr22:101-150": 50, "chr2:1-50": 50, "22:301-400": 100}
    assert find_stretches(contigs, chrom) == (
        Stretch("chr22:101-150", 100, 50, whole=False),
        Stretch("22:301-400", 300, 100, whole=False),
    )


def test_the_literal_name_of_an_extract_is_in_its_own_coordinates() -> None:
    assert find_stretches({"22:101-150": 50}, "22:101-150") == (Stretch("22:101-150", 0, 50, whole=True),)


@pytest.mark.parametrize("name", ["chr22:101-150", "chr22:0-48", "HLA:1-2-3", ":1-49"])
def test_a_name_that_does_not_go_with_the_length_is_no_extract(name: str) -> None:
    assert find_stretches({name: 49}, "chr22") == ()
