"""Saturation mutagenesis: what is written, against hand-made lists and bcftools; what is read, by arithmetic."""

import shutil
import subprocess

import numpy as np
import pysam
import pytest

from tests.made_table import add_gene_columns, made_table
from varscore.analysis.saturation import read_saturation, write_saturation
from varscore.errors import FastaError, OptionError, RegionError, TableError
from varscore.genome.vcf import read_variants
from varscore.store.table import ScoreTable

TRACKS = [("D0", "DNASE:liver")]


@pytest.fixture
def fasta(tmp_path):
    path = tmp_path / "genome.fa"
    path.write_text(">z\nACGTNacgt\n>y:11-20\nTTTTTTTTTT\n")
    return path


def spelled(path):
    return [(v.chrom, v.pos, v.ref, v.alt) for v in read_variants(path)]


def test_every_snv_once_in_order(fasta, tmp_path):
    made = write_saturation("z:3-6", fasta, tmp_path / "out.vcf")
    assert (made.snvs, made.deletions, made.unknown) == (9, 0, 1)
    assert spelled(tmp_path / "out.vcf") == [
        ("z", 3, "G", "A"), ("z", 3, "G", "C"), ("z", 3, "G", "T"),
        ("z", 4, "T", "A"), ("z", 4, "T", "C"), ("z", 4, "T", "G"),
        ("z", 6, "A", "C"), ("z", 6, "A", "G"), ("z", 6, "A", "T"),
    ]  # fmt: skip


def test_deletions_are_anchored_at_the_base_before(fasta, tmp_path):
    made = write_saturation("z:1-6", fasta, tmp_path / "out.vcf", deletions=True)
    deletions = [one for one in spelled(tmp_path / "out.vcf") if len(one[2]) == 2]
    # the contig's first base, and the one after the N, have no base before them that is known
    assert deletions == [("z", 1, "AC", "A"), ("z", 2, "CG", "C"), ("z", 3, "GT", "G")]
    assert (made.snvs, made.deletions, made.unknown) == (15, 3, 1)
    positions = [one[1] for one in spelled(tmp_path / "out.vcf")]
    assert positions == sorted(positions)


def test_coordinates_of_an_extract_are_its_chromosomes(fasta, tmp_path):
    write_saturation("y:12-12", fasta, tmp_path / "out.vcf")
    assert spelled(tmp_path / "out.vcf") == [("y", 12, "T", base) for base in "ACG"]


def test_bgzipped_is_the_same_text(fasta, tmp_path):
    for name in ("out.vcf", "out.vcf.gz"):
        write_saturation("z:1-9", fasta, tmp_path / name, deletions=True, command="varscore saturate z:1-9")
    with pysam.BGZFile(str(tmp_path / "out.vcf.gz"), "rb", None) as packed:
        assert packed.read() == (tmp_path / "out.vcf").read_bytes()
    assert spelled(tmp_path / "out.vcf.gz") == spelled(tmp_path / "out.vcf")


def test_bcftools_finds_every_ref_in_the_reference(shared, tmp_path):
    if not shutil.which("bcftools"):
        pytest.skip("bcftools is not installed")
    fasta = shared / "data/kgp_chr20/region.fa.gz"
    made = write_saturation("z:500,001-500,300", fasta, tmp_path / "out.vcf.gz", deletions=True)
    assert (made.snvs, made.deletions) == (900, 300)
    check = ["bcftools", "norm", "--check-ref", "e", "-f", fasta, tmp_path / "out.vcf.gz", "-o", tmp_path / "same.vcf"]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    subprocess.run(["bcftools", "index", "-t", tmp_path / "out.vcf.gz"], check=True)  # fails where it is not sorted


@pytest.mark.parametrize(
    ("region", "message"),
    [
        ("z", "at most 100,000 bases"), ("z:5-", "at most 100,000 bases"), ("z:5-12", "bases 1 to 9 of it"),
        ("x:1-5", "no such contig"), ("z:9-3", "is no region"), ("y:1-12", "bases 11 to 20"),
    ],
)  # fmt: skip
def test_a_region_that_is_not_there_is_refused(fasta, tmp_path, region, message):
    with pytest.raises(RegionError, match=message):
        write_saturation(region, fasta, tmp_path / "out.vcf")
    assert not (tmp_path / "out.vcf").exists()


def test_no_reference_is_said(tmp_path):
    with pytest.raises(FastaError, match="no such file"):
        write_saturation("z:1-5", tmp_path / "none.fa", tmp_path / "out.vcf")


def saturated(path, bases="ACGT", first=10, skip=(), **more):
    """SNVs of `bases`, each scored 10 × its place + the code of its new base."""
    rows, scores = [], []
    for i, ref in enumerate(bases):
        for code, alt in enumerate("ACGT"):
            if alt != ref and (i, alt) not in skip:
                rows.append(("chr2", first + i, None, ref, alt, "scored"))
                scores.append([10 * i + code])
    rows += more.get("rows", [])
    scores += more.get("scores", [])
    return ScoreTable(made_table(path, rows, TRACKS, scores))


def test_scores_stand_at_their_place_and_base(tmp_path):
    table = saturated(tmp_path / "t.parquet", skip={(1, "T")})
    found = read_saturation(table, table.columns[0])
    assert (found.chrom, found.start, found.ref) == ("chr2", 9, "ACGT")
    nan = np.nan
    expected = [[nan, 1, 2, 3], [10, nan, 12, nan], [20, 21, nan, 23], [30, 31, 32, nan]]
    np.testing.assert_array_equal(found.scores, np.array(expected, np.float32))
    np.testing.assert_allclose(found.importance, [-2, -11, -64 / 3, -31])
    assert np.isnan(found.deletions).all()


def test_a_region_and_the_other_name_of_its_contig(tmp_path):
    table = saturated(tmp_path / "t.parquet")
    found = read_saturation(table, table.columns[0], "2:11-12")
    assert (found.start, found.ref) == (10, "CG")
    np.testing.assert_array_equal(found.scores[:, 0], [10, 20])


def test_deletions_stand_at_the_base_that_is_gone(tmp_path):
    more = {"rows": [("chr2", 9, None, "TA", "T", "scored"), ("chr2", 11, None, "CG", "C", "scored")],
            "scores": [[-5], [-7]]}  # fmt: skip
    table = saturated(tmp_path / "t.parquet", **more)
    found = read_saturation(table, table.columns[0])
    assert (found.start, found.ref) == (9, "ACGT")
    np.testing.assert_array_equal(found.deletions, np.array([-5, np.nan, -7, np.nan], np.float32))


def test_other_variants_and_unscored_ones_are_passed_over(tmp_path):
    more = {"rows": [("chr2", 50, None, "AC", "AGG", "scored"), ("chr2", 60, None, "A", "<DEL>", "symbolic")],
            "scores": [[99]]}  # fmt: skip
    table = saturated(tmp_path / "t.parquet", **more)
    found = read_saturation(table, table.columns[0])
    assert (found.ref, found.start) == ("ACGT", 9)


def test_what_cannot_be_drawn_is_said(tmp_path):
    table = saturated(tmp_path / "t.parquet")
    with pytest.raises(TableError, match="no scored SNVs in chr2:500-600"):
        read_saturation(table, table.columns[0], "chr2:500-600")
    with pytest.raises(OptionError, match="span 4 bp, and a figure has room for 3"):
        read_saturation(table, table.columns[0], longest=3)
    more = {"rows": [("chr3", 10, None, "A", "C", "scored")], "scores": [[1]]}
    table = saturated(tmp_path / "u.parquet", **more)
    with pytest.raises(TableError, match="2 contigs"):
        read_saturation(table, table.columns[0])
    assert read_saturation(table, table.columns[0], "chr3").ref == "A"


def test_a_table_of_genes_is_refused(tmp_path):
    """Each SNV has a row for each gene there."""
    table = saturated(tmp_path / "s.parquet")
    genes = add_gene_columns(tmp_path / "s.parquet", tmp_path / "g.parquet", ["G"] * len(table))
    with pytest.raises(TableError, match="a table of genes: give the one with a row for each allele"):
        read_saturation(ScoreTable(genes), ScoreTable(genes).columns[0])
