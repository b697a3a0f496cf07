"""Scores on one scale, against pandas on the whole table."""

import numpy as np
import pandas as pd
import pytest

from tests.made_table import add_gene_columns, made_table
from varscore.analysis.strongest import scores_of_variant, survey_scores
from varscore.errors import TableError
from varscore.genome.variant import parse_variant
from varscore.store.table import ScoreTable

TRACKS = [("D0", "DNASE:liver"), ("D1", "DNASE:K562"), ("C0", "CAGE:liver"), ("H0", "CHIP:CTCF:K562"), ("Z", "flat")]


@pytest.fixture
def table(tmp_path, monkeypatch):
    """200 alleles, 20 skipped, some indels that move more, in batches of 13; the last track never changes."""
    monkeypatch.setattr("varscore.store.table.BATCH_BYTES", 13 * 4 * len(TRACKS))
    rng = np.random.default_rng(5)
    rows = [("chr1", 100 + i, f"rs{i}" if i % 2 else None, "A", "G" if i % 7 != 4 else "AG",
             "scored" if i % 10 else "symbolic") for i in range(200)]  # fmt: skip
    scores = rng.normal(size=(180, 5)) * [1, 10, 0.1, 1000, 0] + [0, 50, 0, 0, 0]
    scores[[row[4] == "AG" for row in rows if row[5] == "scored"]] *= 8
    return ScoreTable(made_table(tmp_path / "scores.parquet", rows, TRACKS, scores))


def frame(table):
    columns = table.select()
    scores = pd.DataFrame(table.scores(columns), columns=[c.name for c in columns]).astype(float)
    return scores, scores / scores.groupby(kinds(table)).transform("std")


def kinds(table):
    return (table.alleles()["alt"].str.len() > 1).to_numpy()


def test_the_scale_is_pandas_standard_deviation(table):
    scores, scaled = frame(table)
    found = survey_scores(table, table.select(), pairs=25)
    assert found.scale.kind == "in SD"
    assert "180 alleles" in found.scale.label
    assert "indels apart" in found.scale.label
    np.testing.assert_allclose(found.scale.sd[:, :4], scores.groupby(kinds(table)).std().iloc[:, :4], rtol=1e-6)
    assert np.isnan(found.scale.sd[:, 4]).all()
    expected = scaled.iloc[:, :4].stack().sort_values(key=abs, ascending=False).head(25)
    assert [(hit.pos - 100, TRACKS[hit.column][0]) for hit in found.pairs] == list(expected.index)
    np.testing.assert_allclose([hit.scaled for hit in found.pairs], expected, rtol=1e-5)
    np.testing.assert_allclose([hit.score for hit in found.pairs], [scores.loc[i] for i in expected.index], rtol=1e-6)


def test_each_track_has_its_strongest_allele(table):
    _, scaled = frame(table)
    found = survey_scores(table, table.select())
    assert [hit.column for hit in found.by_track] == [0, 1, 2, 3]
    for hit in found.by_track:
        assert hit.pos - 100 == scaled.iloc[:, hit.column].abs().idxmax()
    np.testing.assert_allclose(np.sort(found.largest), np.sort(scaled.abs().max(axis=1).dropna()), rtol=1e-5)
    assert found.pairs == []


def test_every_score_is_counted_once(table):
    _, scaled = frame(table)
    found = survey_scores(table, table.select())
    assert {assay: counts.sum() for assay, counts in found.counts.items()} == {
        "DNASE": 360, "CAGE": 180, "CHIP": 180, "flat": 0,
    }  # fmt: skip
    inside = np.clip(scaled["C0"].dropna(), found.edges[0], found.edges[-1])
    np.testing.assert_array_equal(found.counts["CAGE"], np.histogram(inside, found.edges)[0])


def test_what_was_skipped_is_counted_and_named(table):
    found = survey_scores(table, table.select())
    assert found.rows == 200
    assert found.statuses == {"scored": 180, "symbolic": 20}
    assert found.examples == {"symbolic": ["chr1:100 A G", "chr1:110 A G", "chr1:120 A G"]}


def test_one_variant_on_the_scale_of_all(table):
    _, scaled = frame(table)
    by_id = scores_of_variant(table, table.select(), "rs7")
    by_place = scores_of_variant(table, table.select(), parse_variant("1:107:a:g"))
    assert by_id.by_track == by_place.by_track
    np.testing.assert_allclose([hit.scaled for hit in by_id.by_track], scaled.loc[7].dropna(), rtol=1e-5)
    for variant, message in {
        "rs0": "no row for rs0",
        parse_variant("chr1:107:A:T"): "no row for chr1:107:A:T",
        parse_variant("chr1:110:A:G"): "no scores of chr1:110:A:G",
    }.items():
        with pytest.raises(TableError, match=message):
            scores_of_variant(table, table.select(), variant)


def test_an_id_of_two_alleles_is_refused(tmp_path):
    rows = [("chr1", 9, "rs1", "A", alt, "scored") for alt in "CGT"]
    table = ScoreTable(made_table(tmp_path / "t.parquet", rows, TRACKS[:1], np.arange(3.0)[:, None]))
    with pytest.raises(TableError, match="several alleles called rs1: write chr1:9:A:C or chr1:9:A:G"):
        scores_of_variant(table, table.select(), "rs1")


def test_quantiles_of_the_table_are_the_scale(tmp_path):
    rows = [("chr1", 9 + i, None, "A", "C", "scored") for i in range(4)]
    tracks = [("SAD:D0", "DNASE:liver"), ("SAD:D1", "DNASE:K562"), ("SAD_quantile:D0", "DNASE:liver"),
              ("SAD_quantile:D1", "DNASE:K562")]  # fmt: skip
    scores = [[1, 2, 0.1, 0.2], [30, 4, 0.3, 0.4], [5, 6, -0.95, 0.6], [7, 8, 0.7, 0.8]]
    table = ScoreTable(made_table(tmp_path / "t.parquet", rows, tracks, scores))
    found = survey_scores(table, table.select(), pairs=2)
    assert (found.scale.kind, found.scale.label) == ("quantile", "quantile of SAD")
    assert [(hit.score, round(hit.scaled, 3)) for hit in found.pairs] == [(5, -0.95), (8, 0.8)]


def test_two_alleles_give_no_scale(tmp_path):
    rows = [("chr1", 9 + i, None, "A", "C", "scored") for i in range(2)]
    table = ScoreTable(made_table(tmp_path / "t.parquet", rows, TRACKS[:2], [[1, 2], [3, -40]]))
    found = survey_scores(table, table.select(), pairs=9)
    assert found.scale.kind == "as it is"
    assert [hit.scaled for hit in found.pairs] == [-40, 3, 2, 1]


def test_no_scored_allele_is_no_error(tmp_path):
    rows = [("chr1", 9, None, "A", "<DEL>", "symbolic")]
    table = ScoreTable(made_table(tmp_path / "t.parquet", rows, TRACKS, np.zeros((0, 5))))
    found = survey_scores(table, table.select(), pairs=9)
    assert (found.pairs, found.by_track, len(found.largest)) == ([], [], 0)


def test_rows_of_genes_are_named_so(tmp_path):
    rows = [("chr1", 9, "rs1", "A", "C", "scored") for _ in range(4)]
    made_table(tmp_path / "t.parquet", rows, TRACKS[:1], [[1], [2], [3], [4]])
    table = ScoreTable(add_gene_columns(tmp_path / "t.parquet", tmp_path / "genes.parquet", list("ABCD")))
    found = survey_scores(table, table.select(), pairs=1)
    assert [hit.label for hit in found.pairs] == ["rs1 A>C (D)"]
    assert (found.rows, found.statuses) == (4, {})
    assert [hit.gene for hit in scores_of_variant(table, table.select(), "rs1").by_track] == list("ABCD")


def test_batches_are_bounded(table):
    sizes = [len(alleles) for alleles, _ in table.batches(table.select())]
    assert max(sizes) == 13
