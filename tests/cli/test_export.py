"""`varscore top` and `varscore export`: arguments, exit statuses, and what is said where."""

import subprocess
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pysam
import pytest
from click.testing import CliRunner, Result

from tests.analysis.tables import allele, write_table
from varscore.analysis.top import strongest
from varscore.cli import main
from varscore.cli.top import _print
from varscore.store.table import ScoreTable

ROWS = [
    allele("chr1", 5, "rs1", "A", "G"),
    allele("chr1", 7, None, "C", "T"),
    allele("chr1", 7, None, "C", "<DEL>", "symbolic"),
    allele("chr2", 9, "rs3", "G", "A"),
]
SCORES = np.array([[1, 20, 0.3], [-3, 10, 0.1], [np.nan] * 3, [2, 0, -0.2]], np.float32)
VCF = (
    "##fileformat=VCFv4.2\n##contig=<ID=chr1>\n##contig=<ID=chr2>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    "chr1\t5\trs1\tA\tG\t.\t.\t.\nchr1\t7\t.\tC\tT,<DEL>\t.\t.\t.\nchr2\t9\trs3\tG\tA\t.\t.\t.\n"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """t.parquet, a table of four alleles and three tracks, tiny.parquet, the same by enformer-tiny, and in.vcf."""
    write_table(tmp_path / "t.parquet", ROWS, {"SAD": SCORES, "D1": np.abs(SCORES)})
    write_table(tmp_path / "tiny.parquet", ROWS, {"SAD": SCORES}, model="enformer-tiny")
    (tmp_path / "in.vcf").write_text(VCF)
    return tmp_path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


def test_top_in_a_pipe_is_tab_separated(folder):
    result = run("top", folder / "t.parquet", "-n", 2, "--scale", "none", "-t", "A1")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        "chrom\tpos\tid\tref\talt\ttrack\tdescription\tscore",
        "chr1\t7\t.\tC\tT\tA1\tDNASE:liver\t-3.0",
        "chr2\t9\trs3\tG\tA\tA1\tDNASE:liver\t2.0",
    ]


def test_tops_options_reach_the_library(folder):
    result = run("top", folder / "t.parquet", "--by", "pair", "--stat", "D1", "-r", "chr1:1-5", "--scale", "sd")
    frame = pd.read_csv(StringIO(result.stdout), sep="\t")
    # over the standard deviations of 1, 3, 2; of 20, 10, 0; and of 0.3, 0.1, 0.2
    assert frame["track"].tolist() == ["C3", "B-2", "A1"]
    assert frame["score"].tolist() == pytest.approx([0.3, 20, 1])
    assert frame["scaled"].tolist() == pytest.approx([3, 2, 1])


def test_top_into_a_file(folder):
    result = run("top", folder / "tiny.parquet", "-o", folder / "top.tsv")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "enformer-tiny was trained on a simulation and carries no biology" in result.stderr
    assert f"3 rows → {folder / 'top.tsv'}" in result.stderr
    assert sorted(pd.read_csv(folder / "top.tsv", sep="\t")["pos"]) == [5, 7, 9]
    assert run("top", folder / "tiny.parquet", "-o", folder / "top.tsv").exit_code == 1
    result = run("top", folder / "tiny.parquet", "-o", folder / "top.tsv", "--overwrite", "-q")
    assert (result.exit_code, result.output) == (0, "")


def test_top_on_a_terminal_is_a_table(folder, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    found = strongest(ScoreTable(folder / "t.parquet"), 1, scale="none")
    with redirect_stdout(StringIO()) as shown:
        _print(found)
    assert [line.split() for line in shown.getvalue().splitlines()] == [
        ["chrom", "pos", "id", "ref", "alt", "track", "SAD", "description"],
        ["chr1", "5", "rs1", "A", "G", "B-2", "+20.0", 'CAGE:"liver",', "adult"],
    ]


def test_long(folder):
    result = run(
        "export",
        "long",
        folder / "t.parquet",
        "-t",
        "A1",
        "--min",
        2,
        "--stat",
        "SAD",
        "--stat",
        "D1",
        "-o",
        folder / "l.tsv",
    )
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", f"2 rows → {folder / 'l.tsv'}\n")
    assert (folder / "l.tsv").read_text().splitlines()[1:] == [
        "chr1\t7\t\tC\tT\tA1\tDNASE:liver\t-3.0\t3.0", "chr2\t9\trs3\tG\tA\tA1\tDNASE:liver\t2.0\t2.0",
    ]  # fmt: skip


def test_vcf(folder):
    result = run(
        "export",
        "vcf",
        folder / "t.parquet",
        "--vcf",
        folder / "in.vcf",
        "-t",
        ".",
        "--stat",
        "D1",
        "--stat",
        "SAD",
        "-o",
        folder / "o.bcf",
    )
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == f"3 alleles of 3 records with D1_A1, D1_B_2, D1_C3, 3 more → {folder / 'o.bcf'}\n"
    with pysam.VariantFile(str(folder / "o.bcf")) as file:
        assert [record.info["SAD_A1"] for record in file] == [(1,), (-3, None), (2,)]


def test_vcf_says_that_there_is_no_index(folder):
    lines = VCF.replace("chr2", "chr1").splitlines(keepends=True)
    del lines[2]
    (folder / "in.vcf").write_text("".join([*lines[:3], lines[5], lines[3], lines[4]]))
    order = [3, 0, 1, 2]
    table = write_table(folder / "u.parquet", [("chr1", *ROWS[i][1:]) for i in order], {"SAD": SCORES[order]})
    result = run("export", "vcf", table, "--vcf", folder / "in.vcf", "-t", "A1", "-o", folder / "o.vcf.gz")
    assert result.exit_code == 0
    assert "varscore: warning: " in result.stderr
    assert "no index: its records are not sorted" in result.stderr


def test_bed(folder):
    result = run("export", "bed", folder / "t.parquet", "-t", "A1", "-o", folder / "o.bedgraph.gz")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", f"3 lines → {folder / 'o.bedgraph.gz'}\n")
    assert (folder / "o.bedgraph.gz.tbi").exists()


def test_a_bedgraph_of_two_tracks_is_a_usage_error(folder):
    result = run("export", "bed", folder / "t.parquet", "-t", ".", "-o", folder / "out.bedgraph")
    assert result.exit_code == 2
    assert "a bedGraph holds one track, not 3" in result.stderr
    assert not (folder / "out.bedgraph").exists()


def test_hdf5(folder):
    h5py = pytest.importorskip("h5py")
    result = run("export", "hdf5", folder / "t.parquet", "--float32", "-o", folder / "sad.h5")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", f"3 of 4 alleles → {folder / 'sad.h5'}\n")
    with h5py.File(folder / "sad.h5") as file:
        assert file["SAD"].dtype == file["D1"].dtype == np.float32
    result = run("export", "hdf5", folder / "t.parquet", "--stat", "D1", "-q", "-o", folder / "d1.h5")
    assert (result.exit_code, result.output) == (0, "")
    with h5py.File(folder / "d1.h5") as file:
        assert "SAD" not in file
        assert file["D1"].dtype == np.float16


BAD = {
    "no table": (["top", "none.parquet"], "no such file"),
    "no statistic": (["top", "t.parquet", "--stat", "JS"], "has no JS: it has SAD, D1"),
    "no quantiles": (["top", "t.parquet", "--scale", "quantile"], "no SAD_quantile"),
    "no track": (["top", "t.parquet", "-t", "kidney"], "no track matches 'kidney'"),
    "bad region": (["top", "t.parquet", "-r", "chr1:9-3"], "chr1:9-3"),
    "top's ending": (["top", "t.parquet", "-o", "out.xlsx"], "expected .tsv"),
    "long's ending": (["export", "long", "t.parquet", "-o", "out.csv"], "expected .parquet or .tsv or .tsv.gz"),
    "another VCF": (["export", "vcf", "tiny.parquet", "--vcf", "other.vcf", "-t", ".", "-o", "out.bcf"], "row 1 of"),
    "no VCF": (["export", "vcf", "t.parquet", "--vcf", "none.vcf", "-t", ".", "-o", "out.bcf"], "none.vcf: no such"),
    "no folder": (["export", "hdf5", "t.parquet", "-o", "no/out.h5"], "no folder no"),
    "object store": (
        ["export", "hdf5", "t.parquet", "-o", "s3://bucket/out.h5"],
        "s3://bucket/out.h5: write to a file",
    ),
    "there already": (["export", "bed", "t.parquet", "-t", "A1", "-o", "there.bed"], "--overwrite"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_clear_error(case, folder, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "other.vcf").write_text(VCF.replace("rs1", "rs9"))
    (folder / "there.bed").write_text("mine")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    arguments, said = BAD[case]
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.count("varscore: error:") == 1
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    "arguments",
    [
        ["top"],
        ["top", "t.parquet", "-n", "0"],
        ["top", "t.parquet", "--by", "gene"],
        ["export", "vcf", "t.parquet", "-t", ".", "-o", "o.bcf"],
        ["export", "vcf", "t.parquet", "--vcf", "in.vcf", "-o", "o.bcf"],
        ["export", "bed", "t.parquet", "-o", "o.bed"],
        ["export", "long", "t.parquet"],
        ["export", "long", "t.parquet", "-o", "o.tsv", "--min", "-1"],
        ["export", "csv"],
    ],
)
def test_usage_errors_exit_with_2(arguments):
    result = run(*arguments)
    assert result.exit_code == 2
    assert "Usage:" in result.stderr


def test_no_torch_is_needed():
    code = """
import sys
from varscore.analysis import top
from varscore.analysis.export import bed, hdf5, long, vcf
print({"torch", "h5py"} & set(sys.modules))
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
