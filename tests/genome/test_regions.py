from __future__ import annotations

import gzip
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from varscore.errors import RegionError
from varscore.genome.regions import Region, RegionFilter, parse_region, read_regions_file


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("chr22", Region("chr22", 0, sys.maxsize)),
        ("chr22:100", Region("chr22", 99, 100)),
        ("chr22:100-", Region("chr22", 99, sys.maxsize)),
        ("chr22:20,000,001-20,100,000", Region("chr22", 20_000_000, 20_100_000)),
        (" X:5-5 ", Region("X", 4, 5)),
        ("{chr22:1-100}:5-10", Region("chr22:1-100", 4, 10)),
        ("{chr22:1-100}", Region("chr22:1-100", 0, sys.maxsize)),
        ("{HLA:A}:5-10", Region("HLA:A", 4, 10)),
    ],
)
def test_parse_region(text: str, expected: Region) -> None:
    assert parse_region(text) == expected


@pytest.mark.parametrize(
    "text", ["", ":5", "chr1:10-5", "chr1:0", "chr1:,-5", "{chr1", "chr 1", "chr1:", "chr1:x-5", "HLA:A:5-10"]
)
def test_no_region(text: str) -> None:
    with pytest.raises(RegionError, match=f"'{text}' is no region"):
        parse_region(text)


def test_bed(tmp_path: Path) -> None:
    text = "# comment\ntrack name=x\nbrowser position\n\nchr1\t0\t10\tname\nchr2\t5\t6\n"
    expected = [Region("chr1", 0, 10), Region("chr2", 5, 6)]
    (tmp_path / "a.bed").write_text(text)
    (tmp_path / "a.bed.gz").write_bytes(gzip.compress(text.encode()))
    assert read_regions_file(tmp_path / "a.bed") == expected
    assert read_regions_file(tmp_path / "a.bed.gz") == expected


def test_positions(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("#CHROM\tPOS\nchr1\t10\nchr2\t5\t7\n")
    assert read_regions_file(tmp_path / "a.tsv") == [Region("chr1", 9, 10), Region("chr2", 4, 7)]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.bed", b"chr1\t0\t5\nchr1\t5\n", r"a\.bed:2: 'chr1\t5' is not CHROM START END \(0-based\)"),
        ("a.bed", b"chr1\t5\t5\n", r"a\.bed:1: "),
        ("a.bed", b"chr1\tx\t5\n", r"a\.bed:1: "),
        ("a.tsv", b"chr1\t0\n", r"a\.tsv:1: 'chr1\t0' is not CHROM POS \[END\] \(1-based\)"),
        ("a.tsv", b"chr1\t5\nchr1\n", r"a\.tsv:2: "),
        ("a.tsv", b"\xff\xfe\x00", r"a\.tsv:1: not text"),
        ("a.bed", b"# nothing\n", r"a\.bed: holds no region"),
        ("a.bed.gz", b"chr1\t0\t5\n", r"a\.bed\.gz: cannot be read"),
        ("a.bed.gz", gzip.compress(b"chr1\t0\t5\n")[:-9], r"a\.bed\.gz: cannot be read"),
    ],
)
def test_bad_regions_file(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RegionError, match=message):
        read_regions_file(tmp_path / name)


def test_missing_regions_file(tmp_path: Path) -> None:
    with pytest.raises(RegionError, match="No such file"):
        read_regions_file(tmp_path / "none.bed")


intervals = st.tuples(st.sampled_from(["1", "chr1", "2"]), st.integers(0, 30), st.integers(1, 10))


@given(st.lists(intervals, max_size=8))
def test_filter_holds_what_any_region_holds(pieces: list[tuple[str, int, int]]) -> None:
    regions = RegionFilter([Region(chrom, start, start + length) for chrom, start, length in pieces])
    for chrom, names in (("chr1", ("1", "chr1")), ("chr2", ("2",)), ("chr3", ())):
        for position in range(45):
            expected = any(c in names and start <= position < start + length for c, start, length in pieces)
            assert regions.holds(chrom, position) == expected
