"""Correlations against scipy, and what happens to signs."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tests.analysis.eqtl_cases import snvs, write_scores
from varscore.analysis import eqtl_signed
from varscore.analysis.eqtl_signed import correlate, has_genes, read_effects, signed
from varscore.errors import TableError


@pytest.mark.parametrize("batch", [1, 2**22])
def test_numbers_are_scipys(monkeypatch, batch):
    monkeypatch.setattr(eqtl_signed, "BATCH", batch)
    rng = np.random.default_rng(0)
    effects = np.round(rng.normal(size=50), 1)  # with ties and zeros
    scores = np.round(rng.normal(size=(50, 6)) + effects[:, None] * np.linspace(-1, 1, 6), 1).astype(np.float32)
    got = correlate(scores, effects)
    for i, column in enumerate(scores.T.astype(float)):
        spearman, pearson = stats.spearmanr(column, effects), stats.pearsonr(column, effects)
        assert (got["spearman"][i], got["p"][i]) == pytest.approx(tuple(spearman), rel=1e-9)
        assert (got["pearson"][i], got["pearson_p"][i]) == pytest.approx(tuple(pearson), rel=1e-9)
        signs = (column * effects)[column * effects != 0] > 0
        assert got["agree"][i] == signs.mean()
        assert got["agree_p"][i] == pytest.approx(stats.binomtest(int(signs.sum()), len(signs)).pvalue)
    np.testing.assert_allclose(got["q"], stats.false_discovery_control(got["p"]))
    assert (got["n"] == 50).all()


def test_what_has_no_correlation_is_nan():
    constant = correlate(
        np.stack([np.full(5, 0.1, np.float32), np.arange(5.0, dtype=np.float32)], axis=1), np.arange(5.0)
    )
    assert np.isnan(constant["spearman"]).tolist() == [True, False]
    assert (constant["spearman"][1], constant["p"][1], constant["q"][1]) == (
        pytest.approx(1),
        pytest.approx(0),
        pytest.approx(0),
    )
    two = correlate(np.ones((2, 1), np.float32), np.array([1.0, -1.0]))
    assert np.isnan([two["spearman"][0], two["p"][0], two["q"][0], two["pearson_p"][0]]).all()
    assert (two["agree"][0], two["agree_p"][0]) == (0.5, 1)


@pytest.fixture
def effects() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return snvs(40).assign(effect=rng.normal(size=40), tissue=["liver", "blood"] * 20)


def test_exchanging_alleles_and_turning_effects_changes_nothing(tmp_path, effects):
    scores = effects["effect"].to_numpy()[:, None] * [1, -1] + np.random.default_rng(2).normal(size=(40, 2)) / 2
    table = write_scores(tmp_path / "s.parquet", snvs(40), scores)
    plain = signed(table, effects)
    assert list(plain["tissue"]) == ["blood", "blood", "liver", "liver"]
    assert (np.sign(plain["spearman"]) == [1, -1, 1, -1]).all()
    assert plain["spearman"].abs().min() > 0.7
    exchanged = effects.copy()
    some = np.arange(40) % 3 > 0
    exchanged.loc[some, ["ref", "alt"]] = ["G", "A"]
    exchanged.loc[some, "effect"] *= -1
    pd.testing.assert_frame_equal(signed(table, exchanged), plain)
    exchanged.loc[some, "effect"] *= -1
    assert signed(table, exchanged)["spearman"].abs().max() < plain["spearman"].abs().min()


def test_linked_effects_are_warned_of(tmp_path, effects, caplog):
    table = write_scores(tmp_path / "s.parquet", snvs(40), np.random.default_rng(0).normal(size=(40, 1)))
    signed(table, effects.assign(gene_id=[f"g{i}" for i in range(40)]))
    assert not caplog.text
    signed(table, effects.assign(gene_id=[f"g{i // 8}" for i in range(40)]))
    assert "40 effects are of 10 genes and tissues" in caplog.text


def test_genes_are_joined_by_gene(tmp_path):
    """One variant has a score for each of 10 genes; the effects are those scores."""
    genes = [f"ENSG{i:011d}" for i in range(10)]
    alleles = pd.concat([snvs(1)] * 10, ignore_index=True).assign(gene_id=[f"{gene}.3" for gene in genes])
    table = write_scores(tmp_path / "genes.parquet", alleles, np.arange(10.0)[:, None])
    assert has_genes(table)
    (tmp_path / "effects.tsv").write_text(
        "variant_id\tgene_id\tslope\n"
        + "".join(f"1_1_A_G_b38\t{gene}.{i}\t{i / 10}\n" for i, gene in enumerate(genes))
        + "1_1_A_G_b38\tENSG9.9\t-5\n"
    )
    result = signed(table, read_effects(tmp_path / "effects.tsv", genes=True))
    assert (result["n"][0], result["spearman"][0], result["tissue"][0]) == (10, pytest.approx(1), "all")


def test_statistics_and_tracks_are_chosen(tmp_path, effects):
    value = effects["effect"].to_numpy()
    scores = np.stack([value, -value, value**3, -(value**3)], axis=1)
    table = write_scores(tmp_path / "s.parquet", snvs(40), scores, statistics=["SAD", "logSAD"])
    first, second = (signed(table, effects, tracks=["T1"], statistic=name) for name in (None, "logSAD"))
    assert set(first["track"]) == {"T1"}
    assert first["pearson"].max() == pytest.approx(-1)
    assert -1 < second["pearson"].max() < -0.5


def test_tables_of_effects(tmp_path, caplog):
    text = "chrom\tpos\tref\talt\tbeta\ttissue\tgene_id\n"
    text += "1\t1\tA\tG\t0.5\tt\tg1\n1\t1\tA\tG\t0.4\tt\tg2\n1\t1\tA\tG\t9\tt\tg1\n1\t20001\tA\tG\tNA\tt\tg1\n"
    (tmp_path / "e.tsv").write_text(text)
    read = read_effects(tmp_path / "e.tsv")
    assert list(read["effect"]) == [0.5, 0.4]
    assert "1 rows have no effect" in caplog.text
    assert "1 rows repeat a variant" in caplog.text
    (tmp_path / "none.tsv").write_text(text.replace("beta", "magnitude"))
    with pytest.raises(TableError, match=r"no column for effect.*--column effect="):
        read_effects(tmp_path / "none.tsv")
    (tmp_path / "empty.tsv").write_text("variant\tbeta\n1_1_A_G\tNA\n")
    with pytest.raises(TableError, match="no row has an effect"):
        read_effects(tmp_path / "empty.tsv")
    with pytest.raises(TableError, match="no column for gene_id"):
        read_effects(tmp_path / "empty.tsv", genes=True)
    table = write_scores(tmp_path / "s.parquet", snvs(1), np.full((1, 1), np.nan))
    with pytest.raises(TableError, match="no effect is of a variant that is scored"):
        signed(table, read)


def test_a_statistic_without_a_sign_is_refused(tmp_path, effects):
    table = write_scores(tmp_path / "s.parquet", snvs(40), np.ones((40, 2)), statistics=("SAD", "JS"))
    with pytest.raises(TableError, match="JS has no sign"):
        signed(table, effects, statistic="JS")
