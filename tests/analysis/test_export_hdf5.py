"""basenji's layout: its arrays and types, and that the lines with which basenji's scripts read it give our scores."""

import numpy as np
import pytest

from tests.analysis.tables import GENE_FIELDS, TRACKS, allele, write_table
from varscore.analysis.export.hdf5 import PERCENTILES, export_hdf5
from varscore.errors import ExtraError, OutputError, TableError
from varscore.store import table as store
from varscore.store.table import ScoreTable

h5py = pytest.importorskip("h5py")
ALLELES = 500


@pytest.fixture(scope="module")
def rows() -> list[tuple[object, ...]]:
    return [
        allele("chr1" if i < 300 else "chr10", 3 * i + 1, None if i % 5 else f"rs{i}", "A" * (1 + i % 3), "G",
               "scored" if i % 50 else "symbolic")
        for i in range(ALLELES)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def scores(rows) -> np.ndarray:
    drawn = np.random.default_rng(0).normal(0, [0.01, 1, 300], (ALLELES, 3)).astype(np.float32)
    drawn[[row[5] != "scored" for row in rows]] = np.nan
    drawn[7, 2], drawn[8, 2] = 1e6, -1e6
    return drawn


@pytest.fixture(scope="module")
def table(tmp_path_factory, rows, scores) -> ScoreTable:
    path = tmp_path_factory.mktemp("hdf5") / "t.parquet"
    return ScoreTable(write_table(path, rows, {"SAD": scores, "SAR": scores / 8}))


def test_arrays_and_types_are_those_of_the_layout(table, rows, scores, tmp_path, monkeypatch):
    """As the README of Enformer lists them for its published scores, strings as basenji_sad.py makes them."""
    monkeypatch.setattr(store, "BATCH_BYTES", 4 * 6 * 33)  # many batches
    assert export_hdf5(table, tmp_path / "sad.h5") == ALLELES - 10
    kept = [row for row in rows if row[5] == "scored"]
    n, t = len(kept), len(TRACKS)
    with h5py.File(tmp_path / "sad.h5") as file:
        found = {
            name: (array.shape, array.dtype.kind if array.dtype.kind == "S" else array.dtype.name)
            for name, array in file.items()
        }
        assert found == {
            "snp": ((n,), "S"), "chr": ((n,), "S"), "pos": ((n,), "uint32"), "ref": ((n,), "S"), "alt": ((n,), "S"),
            "ref_allele": ((n,), "S"), "alt_allele": ((n,), "S"),
            "target_ids": ((t,), "S"), "target_labels": ((t,), "S"),
            "SAD": ((n, t), "float16"), "SAR": ((n, t), "float16"), "percentiles": ((279,), "float64"),
            "SAD_pct": ((t, 279), "float16"), "SAR_pct": ((t, 279), "float16"),
        }  # fmt: skip
        assert file["SAD"].chunks is None  # rows and tracks are read alike, as from basenji's
        for name, column in {"chr": 0, "ref": 3, "alt": 4, "ref_allele": 3, "alt_allele": 4}.items():
            assert [text.decode() for text in file[name]] == [row[column] for row in kept]
        assert [text.decode() for text in file["snp"]] == [row[2] or "." for row in kept]
        assert file["pos"][:].tolist() == [row[1] for row in kept]
        assert [text.decode() for text in file["target_ids"]] == list(TRACKS)
        assert [text.decode() for text in file["target_labels"]] == list(TRACKS.values())
        there = scores[[row[5] == "scored" for row in rows]]
        # 11 bits; what does not fit is the largest number, as in basenji's later scripts, and not infinity
        np.testing.assert_allclose(file["SAD"][:], np.clip(there, -65504, 65504), rtol=2**-11)
        np.testing.assert_allclose(file["SAR"][:], np.clip(there / 8, -65504, 65504), rtol=2**-11, atol=1e-7)


def test_percentiles_are_basenjis(table, tmp_path, monkeypatch):
    monkeypatch.setattr(store, "BATCH_BYTES", 8 * ALLELES)  # a column at a time
    export_hdf5(table, tmp_path / "sad.h5")
    with h5py.File(tmp_path / "sad.h5") as file:
        sad = file["SAD"][:].astype(np.float64)
        percentiles = file["percentiles"][:]
        np.testing.assert_allclose(percentiles[[0, 98, 99, 178, 179, 278]], [0.001, 0.099, 0.1, 0.89, 0.9, 0.999])
        np.testing.assert_array_equal(percentiles, PERCENTILES)
        np.testing.assert_array_equal(
            file["SAD_pct"][:], np.percentile(sad, 100 * percentiles, axis=0).T.astype(np.float16)
        )


def test_basenjis_quantiles_of_scores(table, tmp_path):
    """What basenji_sad_table.py and sad5.py do with percentiles and SAD_pct: a score's rank within its track."""
    from scipy.stats import rankdata

    export_hdf5(table, tmp_path / "sad.h5", statistics=["SAD"])
    with h5py.File(tmp_path / "sad.h5") as file:
        sad = file["SAD"][:]
        percentiles = np.append(np.around(file["percentiles"], 3), np.around(file["percentiles"][-1], 3))
        target_pct = file["SAD_pct"][:]
        quantiles = np.array([percentiles[np.searchsorted(target_pct[t], sad[:, t])] for t in range(sad.shape[1])]).T
    ranks = (rankdata(sad, axis=0, method="average") - 1) / (len(sad) - 1)
    assert np.abs(quantiles - ranks).max() < 0.012


def test_basenjis_indels_and_features(table, rows, tmp_path):
    """What basenji_bench_classify.py reads: lengths of alleles, and scores in float64 without a gap."""
    export_hdf5(table, tmp_path / "sad.h5", tracks=["A1", "C3"])
    with h5py.File(tmp_path / "sad.h5") as file:
        sizes = [
            len(r.decode("UTF-8")) - len(a.decode("UTF-8"))
            for r, a in zip(file["ref_allele"], file["alt_allele"], strict=True)
        ]
        features = np.array(file["SAD"], dtype="float64")
    assert sizes == [len(row[3]) - 1 for row in rows if row[5] == "scored"]
    assert features.shape == (ALLELES - 10, 2)
    assert np.isfinite(features).all()


def test_float32_keeps_the_digits(table, rows, scores, tmp_path):
    export_hdf5(table, tmp_path / "sad.h5", single=True)
    with h5py.File(tmp_path / "sad.h5") as file:
        assert file["SAD"].dtype == file["SAD_pct"].dtype == np.float32
        np.testing.assert_array_equal(file["SAD"][:], scores[[row[5] == "scored" for row in rows]])


def test_text_that_is_not_ascii_is_utf8(tmp_path):
    row = allele("chr1", 5, "rsµ", "A", "G")
    table = ScoreTable(write_table(tmp_path / "t.parquet", [row], {"SAD": np.ones((1, 1))}, tracks={"T": "Zelle ß"}))
    export_hdf5(table, tmp_path / "sad.h5")
    with h5py.File(tmp_path / "sad.h5") as file:
        assert file["snp"][0].decode() == "rsµ"
        assert file["target_labels"][0].decode() == "Zelle ß"


def test_what_cannot_be_done_is_said(table, tmp_path, monkeypatch):
    rows = [("1", 5, None, "A", "G", "E1", "G1", "+", 7, -2)]
    genes = ScoreTable(write_table(tmp_path / "g.parquet", rows, {"SAD": np.ones((1, 3))}, fields=GENE_FIELDS))
    with pytest.raises(TableError, match="allele and gene"):
        export_hdf5(genes, tmp_path / "g.h5")
    none = [allele("1", 5, None, "A", "<DEL>", "symbolic")]
    empty = ScoreTable(write_table(tmp_path / "e.parquet", none, {"SAD": np.full((1, 3), np.nan)}))
    with pytest.raises(TableError, match="no allele has scores"):
        export_hdf5(empty, tmp_path / "e.h5")
    with pytest.raises(TableError, match="no D1"):
        export_hdf5(table, tmp_path / "e.h5", statistics=["D1"])
    with pytest.raises(OutputError, match="ending"):
        export_hdf5(table, tmp_path / "sad.hdf")
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(ExtraError, match=r"varscore\[analysis\]"):
        export_hdf5(table, tmp_path / "e.h5")
    assert not list(tmp_path.glob("*.h5"))
