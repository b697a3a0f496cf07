"""The VCF that was scored with scores in it, as bcftools sees it."""

import gzip
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pysam
import pytest

from tests.analysis.tables import GENE_FIELDS, allele, write_table
from varscore import score_vcf
from varscore.analysis.export.vcf import export_vcf, info_fields
from varscore.errors import OutputError, TableError, TrackError, VcfError
from varscore.network.tracks import Track
from varscore.store.table import ScoreColumn, ScoreTable

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
needs_bcftools = pytest.mark.skipif(shutil.which("bcftools") is None, reason="bcftools is not installed")


def bcftools(*arguments: object) -> str:
    """What it prints, when it has nothing to complain about."""
    run = subprocess.run(["bcftools", *map(str, arguments)], capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")
    return run.stdout


def records(path: Path, *more: object) -> list[str]:
    return bcftools("view", "-H", *more, path).splitlines()


def header(path: Path) -> list[str]:
    return [line for line in bcftools("view", "-h", path).splitlines() if not line.startswith("##bcftools")]


def stripped(path: Path, fields: list[str], to: Path) -> Path:
    bcftools("annotate", "-x", ",".join(f"INFO/{name}" for name in fields), path, "-Ob", "-o", to)
    return to


@pytest.fixture(scope="module")
def scored(shared, small_model, tmp_path_factory) -> Path:
    """A folder with some 150 records of 1000 Genomes, with genotypes, and their scores in a folder of parts.

    All symbolic ones and all with several ALTs are among them, one has no ALT, and one is far from the reference.
    """
    folder = tmp_path_factory.mktemp("kgp")
    lines = gzip.decompress((shared / "data/kgp_chr20/variants.vcf.gz").read_bytes()).decode().splitlines()
    # what END says is of the whole chromosome, beyond the length of this contig
    head = [line for line in lines if line.startswith("##") and not line.startswith("##contig")]
    body = [line.split("\t") for line in lines if not line.startswith("#")]
    chosen = [row for i, row in enumerate(body) if "," in row[4] or "<" in row[4] or i % 280 == 0]
    assert len([row for row in chosen if "," in row[4]]) == 68
    chosen[3][4:8] = [".", "3.25", "q10;s50", "."]
    snv = next(row for row in chosen[4:] if len(row[3]) == len(row[4]) == 1)
    snv[3:5] = "CA" if snv[3] == "A" else "AC"
    formats = [
        '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">',
        '##FORMAT=<ID=GP,Number=G,Type=Float,Description="Probabilities">',
        '##FILTER=<ID=q10,Description="Low">',
        '##FILTER=<ID=s50,Description="Few">',
        "##contig=<ID=z,length=2000000>",
        "\t".join(["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", "s1", "s2"]),
    ]
    rows = ["\t".join([*row, "GT:GP", "0|1:0.25,0.0001,.", "./.:."]) for row in chosen]
    with pysam.BGZFile(str(folder / "in.vcf.gz"), "wb") as file:
        file.write(("\n".join([*head, *formats, *rows]) + "\n").encode())
    score_vcf(folder / "in.vcf.gz", shared / "data/kgp_chr20/region.fa.gz", folder / "scores", model=str(small_model))
    return folder


def expected(table: ScoreTable, statistic: str = "SAD") -> pd.DataFrame:
    """What VCF's readers should see of a table: one row for each allele, one column for each track."""
    columns = table.select(None, statistic)
    scores = pd.DataFrame(table.scores(columns), columns=[column.track.identifier for column in columns])
    return pd.concat([table.alleles()[["chrom", "pos", "ref", "alt"]], scores], axis=1)


def seen(path: Path, fields: list[str]) -> pd.DataFrame:
    """What bcftools sees in INFO, for each allele."""
    wanted = "".join(f"\\t%INFO/{name}" for name in fields)
    rows = []
    for line in bcftools("query", "-f", f"%CHROM\\t%POS\\t%REF\\t%ALT{wanted}\\n", path).splitlines():
        chrom, pos, ref, alts, *values = line.split("\t")
        numbers = [value.split(",") if value != "." else ["."] * len(alts.split(",")) for value in values]
        rows += [(chrom, int(pos), ref, *rest) for rest in zip(alts.split(","), *numbers, strict=True)]
    frame = pd.DataFrame(rows, columns=["chrom", "pos", "ref", "alt", *fields])
    return frame.assign(**{name: frame[name].where(frame[name] != ".").astype(float) for name in fields})


def check_scores(path: Path, table: ScoreTable, fields: list[str], tracks: list[str]) -> None:
    found, there = seen(path, fields), expected(table)[["chrom", "pos", "ref", "alt", *tracks]]
    assert found.iloc[:, :4].values.tolist() == there.iloc[:, :4].values.tolist()
    # VCF's text has six digits
    np.testing.assert_allclose(found[fields], there[tracks], rtol=1e-5)


@needs_bcftools
@pytest.mark.parametrize("ending", [".vcf.gz", ".bcf"])
def test_real_records_are_the_same_with_scores(scored, tmp_path, ending):
    table, out = ScoreTable(scored / "scores"), tmp_path / f"out{ending}"
    assert set(table.alleles()["status"]) == {"scored", "symbolic", "missing_alt", "ref_mismatch"}
    written = export_vcf(table, scored / "in.vcf.gz", out, tracks=["CAGE:", "H002"])
    assert written.fields == ["SAD_H001", "SAD_H002", "SAD_H005"]
    assert written.records == len(records(scored / "in.vcf.gz"))
    assert written.alleles == (table.alleles()["status"] == "scored").sum()
    bcftools("view", out)
    check_scores(out, table, written.fields, ["H001", "H002", "H005"])
    plain = stripped(out, written.fields, tmp_path / "plain.bcf")
    assert records(plain) == records(scored / "in.vcf.gz")
    assert header(plain) == header(scored / "in.vcf.gz")
    assert [line for line in header(out) if "SAD_" not in line] == header(scored / "in.vcf.gz")
    region = "z:100000-200000"
    assert [line.split("\t")[1] for line in records(out, "-r", region, "--regions-overlap", "0")] == [
        line.split("\t")[1] for line in records(scored / "in.vcf.gz", "-t", region)
    ]
    assert (tmp_path / f"out{ending}{'.csi' if ending == '.bcf' else '.tbi'}").exists()
    assert len(list(tmp_path.glob("out*"))) == 2


@needs_bcftools
def test_a_bcf_that_was_scored(scored, tmp_path):
    bcftools("view", scored / "in.vcf.gz", "-Ob", "-o", tmp_path / "in.bcf")
    written = export_vcf(ScoreTable(scored / "scores"), tmp_path / "in.bcf", tmp_path / "out.bcf", tracks=["H000"])
    plain = stripped(tmp_path / "out.bcf", written.fields, tmp_path / "plain.bcf")
    assert records(plain) == records(scored / "in.vcf.gz")
    check_scores(tmp_path / "out.bcf", ScoreTable(scored / "scores"), written.fields, ["H000"])


@needs_bcftools
def test_only_a_region_was_scored(scored, shared, small_model, tmp_path):
    score_vcf(
        scored / "in.vcf.gz", shared / "data/kgp_chr20/region.fa.gz", tmp_path / "t.parquet",
        model=str(small_model), regions=["z:100000-200000"],
    )  # fmt: skip
    table, out = ScoreTable(tmp_path / "t.parquet"), tmp_path / "out.vcf.gz"
    written = export_vcf(table, scored / "in.vcf.gz", out, tracks=["H000"])
    assert 0 < written.alleles < len(ScoreTable(scored / "scores"))
    assert records(stripped(out, written.fields, tmp_path / "plain.bcf")) == records(scored / "in.vcf.gz")
    found, there = seen(out, ["SAD_H000"]).dropna(), expected(table).dropna()
    assert found.iloc[:, :4].values.tolist() == there.iloc[:, :4].values.tolist()
    np.testing.assert_allclose(found["SAD_H000"], there["H000"], rtol=1e-5)


HEAD = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"


def by_hand(folder: Path, body: str, rows: list[tuple[object, ...]], head: str = HEAD, **run: object) -> ScoreTable:
    """in.vcf of these lines, and a table of these rows, scored 1, 2, 3, … in track A1, unless their status says no."""
    (folder / "in.vcf").write_text(head + body.replace(" ", "\t"))
    scores = np.array([[i + 1, -i, 0.5] if row[5] == "scored" else [np.nan] * 3 for i, row in enumerate(rows)])
    return ScoreTable(write_table(folder / "t.parquet", rows, {"SAD": scores}, **run))


@needs_bcftools
def test_what_the_header_lacks_is_declared(tmp_path):
    body = "chr2 5 rs1;x A G,<DEL> 100.5 q10 XX=3;YY;F=0.1,0.00012345\n2 7 . A . . PASS .\n3 9 . A T . . .\n"
    rows = [
        allele("chr2", 5, "rs1;x", "A", "G"), allele("chr2", 5, "rs1;x", "A", "<DEL>", "symbolic"),
        allele("2", 7, None, "A", ".", "missing_alt"), allele("3", 9, None, "A", "T"),
    ]  # fmt: skip
    contigs = {"2": {"length": 900}, "3:101-200": {"length": 100}}
    table = by_hand(tmp_path, body, rows, contigs=contigs)
    out = tmp_path / "out.vcf.gz"
    export_vcf(table, tmp_path / "in.vcf", out, tracks=["A1"])
    assert [line.split("\t") for line in records(out)] == [
        ["chr2", "5", "rs1;x", "A", "G,<DEL>", "100.5", "q10", "XX=3;YY;F=0.1,0.00012345;SAD_A1=1,."],
        ["2", "7", ".", "A", ".", ".", "PASS", "."],
        ["3", "9", ".", "A", "T", ".", ".", "SAD_A1=4"],
    ]
    # an extract's length is not its chromosome's
    assert [line for line in header(out) if "contig" in line] == [
        "##contig=<ID=chr2,length=900>", "##contig=<ID=2,length=900>", "##contig=<ID=3>",
    ]  # fmt: skip
    export_vcf(table, tmp_path / "in.vcf", tmp_path / "out.bcf", tracks=["A1"])
    assert records(tmp_path / "out.bcf") == records(out)


@needs_bcftools
def test_unsorted_records_keep_their_order_and_get_no_index(tmp_path, caplog):
    rows = [allele("1", pos, None, "A", "G") for pos in (7, 5, 9)]
    body = "".join(f"1 {row[1]} . A G . . .\n" for row in rows)
    table = by_hand(tmp_path, body, rows)
    (tmp_path / "out.vcf.gz.tbi").write_text("of a file that was here before")
    export_vcf(table, tmp_path / "in.vcf", tmp_path / "out.vcf.gz", tracks=["A1"])
    assert "has no index: its records are not sorted" in caplog.text
    assert [line.split("\t")[1] for line in records(tmp_path / "out.vcf.gz")] == ["7", "5", "9"]
    assert not list(tmp_path.glob("*.tbi"))


@needs_bcftools
def test_a_contig_longer_than_tabix_knows_gets_another_index(tmp_path):
    rows = [allele("1", 2**29 + 5, None, "A", "G")]
    table = by_hand(tmp_path, f"1 {2**29 + 5} . A G . . .\n", rows, contigs={"1": {"length": 2**30}})
    export_vcf(table, tmp_path / "in.vcf", tmp_path / "out.vcf.gz", tracks=["A1"])
    assert (tmp_path / "out.vcf.gz.csi").exists()
    assert len(records(tmp_path / "out.vcf.gz", "-r", f"1:{2**29}-")) == 1


def test_only_what_passed_was_scored(tmp_path):
    body = "".join(f"1 5 . A G . {name} .\n" for name in ("q10", "PASS", "q10;PASS", "."))
    table = by_hand(tmp_path, body, [allele("1", 5, None, "A", "G")] * 2, filters={"pass_only": True})
    export_vcf(table, tmp_path / "in.vcf", tmp_path / "out.vcf.gz", tracks=["A1"])
    with pysam.VariantFile(str(tmp_path / "out.vcf.gz")) as file:
        assert [record.info.get("SAD_A1") for record in file] == [None, (1,), None, (2,)]


@needs_bcftools
def test_end_stays_what_it_was(tmp_path):
    """pysam's own writer adds END to symbolic alleles, and takes it from records that end with REF."""
    infos = [("<DEL>", "."), ("<DEL>", "SVLEN=-50"), ("<DEL>", "END=30"), ("G", "END=5"), ("G", "END=30"), ("G", ".")]
    head = '##fileformat=VCFv4.2\n##contig=<ID=1,length=90>\n##INFO=<ID=END,Number=1,Type=Integer,Description="x">\n'
    head += '##INFO=<ID=SVLEN,Number=A,Type=Integer,Description="x">\n' + HEAD.partition("\n")[2]
    body = "".join(f"1 5 . A {alt} . . {info}\n" for alt, info in infos)
    rows = [allele("1", 5, None, "A", alt, "symbolic" if alt == "<DEL>" else "scored") for alt, _ in infos]
    table = by_hand(tmp_path, body, rows, head=head)
    for ending in (".vcf.gz", ".bcf"):
        export_vcf(table, tmp_path / "in.vcf", tmp_path / f"out{ending}", tracks=["A1"])
        plain = stripped(tmp_path / f"out{ending}", ["SAD_A1"], tmp_path / "plain.bcf")
        assert [line.split("\t")[7] for line in records(plain)] == [info for _, info in infos]


def test_where_htslib_can_make_no_index_the_file_is_there_without(tmp_path, caplog):
    head = HEAD.replace("#CHROM", "##contig=<ID=1,length=90>\n#CHROM")
    table = by_hand(tmp_path, "1 2000000 . A G . . .\n", [allele("1", 2_000_000, None, "A", "G")], head=head)
    export_vcf(table, tmp_path / "in.vcf", tmp_path / "out.bcf", tracks=["A1"])
    assert "has no index: htslib could not make one" in caplog.text
    assert [path.name for path in tmp_path.glob("*out*")] == ["out.bcf"]


def test_alleles_that_are_there_twice_have_each_their_row(tmp_path):
    rows = [allele("1", 5, name, "A", "G") for name in ("a", "b", "b")]
    table = by_hand(tmp_path, "1 5 a A G . . .\n1 5 b A G . . .\n1 5 b A G . . .\n1 5 b A G . . .\n", rows)
    written = export_vcf(table, tmp_path / "in.vcf", tmp_path / "out.vcf.gz", tracks=["A1"])
    with pysam.VariantFile(str(tmp_path / "out.vcf.gz")) as file:
        assert [record.info.get("SAD_A1") for record in file] == [(1,), (2,), (3,), None]
    assert written.alleles == 3


def test_a_gzipped_vcf_that_pysam_cannot_read(tmp_path):
    table = by_hand(tmp_path, "1 5 . A G . . .\n", [allele("1", 5, None, "A", "G")])
    packed = gzip.compress((tmp_path / "in.vcf").read_bytes())
    (tmp_path / "in.vcf.gz").write_bytes(packed)
    assert export_vcf(table, tmp_path / "in.vcf.gz", tmp_path / "out.vcf.gz", tracks=["A1"]).alleles == 1
    (tmp_path / "in.vcf.gz").write_bytes(packed[:-9])
    with pytest.raises(VcfError, match=r"in.vcf.gz cannot be read"):
        export_vcf(table, tmp_path / "in.vcf.gz", tmp_path / "cut.vcf.gz", tracks=["A1"])


def test_two_statistics_are_two_fields(tmp_path):
    scores = {"SAD": np.array([[1, 2, 3]]), "logSAD@501": np.array([[4, np.nan, 6]])}
    table = ScoreTable(write_table(tmp_path / "t.parquet", [allele("1", 5, None, "A", "G")], scores))
    (tmp_path / "in.vcf").write_text(HEAD + "1 5 . A G . . .\n".replace(" ", "\t"))
    written = export_vcf(table, tmp_path / "in.vcf", tmp_path / "out.vcf.gz", tracks=["."], statistics=list(scores))
    assert written.fields == ["SAD_A1", "SAD_B_2", "SAD_C3", "logSAD_501_A1", "logSAD_501_B_2", "logSAD_501_C3"]
    with pysam.VariantFile(str(tmp_path / "out.vcf.gz")) as file:
        [record] = file
        assert dict(record.info) == {
            "SAD_A1": (1,), "SAD_B_2": (2,), "SAD_C3": (3,), "logSAD_501_A1": (4,), "logSAD_501_C3": (6,),
        }  # fmt: skip
        assert file.header.info["SAD_B_2"].description == 'SAD of B-2, CAGE:\\"liver\\", adult, by small'


def test_names_of_fields_are_valid_and_each_its_own():
    identifiers = ["AP-1", "AP_1", "AP.1", "AP 1", "µ"]
    columns = [ScoreColumn(name, "2x", Track(i, name, "")) for i, name in enumerate(identifiers)]
    assert list(info_fields(columns)) == ["_2x_AP_1", "_2x_AP_1_2", "_2x_AP.1", "_2x_AP_1_3", "_2x__"]


WRONG = {
    "other alleles": "1 5 . A G . . .\n1 6 . A C . . .\n",
    "another order": "1 6 . A T . . .\n1 5 . A G . . .\n",
    "another name": "1 5 rs1 A G . . .\n1 6 . A T . . .\n",
    "cut": "1 5 . A G . . .\n",
    "empty": "",
}


@pytest.mark.parametrize("body", WRONG.values(), ids=WRONG)
def test_another_vcf_than_the_scored_one_is_refused(tmp_path, body):
    table = by_hand(tmp_path, body, [allele("1", 5, None, "A", "G"), allele("1", 6, None, "A", "T")])
    there = set(tmp_path.iterdir())
    with pytest.raises(TableError, match=r"row [12] of .*t.parquet \(1:[56] . A>[GT]\) is not in .*in.vcf"):
        export_vcf(table, tmp_path / "in.vcf", tmp_path / "out.vcf.gz", tracks=["A1"])
    assert set(tmp_path.iterdir()) == there


def test_what_cannot_be_done_is_said(tmp_path):
    table = by_hand(tmp_path, "1 5 . A G . . .\n", [allele("1", 5, None, "A", "G")])
    out = tmp_path / "out.vcf.gz"
    (tmp_path / "text.vcf").write_text("hello\n")
    (tmp_path / "bad.vcf").write_text(HEAD + "1\tx\n")
    (tmp_path / "latin.vcf").write_bytes((HEAD + "1\t5\t.\tA\tG\t.\t.\tN=café\n").encode("latin-1"))
    (tmp_path / "cut.vcf.gz").write_bytes(Path(EXAMPLES / "chr22.vcf.gz").read_bytes()[:-30])
    for name, message in {
        "none.vcf": "no such file",
        "text.vcf": "not a VCF",
        "bad.vcf": "record 1 cannot be read",
        "cut.vcf.gz": "truncated",
        "latin.vcf": "not UTF-8",
    }.items():
        with pytest.raises(VcfError, match=message):
            export_vcf(table, tmp_path / name, out, tracks=["A1"])
    with pytest.raises(TrackError, match="no track matches"):
        export_vcf(table, tmp_path / "in.vcf", out, tracks=["kidney"])
    with pytest.raises(OutputError, match=r"expected .vcf.gz or .bcf"):
        export_vcf(table, tmp_path / "in.vcf", tmp_path / "out.vcf", tracks=["A1"])
    with pytest.raises(OutputError, match="machine"):
        export_vcf(table, tmp_path / "in.vcf", "s3://b/out.vcf.gz", tracks=["A1"])
    export_vcf(table, tmp_path / "in.vcf", out, tracks=["A1"])
    with pytest.raises(OutputError, match="--overwrite"):
        export_vcf(table, tmp_path / "in.vcf", out, tracks=["A1"])
    with pytest.raises(VcfError, match="INFO fields such as SAD_A1 already"):
        export_vcf(table, out, tmp_path / "again.vcf.gz", tracks=["A1"])
    rows = [("1", 5, None, "A", "G", "E1", "G1", "+", 7, -2)]
    genes = ScoreTable(write_table(tmp_path / "g.parquet", rows, {"SAD": np.ones((1, 3))}, fields=GENE_FIELDS))
    with pytest.raises(TableError, match="allele and gene"):
        export_vcf(genes, tmp_path / "in.vcf", tmp_path / "g.vcf.gz", tracks=["A1"])


@needs_bcftools
def test_the_example(tmp_path):
    rows = [
        allele(record.chrom, record.pos, record.id, str(record.ref), alt)
        for record in pysam.VariantFile(str(EXAMPLES / "demo.vcf"))
        for alt in record.alts or ()
    ]
    scores = np.random.default_rng(0).normal(size=(len(rows), 3)).astype(np.float32)
    table = ScoreTable(write_table(tmp_path / "t.parquet", rows, {"SAD": scores}))
    written = export_vcf(table, EXAMPLES / "demo.vcf", tmp_path / "out.vcf.gz", tracks=["."])
    check_scores(tmp_path / "out.vcf.gz", table, written.fields, ["A1", "B-2", "C3"])
    assert records(stripped(tmp_path / "out.vcf.gz", written.fields, tmp_path / "x.bcf")) == records(
        EXAMPLES / "demo.vcf"
    )
