"""Correlations against hand-made cases and scipy; what a cross-validation must not find."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import scipy.stats

from varscore.analysis.mpra.correlate import (
    Folds,
    best_track_cv,
    correlate,
    correlations,
    lasso_cv,
    pearson,
    standardised,
)
from varscore.analysis.mpra.join import Joined, join_scores
from varscore.analysis.mpra.results import by_track, predictions, read_matched, summary, wide
from varscore.errors import OptionError, TableError, TrackError
from varscore.network.tracks import Track
from varscore.store.scores import ROW_FIELDS, TableWriter, score_schema
from varscore.store.table import ScoreColumn, ScoreTable


def write_scores(path: Path, alleles: list[tuple], scores: dict[str, list[float]], model: str = "small") -> ScoreTable:
    """A score table of (chrom, pos, ref, alt) with these columns; NaN: not scored."""
    schema = score_schema([(name, f"CAGE:{name}") for name in scores])
    values = list(scores.values())
    status = [
        "unknown_contig" if all(np.isnan(column[i]) for column in values) else "scored" for i in range(len(alleles))
    ]
    rows = [[a[0] for a in alleles], [a[1] for a in alleles], [None] * len(alleles), [a[2] for a in alleles],
            [a[3] for a in alleles], status, [0] * len(alleles), [0] * len(alleles)]  # fmt: skip
    columns = [pa.array(row, field.type) for row, field in zip(rows, ROW_FIELDS, strict=True)]
    columns += [pa.array(column, pa.float32(), from_pandas=True) for column in values]
    with TableWriter(str(path), schema, {"model": model, "statistics": ["SAD"]}) as writer:
        writer.write(pa.Table.from_arrays(columns, schema=schema))
    return ScoreTable(path)


def measured(*alleles: str, element: str = "e") -> pd.DataFrame:
    """Rows of `1 10 A C 0.5`."""
    split = [allele.split() for allele in alleles]
    return pd.DataFrame(
        {"element": element, "chrom": [c for c, *_ in split], "pos": [int(row[1]) for row in split],
         "ref": [row[2] for row in split], "alt": [row[3] for row in split], "effect": [float(row[4]) for row in split]}
    )  # fmt: skip


def joined(effects: np.ndarray, scores: np.ndarray, positions: np.ndarray, element: str = "e") -> Joined:
    rows = pd.DataFrame({"element": element, "chrom": "1", "pos": positions, "ref": "A", "alt": "C", "effect": effects})
    columns = [ScoreColumn(f"T{i}", "SAD", Track(i, f"T{i}", f"DNASE:cell {i}")) for i in range(scores.shape[1])]
    return Joined(rows, columns, np.arange(len(rows)), scores.astype(np.float32), 0, 0)


def test_a_case_by_hand():
    """Deviations of 1 … 5: -2 -1 0 1 2; of 2 1 4 3 5: -1 -2 1 0 2. Products 2 + 2 + 0 + 0 + 4 = 8 of 10."""
    effects = np.array([1.0, 2, 3, 4, 5])
    scores = np.array([[2, 1, 4, 3, 5], [1, 4, 9, 16, 25], [5, 4, 3, 2, 1], [7, 7, 7, 7, 7]], float).T
    linear, ranked = correlations(effects, scores)
    # of the squares: 60 / sqrt(10 · 374)
    np.testing.assert_allclose(linear, [0.8, 60 / math.sqrt(3740), -1, np.nan])
    np.testing.assert_allclose(ranked, [0.8, 1, -1, np.nan])


def test_many_columns_are_scipys_one_by_one():
    generator = np.random.default_rng(0)
    effects = generator.normal(size=50).round(1)  # with ties
    scores = generator.normal(size=(50, 40)).round(1) * 1e-6 + 3
    linear, ranked = correlations(effects, scores)
    np.testing.assert_allclose(linear, [scipy.stats.pearsonr(effects, column)[0] for column in scores.T], rtol=1e-6)
    np.testing.assert_allclose(ranked, [scipy.stats.spearmanr(effects, column)[0] for column in scores.T])


def test_what_has_no_correlation_has_none():
    assert np.isnan(pearson(np.array([1.0, 2]), np.array([[1.0], [2]]))).all()
    assert np.isnan(pearson(np.ones(5), np.random.default_rng(0).normal(size=(5, 2)))).all()
    assert (standardised(np.full((4, 1), 0.1)) == 0).all()


def test_alleles_are_found_whatever_their_names_and_anchors(tmp_path):
    """Scores say which row they are."""
    scored = [
        ("chr1", 10, "A", "C"), ("chr1", 10, "A", "G"), ("chr1", 9, "TA", "T"), ("chr1", 11, "GC", "C"),
        ("chr1", 20, "AA", "A"), ("chr1", 10, "A", "C"), ("chr2", 10, "A", "C"), ("chr1", 30, "A", "AT"),
    ]  # fmt: skip
    table = write_scores(tmp_path / "s.parquet", scored, {"T": [0, 1, 2, 3, 4, 5, 6, math.nan]})
    rows = measured(
        "1 10 A G 0", "1 10 A C 0", "2 10 A C 0", "1 10 A - 0", "1 11 G - 0", "1 21 A - 0", "1 20 A - 0",
        "1 10 A T 0", "1 30 A AT 0",
    )  # fmt: skip
    found = join_scores(rows, table, table.select())
    assert found.scores[found.allele, 0].tolist() == [1, 0, 6, 2, 3, 4, 4]
    assert len(found.rows) == 7
    assert (found.unknown, found.unscored) == (1, 1)


def test_nothing_found_is_an_error_that_shows_both(tmp_path):
    table = write_scores(tmp_path / "s.parquet", [("chr1", 10, "A", "C"), ("chr1", 11, "A", "C")], {"T": [1, math.nan]})
    with pytest.raises(
        TableError, match=r"none of 1 measured .* as 1:99 A>C, the scored ones such as chr1:10 A>C; .* same"
    ):
        join_scores(measured("1 99 A C 0"), table, table.select())
    with pytest.raises(TableError, match="no scores for them: 1 unknown_contig"):
        join_scores(measured("1 11 A C 0"), table, table.select())


def test_a_table_of_genes_is_refused(tmp_path):
    schema = pa.schema([pa.field("chrom", pa.string()), pa.field("gene_id", pa.string()),
                        pa.field("T", pa.float32(), metadata={"description": "CAGE:T"})])  # fmt: skip
    with TableWriter(str(tmp_path / "genes.parquet"), schema, {"statistics": ["SAD"]}) as writer:
        writer.write(
            pa.table({"chrom": ["1"], "gene_id": ["ENSG1"], "T": pa.array([1.0], pa.float32())}, schema=schema)
        )
    table = ScoreTable(tmp_path / "genes.parquet")
    with pytest.raises(TableError, match="no row per allele, but chrom, gene_id"):
        join_scores(measured("1 11 A C 0"), table, table.select())


def test_folds_keep_neighbours_together():
    folds = Folds(3, block=4)
    positions = np.array([100, 100, 103, 104, 107, 108, 112, 119])
    blocks = folds.blocks(positions)
    assert blocks.tolist() == [0, 0, 0, 1, 1, 2, 3, 4]
    assert folds.of(blocks).tolist() == [0, 0, 0, 1, 1, 2, 0, 1]
    assert folds.of(blocks[3:]).tolist() == [0, 0, 1, 2, 0]  # of the blocks that are there
    for wrong in ({"count": 1}, {"block": 0}):
        with pytest.raises(OptionError):
            Folds(**wrong)


def test_the_lasso_finds_what_is_there():
    """Two of 60 tracks make the effects; one of them is lost without the other."""
    generator = np.random.default_rng(1)
    scores = generator.normal(size=(300, 60)) * 10.0 ** generator.integers(-6, 3, 60)
    positions = np.arange(300) // 3 + 1000
    effects = standardised(scores)[:, 7] - standardised(scores)[:, 30] + generator.normal(size=300) * 0.2
    folds = Folds()
    found = lasso_cv(effects, scores, folds.blocks(positions), folds)
    assert found.pearson > 0.97
    assert 2 <= found.tracks < 20
    assert found.pearson == pytest.approx(scipy.stats.pearsonr(effects, found.prediction)[0])
    assert np.polyfit(found.prediction, effects, 1)[0] == pytest.approx(1, abs=0.1)  # in the effects' units
    opposite = lasso_cv(-effects, scores, folds.blocks(positions), folds)
    np.testing.assert_allclose(opposite.prediction, -found.prediction, atol=1e-9)
    best = best_track_cv(effects, scores, folds.blocks(positions), folds)
    assert 0.5 < best.pearson < 0.8  # one track of two: about sqrt(1/2)


def test_the_lasso_starts_from_the_tracks_that_agree_best(monkeypatch):
    """Chosen on the other folds alone: on noise, choosing helps nothing; and what is there is still found."""
    monkeypatch.setattr("varscore.analysis.mpra.correlate.SCREENED", 10)
    generator = np.random.default_rng(6)
    scores, folds = generator.normal(size=(240, 500)), Folds()
    blocks = folds.blocks(np.arange(240))
    noise = generator.normal(size=240)
    assert not abs(lasso_cv(noise, scores, blocks, folds).pearson) > 0.15
    found = lasso_cv(scores[:, 400] + 0.1 * noise, scores, blocks, folds)
    assert found.pearson > 0.98
    assert found.tracks <= 10


def test_chance_is_seen_through():
    """No track has to do with the effects; the best of 400 looks as if it had."""
    generator = np.random.default_rng(2)
    effects, scores = generator.normal(size=240), generator.normal(size=(240, 400))
    [result] = correlate(joined(effects, scores, np.arange(240)))
    assert abs(result.methods["best_track"].pearson) > 0.15
    assert abs(result.methods["best_track_cv"].pearson) < 0.13
    assert not abs(result.methods["lasso_cv"].pearson) > 0.13
    assert list(result.methods) == ["lasso_cv", "best_track_cv", "best_track"]


def test_alleles_of_a_position_do_not_tell_of_each_other():
    """Effects and scores are noise, but the same for a position's alleles: folds that split them would find it."""
    generator = np.random.default_rng(3)
    positions = np.repeat(np.arange(100), 3)
    effects = np.repeat(generator.normal(size=100), 3) + 0.05 * generator.normal(size=300)
    scores = np.repeat(generator.normal(size=(100, 300)), 3, axis=0) + 0.01 * generator.normal(size=(300, 300))
    folds = Folds()
    honest = lasso_cv(effects, scores, folds.blocks(positions), folds)
    assert not abs(honest.pearson) > 0.25
    split = lasso_cv(effects, scores, np.arange(300), folds)
    assert split.pearson > 0.8


def test_a_constant_prediction_has_no_correlation():
    """With the intercept, which is low where what was left out is high, it would have a negative one."""
    positions = np.arange(160)
    effects = (positions // 16 % 5).astype(float) + np.random.default_rng(4).normal(size=160) * 0.01
    folds = Folds()
    found = lasso_cv(effects, np.ones((160, 3)), folds.blocks(positions), folds)
    assert np.isnan(found.pearson)
    assert found.tracks == 0
    assert np.isnan(best_track_cv(effects, np.ones((160, 3)), folds.blocks(positions), folds).pearson)


def test_chosen_tracks_are_averaged_on_one_scale():
    effects = np.array([1.0, 2, 3, 4, 5])
    scores = np.array([[1, 2, 3, 4, 5], [5000, 1000, 4000, 2000, 3000]]).T
    [result] = correlate(joined(effects, scores, np.arange(5)), matched={"e": [0, 1]})
    both = (standardised(scores[:, :1]) + standardised(scores[:, 1:]))[:, 0]
    assert result.methods["matched"].pearson == pytest.approx(scipy.stats.pearsonr(effects, both)[0])
    assert "lasso_cv" not in result.methods  # 5 alleles
    assert result.methods["best_track"].pearson == pytest.approx(1)
    opposite = [
        r.methods["matched"].pearson for r in correlate(joined(-effects, scores, np.arange(5)), matched={"e": [0, 1]})
    ]
    assert opposite == pytest.approx([-result.methods["matched"].pearson])


@pytest.fixture
def two_elements() -> Joined:
    generator = np.random.default_rng(5)
    effects, scores = generator.normal(size=200), generator.normal(size=(200, 4))
    scores[:, 1] = effects * 2
    scores[100:, 3] = -effects[100:]
    both = joined(effects, scores, np.arange(200))
    both.rows["element"] = ["a"] * 100 + ["b"] * 100
    return both


def test_results_as_tables(two_elements):
    results = list(correlate(two_elements, matched={"b": [3]}, lasso=False, folds=Folds(3)))
    table = summary(results, two_elements.columns)
    assert list(zip(table["element"], table["method"], strict=True)) == [
        ("a", "best_track_cv"), ("a", "best_track"), ("b", "matched"), ("b", "best_track_cv"), ("b", "best_track"),
    ]  # fmt: skip
    assert table["pearson"].tolist() == pytest.approx([1, 1, -1, 1, 1], abs=1e-6)
    assert table["track"].dropna().to_dict() == {1: "T1", 4: "T1"}
    every = by_track(results, two_elements.columns)
    assert len(every) == 8
    alone = every[(every["element"] == "a") & (every["track"] == "T2")].iloc[0]
    rows = two_elements.rows[:100]
    assert alone["spearman"] == pytest.approx(scipy.stats.spearmanr(rows["effect"], two_elements.scores[:100, 2])[0])
    found = predictions(results)
    assert len(found) == 200
    assert found["matched"].isna().sum() == 100
    np.testing.assert_allclose(found["best_track"], two_elements.rows["effect"] * 2, rtol=1e-6)
    for_people = wide(table)
    assert list(for_people) == ["element", "alleles", "matched", "best_track_cv", "best_track", "track"]
    assert list(for_people["track"]) == ["DNASE:cell 1", "DNASE:cell 1"]


def test_tracks_chosen_beforehand_are_read(two_elements, tmp_path):
    file = tmp_path / "matched.tsv"
    file.write_text("# mine\na\tcell [12]\na\t0\n\nother\tno such\n")
    assert read_matched(file, two_elements.columns, ["a", "b"]) == {"a": [0, 1, 2]}
    for text, error, message in (
        ("a\tkidney\n", TrackError, "line 1: no track matches 'kidney'"),
        ("a cell\n", TableError, "line 1: expected an element, a tab and a track"),
        ("other\t0\n", TableError, "tracks for none of the elements a, b"),
    ):
        file.write_text(text)
        with pytest.raises(error, match=message):
            read_matched(file, two_elements.columns, ["a", "b"])
    with pytest.raises(TableError, match="No such file"):
        read_matched(tmp_path / "none", two_elements.columns, ["a"])
