"""BED and bedGraph, as tabix and pysam read them."""

import gzip

import numpy as np
import pysam
import pytest

from tests.analysis.tables import allele, write_table
from varscore.analysis.export.bed import export_bed
from varscore.errors import OptionError, OutputError
from varscore.store import table as store
from varscore.store.table import ScoreTable

ROWS = [
    allele("chr2", 5, "rs1", "A", "G"),
    allele("chr2", 5, "rs1", "A", "T"),
    allele("chr2", 7, None, "ACGT", "A"),
    allele("chr2", 9, "rs2", "A", "<DEL>", "symbolic"),
    allele("chr10", 1, "rs3", "C", "CTT"),
]
SCORES = np.array([[1, -10, 0], [-2, 5, 0], [0.1, np.nan, 0], [np.nan] * 3, [-4, 2.5, 0]], np.float32)
BED = [
    "#chrom\tstart\tend\tname\tscore\tstrand\tA1\tB-2",
    "chr2\t4\t5\trs1_A>G\t1000\t.\t1.0\t-10.0",
    "chr2\t4\t5\trs1_A>T\t500\t.\t-2.0\t5.0",
    "chr2\t6\t10\tchr2:7_ACGT>A\t25\t.\t0.1\t.",
    "chr10\t0\t1\trs3_C>CTT\t1000\t.\t-4.0\t2.5",
]


@pytest.fixture
def table(tmp_path) -> ScoreTable:
    return ScoreTable(write_table(tmp_path / "t.parquet", ROWS, {"SAD": SCORES}))


@pytest.mark.parametrize("batch_bytes", [store.BATCH_BYTES, 8])
def test_bed_of_two_tracks(table, tmp_path, monkeypatch, batch_bytes):
    monkeypatch.setattr(store, "BATCH_BYTES", batch_bytes)
    assert export_bed(table, tmp_path / "out.bed", tracks=["A1", "B-2"]) == 4
    assert (tmp_path / "out.bed").read_text().splitlines() == BED


def test_bgzipped_bed_has_an_index(table, tmp_path):
    export_bed(table, tmp_path / "out.bed.gz", tracks=["A1", "B-2"])
    assert gzip.decompress((tmp_path / "out.bed.gz").read_bytes()).decode().splitlines() == BED
    with pysam.TabixFile(str(tmp_path / "out.bed.gz"), parser=pysam.asBed()) as file:
        assert list(file.header) == [BED[0]]
        assert list(file.contigs) == ["chr2", "chr10"]
        found = [(row.contig, row.start, row.end, row.name, row.score, row.strand) for row in file.fetch("chr2", 8, 9)]
        assert found == [("chr2", 6, 10, "chr2:7_ACGT>A", 25, ".")]  # the deleted bases, not POS alone
        assert not list(file.fetch("chr2", 10, 11))
    assert len(list(tmp_path.glob("*out*"))) == 2


@pytest.mark.parametrize("ending", [".bedgraph", ".bedgraph.gz"])
def test_bedgraph_has_the_strongest_at_each_position(table, tmp_path, ending):
    assert export_bed(table, tmp_path / f"out{ending}", tracks=["A1"]) == 3
    data = (tmp_path / f"out{ending}").read_bytes()
    lines = (gzip.decompress(data) if ending.endswith("gz") else data).decode().splitlines()
    head = (
        [] if ending.endswith("gz") else ['track type=bedGraph name="SAD A1" description="DNASE:liver" visibility=full']
    )
    assert lines == [*head, "chr2\t4\t5\t-2.0", "chr2\t6\t7\t0.1", "chr10\t0\t1\t-4.0"]


def test_a_table_in_another_order_is_sorted(tmp_path, caplog):
    order = [2, 4, 1, 0, 3]
    rows = [ROWS[i] for i in order]
    unsorted = ScoreTable(write_table(tmp_path / "u.parquet", rows, {"SAD": SCORES[order]}))
    export_bed(unsorted, tmp_path / "u.bed.gz", tracks=["A1", "B-2"])
    lines = gzip.decompress((tmp_path / "u.bed.gz").read_bytes()).decode().splitlines()
    assert lines == [BED[0], BED[2], BED[1], *BED[3:]]
    assert (tmp_path / "u.bed.gz.tbi").exists()
    assert not caplog.records


def test_two_statistics_name_their_columns(tmp_path):
    table = ScoreTable(write_table(tmp_path / "t.parquet", ROWS, {"SAD": SCORES, "D1": np.abs(SCORES)}))
    export_bed(table, tmp_path / "out.bed", tracks=["A1"], statistics=["SAD", "D1"])
    first, second, *_ = (tmp_path / "out.bed").read_text().splitlines()
    assert first.split("\t")[6:] == ["SAD:A1", "D1:A1"]
    assert second.split("\t")[6:] == ["1.0", "1.0"]


def test_a_track_of_zeros_is_no_division_by_zero(table, tmp_path):
    assert export_bed(table, tmp_path / "out.bed", tracks=["C3"]) == 4
    assert {line.split("\t")[4] for line in (tmp_path / "out.bed").read_text().splitlines()[1:]} == {"0"}


def test_what_cannot_be_done_is_said(table, tmp_path):
    with pytest.raises(OptionError, match="one track, not 3"):
        export_bed(table, tmp_path / "out.bedgraph")
    with pytest.raises(OutputError, match="ending"):
        export_bed(table, tmp_path / "out.bb")
    with pytest.raises(OutputError, match="no folder"):
        export_bed(table, tmp_path / "no/out.bed")
    assert not list(tmp_path.glob("*out*"))
