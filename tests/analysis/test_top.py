"""What stands out, against pandas, which sees all of a table at once."""

import numpy as np
import pandas as pd
import pytest

from tests.analysis.tables import GENE_FIELDS, TRACKS, allele, write_table
from varscore.analysis.top import strongest
from varscore.errors import OptionError, TableError
from varscore.genome.regions import Region
from varscore.store import table as store
from varscore.store.table import ScoreTable

ALLELES = 4_000


@pytest.fixture(scope="module")
def values() -> np.ndarray:
    """Tracks of very different units; every tenth allele has no scores, and one more has none in one track."""
    drawn = np.random.default_rng(0).standard_t(4, (ALLELES, 3)) * [1e-3, 1, 500] + [0, 3, 0]
    drawn[::10] = np.nan
    drawn[5, 1] = np.nan
    return drawn.astype(np.float32)


@pytest.fixture(scope="module")
def rows() -> list[tuple[object, ...]]:
    alts = ["G", "GA", "T", "C"]
    return [
        allele("chr1" if i < 3000 else "chr2", i + 1, None if i % 7 else f"rs{i}", "A", alts[i % 4],
               "scored" if i % 10 else "symbolic")
        for i in range(ALLELES)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def table(tmp_path_factory, rows, values) -> ScoreTable:
    return ScoreTable(write_table(tmp_path_factory.mktemp("top") / "t.parquet", rows, {"SAD": values}))


def brute_force(rows, values, by: str, scale: str) -> pd.DataFrame:
    frame = pd.DataFrame(values.astype(np.float64), columns=list(TRACKS))
    indel = pd.Series([len(row[3]) != len(row[4]) for row in rows])
    scaled = frame / frame.groupby(indel).transform("std") if scale == "sd" else frame
    pairs = pd.DataFrame({"score": frame.stack(), "scaled": scaled.stack()})
    pairs = pairs.loc[pairs["scaled"].abs().sort_values(ascending=False, kind="stable").index].rename_axis(
        ["row", "track"]
    )
    pairs = pairs.reset_index()
    return pairs.drop_duplicates("row") if by == "allele" else pairs


@pytest.mark.parametrize("by", ["allele", "pair"])
@pytest.mark.parametrize("scale", ["sd", "none"])
@pytest.mark.parametrize("batch_bytes", [store.BATCH_BYTES, 12 * 37])
def test_it_is_what_sorting_everything_gives(table, rows, values, monkeypatch, by, scale, batch_bytes):
    monkeypatch.setattr(store, "BATCH_BYTES", batch_bytes)
    found = strongest(table, 50, by=by, scale=scale).rows
    expected = brute_force(rows, values, by, scale).head(50)
    assert list(found["track"]) == list(expected["track"])
    assert list(found["pos"]) == [rows[i][1] for i in expected["row"]]
    assert list(found["description"]) == [TRACKS[track] for track in expected["track"]]
    np.testing.assert_allclose(found["score"], expected["score"], rtol=1e-6)
    if scale == "sd":
        np.testing.assert_allclose(found["scaled"], expected["scaled"], rtol=1e-5)
        assert found["track"].nunique() == 3  # though their units differ a thousandfold
    else:
        assert "scaled" not in found
        assert set(found["track"]) == {"C3"}


def test_columns_name_the_allele_and_nothing_else(table):
    found = strongest(table, 3).rows
    assert list(found) == ["chrom", "pos", "id", "ref", "alt", "track", "description", "score", "scaled"]


def test_a_region_lists_fewer_against_the_same_background(table):
    all_of_them = strongest(table, ALLELES).rows
    region = Region("2", 3_100, 3_200)  # chr2 by another name
    found = strongest(table, 20, regions=[region]).rows
    inside = all_of_them[(all_of_them["chrom"] == "chr2") & all_of_them["pos"].between(3_101, 3_200)]
    pd.testing.assert_frame_equal(found, inside.head(20).reset_index(drop=True))
    empty = strongest(table, 20, regions=[Region("chr3")]).rows
    assert (len(empty), list(empty)) == (0, list(found))


def test_more_than_there_is_gives_what_there_is(table, values):
    assert len(strongest(table, 10**6).rows) == (~np.isnan(values).all(axis=1)).sum()
    assert len(strongest(table, 10**6, by="pair").rows) == (~np.isnan(values)).sum()


def test_of_equals_the_first_counts(tmp_path):
    rows = [allele("chr1", i, None, "A", "G") for i in range(1, 9)]
    scores = np.tile(np.array([[1, -1, 1]], np.float32), (8, 1))
    found = strongest(
        ScoreTable(write_table(tmp_path / "t.parquet", rows, {"SAD": scores})), 4, by="pair", scale="none"
    )
    assert list(zip(found.rows["pos"], found.rows["track"], strict=True)) == [
        (1, "A1"),
        (1, "B-2"),
        (1, "C3"),
        (2, "A1"),
    ]


def test_exchanging_ref_and_alt_changes_the_signs_alone(tmp_path, rows, values):
    there = strongest(ScoreTable(write_table(tmp_path / "a.parquet", rows, {"SAD": values})), 30).rows
    swapped = [(*row[:3], row[4], row[3], *row[5:]) for row in rows]
    back = strongest(ScoreTable(write_table(tmp_path / "b.parquet", swapped, {"SAD": -values})), 30).rows
    pd.testing.assert_frame_equal(there[["pos", "track"]], back[["pos", "track"]])
    np.testing.assert_allclose(there["scaled"], -back["scaled"], rtol=1e-5)


def test_quantiles_are_the_scale_where_the_table_has_them(tmp_path):
    rows = [allele("chr1", i, None, "A", "G") for i in (1, 2)]
    scores = {
        "SAD": np.array([[5, 1, 0], [4, 2, np.nan]]),
        "SAD_quantile": np.array([[0.1, 0.2, 0], [-0.99, 0.5, np.nan]]),
    }
    table = ScoreTable(write_table(tmp_path / "t.parquet", rows, scores))
    found = strongest(table, 2)
    assert (found.statistic, found.scale) == ("SAD", "quantile")
    assert found.rows[["pos", "track", "score"]].values.tolist() == [[2, "A1", 4], [1, "B-2", 1]]
    np.testing.assert_allclose(found.rows["scaled"], [-0.99, 0.2], rtol=1e-6)
    assert strongest(table, 1, scale="none").rows["score"].tolist() == [5]
    assert strongest(table, 1, tracks=["C3"]).rows["pos"].tolist() == [1]


def test_the_only_indel_is_measured_by_the_others(tmp_path):
    rows = [allele("chr1", 1, None, "A", "G"), allele("chr1", 2, None, "A", "C"), allele("chr1", 3, None, "A", "AT")]
    scores = np.array([[1, 2, 3], [3, 2, 1], [900, 900, 900]], np.float32)
    found = strongest(ScoreTable(write_table(tmp_path / "t.parquet", rows, {"SAD": scores})), 5)
    # the second track does not vary among the others
    assert found.rows["pos"].tolist() == [3, 1, 2]
    np.testing.assert_allclose(found.rows["scaled"], [900 / 2**0.5, 3 / 2**0.5, 3 / 2**0.5], rtol=1e-6)
    assert found.unscaled == 0
    assert set(found.rows["track"]) == {"C3", "A1"}


def test_alleles_that_cannot_be_compared_are_counted(tmp_path):
    rows = [allele("chr1", 1, None, "A", "G"), allele("chr1", 2, None, "A", "C"), allele("chr1", 3, None, "A", "AT")]
    scores = np.array([[1, 1, 1], [1, 1, 1], [900, 900, 900]], np.float32)
    found = strongest(ScoreTable(write_table(tmp_path / "t.parquet", rows, {"SAD": scores})), 5)
    assert (len(found.rows), found.unscaled) == (0, 3)


def test_a_track_that_is_constant_is_not_blown_up_by_rounding(tmp_path):
    rows = [allele("chr1", i + 1, None, "A", "G") for i in range(300)]
    scores = np.full((300, 3), 0.1, np.float32)
    scores[:, 1] = np.random.default_rng(0).normal(size=300)
    found = strongest(ScoreTable(write_table(tmp_path / "t.parquet", rows, {"SAD": scores})), 300)
    assert set(found.rows["track"]) == {"B-2"}


def test_rows_of_genes_are_kept_apart(tmp_path):
    rows = [("chr1", 7, "rs1", "A", "G", f"ENSG{i}", f"G{i}", "+", 100, 7 - 100) for i in range(3)]
    scores = np.array([[1, 0, 0], [0, 2, 0], [0, 0, 3]], np.float32)
    table = ScoreTable(write_table(tmp_path / "g.parquet", rows, {"SAD": scores}, fields=GENE_FIELDS))
    found = strongest(table, 3, scale="none").rows
    assert found["gene_name"].tolist() == ["G2", "G1", "G0"]
    assert list(found)[:10] == [field.name for field in GENE_FIELDS]


def test_what_cannot_be_asked_is_said(table):
    with pytest.raises(OptionError, match="at least 1"):
        strongest(table, 0)
    with pytest.raises(TableError, match="no SAD_quantile, only SAD"):
        strongest(table, scale="quantile")
    with pytest.raises(TableError, match="no D1"):
        strongest(table, statistic="D1")
