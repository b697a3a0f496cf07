"""The long form, against pandas, which makes it of the whole table at once."""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from tests.analysis.tables import GENE_FIELDS, TRACKS, allele, write_table
from varscore import score_vcf
from varscore.analysis.export import long
from varscore.analysis.export.long import export_long
from varscore.errors import OutputError, TableError
from varscore.store import table as store
from varscore.store.table import ScoreTable

ALLELES = 50
NAMES = ["chrom", "pos", "id", "ref", "alt"]


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> ScoreTable:
    rows = [
        allele("chr1", i + 1, None if i % 3 else f"rs{i}", "A", "G", "scored" if i % 7 else "symbolic")
        for i in range(ALLELES)
    ]
    scores = np.random.default_rng(0).normal(size=(ALLELES, 3)).astype(np.float32)
    scores[::7] = np.nan
    path = tmp_path_factory.mktemp("long") / "t.parquet"
    return ScoreTable(write_table(path, rows, {"SAD": scores, "SAD_quantile": scores / 10}))


def melted(table: ScoreTable, *statistics: str) -> pd.DataFrame:
    """By pandas."""
    wide = table.alleles()[NAMES].reset_index(names="row")
    forms = []
    for statistic in statistics:
        scores = pd.DataFrame(table.scores(table.select(None, statistic)), columns=list(TRACKS))
        form = pd.concat([wide, scores], axis=1).melt(["row", *NAMES], var_name="track", value_name=statistic)
        forms.append(form.set_index(["row", *NAMES, "track"]))
    form = pd.concat(forms, axis=1).dropna().reset_index()
    form["order"] = form["track"].map(list(TRACKS).index)
    form = form.sort_values(["row", "order"], ignore_index=True)
    form["description"] = form["track"].map(TRACKS)
    return form[[*NAMES, "track", "description", *statistics]]


def read(path) -> pd.DataFrame:
    return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, sep="\t")


def check(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(found, expected, check_dtype=False, rtol=1e-6)


@pytest.mark.parametrize("ending", [".parquet", ".tsv", ".tsv.gz"])
@pytest.mark.parametrize("sizes", [(store.BATCH_BYTES, long.CHUNK_ROWS), (4 * 3 * 8, 7)])
def test_it_is_what_pandas_makes_of_it(table, tmp_path, monkeypatch, ending, sizes):
    monkeypatch.setattr(store, "BATCH_BYTES", sizes[0])
    monkeypatch.setattr(long, "CHUNK_ROWS", sizes[1])
    expected = melted(table, "SAD")
    assert export_long(table, tmp_path / f"out{ending}") == len(expected) == 42 * 3
    check(read(tmp_path / f"out{ending}"), expected)


def test_several_statistics_are_columns(table, tmp_path):
    export_long(table, tmp_path / "out.parquet", statistics=["SAD", "SAD_quantile"])
    check(read(tmp_path / "out.parquet"), melted(table, "SAD", "SAD_quantile"))


def test_tracks_and_a_least_size(table, tmp_path):
    expected = melted(table, "SAD")
    expected = expected[(expected["track"] != "C3") & (expected["SAD"].abs() >= 1)].reset_index(drop=True)
    assert len(expected) > 5
    assert export_long(table, tmp_path / "out.tsv", tracks=["liver"], minimum=1) == len(expected)
    check(read(tmp_path / "out.tsv"), expected)


def test_nothing_strong_enough_is_a_table_without_rows(table, tmp_path):
    assert export_long(table, tmp_path / "out.parquet", minimum=99) == 0
    assert list(read(tmp_path / "out.parquet")) == [*NAMES, "track", "description", "SAD"]
    assert export_long(table, tmp_path / "out.tsv", minimum=99) == 0
    assert (tmp_path / "out.tsv").read_text() == "\t".join([*NAMES, "track", "description", "SAD"]) + "\n"


def test_types_and_the_run_are_kept(table, tmp_path):
    export_long(table, tmp_path / "out.parquet")
    schema = pq.read_schema(tmp_path / "out.parquet")
    assert [str(schema.field(name).type) for name in ("chrom", "pos", "track", "SAD")] == [
        "string", "int32", "string", "float",
    ]  # fmt: skip
    assert b'"model": "small"' in schema.metadata[b"varscore_run"]
    with pytest.raises(TableError, match="no table of `varscore score`"):
        ScoreTable(tmp_path / "out.parquet")


def test_rows_of_genes_keep_their_genes(tmp_path):
    rows = [("chr1", 7, "rs1", "A", "G", f"ENSG{i}", f"G{i}", "-", 100 + i, 93 + i) for i in range(2)]
    scores = np.array([[1, 2, 3], [4, np.nan, 6]], np.float32)
    table = ScoreTable(write_table(tmp_path / "g.parquet", rows, {"SAD": scores}, fields=GENE_FIELDS))
    export_long(table, tmp_path / "out.tsv", tracks=["A1", "B-2"])
    assert (tmp_path / "out.tsv").read_text().splitlines() == [
        "chrom\tpos\tid\tref\talt\tgene_id\tgene_name\tstrand\ttss\tdistance\ttrack\tdescription\tSAD",
        "chr1\t7\trs1\tA\tG\tENSG0\tG0\t-\t100\t93\tA1\tDNASE:liver\t1.0",
        'chr1\t7\trs1\tA\tG\tENSG0\tG0\t-\t100\t93\tB-2\t"CAGE:""liver"", adult"\t2.0',
        "chr1\t7\trs1\tA\tG\tENSG1\tG1\t-\t101\t94\tA1\tDNASE:liver\t4.0",
    ]


def test_a_folder_of_parts_is_a_table(small_model, tmp_path):
    (tmp_path / "genome.fa").write_text(">z\n" + "ACGTTGCAAC" * 900 + "\n")
    lines = [f"z\t{4001 + 10 * i}\trs{i}\tA\t{alt}\t.\t.\t.\n" for i, alt in enumerate(["G", "<DEL>", "T"])]
    (tmp_path / "in.vcf").write_text(
        "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n" + "".join(lines)
    )
    score_vcf(tmp_path / "in.vcf", tmp_path / "genome.fa", tmp_path / "scores", model=str(small_model), part_size=1)
    assert export_long(ScoreTable(tmp_path / "scores"), tmp_path / "out.parquet") == 2 * 7
    frame = pd.concat(
        [pd.read_parquet(part) for part in sorted((tmp_path / "scores").glob("part*"))], ignore_index=True
    )
    found = read(tmp_path / "out.parquet").pivot(index="pos", columns="track", values="SAD")
    np.testing.assert_array_equal(found, frame.dropna(subset="H000")[list(found)])


def test_what_cannot_be_done_is_said(table, tmp_path):
    with pytest.raises(OutputError, match="ending"):
        export_long(table, tmp_path / "out.csv")
    (tmp_path / "out.tsv").write_text("mine")
    with pytest.raises(OutputError, match="--overwrite"):
        export_long(table, tmp_path / "out.tsv")
    assert (tmp_path / "out.tsv").read_text() == "mine"
    (tmp_path / "f.tsv").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        export_long(table, tmp_path / "f.tsv")
