"""Reading score tables back: files, folders, what is missing and what is not ours."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

from varscore import score_vcf
from varscore.errors import TableError, TrackError
from varscore.store.table import ScoreTable

HEADER = "##fileformat=VCFv4.2\n##contig=<ID=z>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"


@pytest.fixture(scope="module")
def scored(tmp_path_factory, small_model):
    """A folder of parts and a file with the same five alleles, one of them symbolic."""
    folder = tmp_path_factory.mktemp("scored")
    (folder / "genome.fa").write_text(">z\n" + "ACGTTGCAAC" * 900 + "\n")
    rows = [f"z\t{4001 + 10 * i}\trs{i}\tA\t{alt}\t.\t.\t." for i, alt in enumerate(["G", "C", "<DEL>", "T", "AG"])]
    (folder / "in.vcf").write_text(HEADER + "\n".join(rows) + "\n")
    for name in ("scores", "scores.parquet"):
        score_vcf(folder / "in.vcf", folder / "genome.fa", folder / name, model=str(small_model), part_size=2)
    return folder


@pytest.mark.parametrize("name", ["scores", "scores.parquet"])
def test_a_file_and_a_folder_read_alike(scored, name):
    table = ScoreTable(scored / name)
    frame = pd.read_parquet(scored / "scores.parquet")
    assert len(table) == 5
    assert (table.statistics, table.run["model"]) == (["SAD"], "small")
    assert [(track.index, track.identifier) for track in table.tracks] == [(i, f"H{i:03d}") for i in range(7)]
    assert table.tracks[1].description == "CAGE:liver, adult 1"
    pd.testing.assert_frame_equal(table.alleles(), frame.iloc[:, :8])
    columns = table.select(["CAGE", "0"])
    assert [column.name for column in columns] == ["H000", "H001", "H005"]
    np.testing.assert_array_equal(table.scores(columns), frame[["H000", "H001", "H005"]].to_numpy())
    assert np.isnan(table.scores(columns)[2]).all()
    read = list(table.batches(columns))
    pd.testing.assert_frame_equal(pd.concat([alleles for alleles, _ in read], ignore_index=True), table.alleles())
    np.testing.assert_array_equal(np.concatenate([scores for _, scores in read]), table.scores(columns))


def test_what_cannot_be_read_is_said(scored, tmp_path):
    (tmp_path / "text.parquet").write_text("text")
    pa.parquet.write_table(pa.table({"chrom": ["z"]}), tmp_path / "other.parquet")
    (tmp_path / "other").mkdir()
    pa.parquet.write_table(pa.table({"chrom": ["z"]}), tmp_path / "other/x.parquet")
    for name, message in {
        "none.parquet": "no such file",
        "text.parquet": "cannot be read as Parquet",
        "other.parquet": "no table of `varscore score`",
        "other": "not a folder that `varscore score` filled",
    }.items():
        with pytest.raises(TableError, match=message):
            ScoreTable(tmp_path / name)
    table = ScoreTable(scored / "scores")
    with pytest.raises(TableError, match="has no D1: it has SAD"):
        table.select(statistic="D1")
    with pytest.raises(TrackError, match="no track matches 'kidney'"):
        table.select(["kidney"])


def test_an_unfinished_run_is_refused(scored):
    part = scored / "scores" / "part-00001.parquet"
    kept = part.read_bytes()
    part.unlink()
    with pytest.raises(TableError, match="2 of 3 parts"):
        ScoreTable(scored / "scores")
    part.write_bytes(kept)
    assert len(ScoreTable(scored / "scores")) == 5


def test_an_empty_folder_is_not_one_of_ours(tmp_path):
    with pytest.raises(TableError, match="it is not a folder that `varscore score` filled"):
        ScoreTable(tmp_path)


def test_damage_behind_a_whole_footer_is_said_in_one_line(scored, tmp_path):
    """As of a disk or a transfer: the schema reads, and the rows do not."""
    content = bytearray((scored / "scores.parquet").read_bytes())
    length = int.from_bytes(content[-8:-4], "little")
    content[4 : len(content) - 8 - length] = bytes(len(content) - 12 - length)
    (tmp_path / "s.parquet").write_bytes(content)
    table = ScoreTable(tmp_path / "s.parquet")
    columns = table.select()
    for read in (table.alleles, lambda: table.scores(columns), lambda: list(table.batches(columns))):
        with pytest.raises(TableError, match=r"s\.parquet cannot be read, it is damaged") as caught:
            read()
        assert "\n" not in str(caught.value)
