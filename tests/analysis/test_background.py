"""Quantiles against scipy's ranks, and what they must be whatever the scores."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pysam
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.analysis.handmade import RUN, Allele, gene_table, write_table
from varscore.analysis.background import Background, make_background, write_quantiles
from varscore.analysis.distribution import PROBABILITIES, is_signed, knots_of, ranks_in
from varscore.errors import OutputError, TableError, VcfError
from varscore.store.table import ScoreTable

SAMPLES: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "normal": lambda random, n: random.normal(size=n),
    "heavy tails": lambda random, n: random.standard_t(1.2, size=n),
    "skewed": lambda random, n: random.lognormal(sigma=2, size=n),
    "mostly zero": lambda random, n: random.normal(size=n) * (random.random(n) < 0.3),
    "few values": lambda random, n: random.integers(-2, 3, n).astype(float),
    "one value": lambda _, n: np.ones(n),
}


def steps(n: int, ranks: np.ndarray) -> np.ndarray:
    """How far apart the probabilities around each rank are, and one allele."""
    edges = np.concatenate([[0], PROBABILITIES, [1]])
    at = np.clip(np.searchsorted(edges, ranks), 2, len(edges) - 2)
    return np.maximum(edges[at + 1] - edges[at], edges[at] - edges[at - 1]) + 1 / n


@pytest.mark.parametrize("n", [1, 2, 7, 500, 20_000])
@pytest.mark.parametrize("kind", SAMPLES)
def test_ranks_are_those_of_scipy_to_the_step_of_the_probabilities(kind, n):
    stats = pytest.importorskip("scipy.stats")
    random = np.random.default_rng(3)
    sample = SAMPLES[kind](random, n).astype(np.float32)
    scores = np.concatenate([sample[:200], SAMPLES[kind](random, 300).astype(np.float32), [-1e9, 0, 1e9]])
    found = ranks_in(knots_of(sample), n, scores)
    expected = stats.percentileofscore(sample, scores, kind="mean") / 100
    assert (np.abs(found - expected) <= steps(n, expected) + 1e-6).all()


@pytest.mark.parametrize("n", [1, 4, 25, 100, 200])
def test_a_samples_own_values_have_exactly_their_mid_ranks(n):
    """Where ranks fall on the probabilities that are kept, nothing is lost."""
    stats = pytest.importorskip("scipy.stats")
    sample = np.random.default_rng(4).normal(size=n).astype(np.float32)
    sample[: n // 3] = 0.25
    expected = stats.percentileofscore(sample, sample, kind="mean") / 100
    np.testing.assert_allclose(ranks_in(knots_of(sample), n, sample), expected, atol=1e-6)


def test_held_out_scores_of_the_same_kind_are_uniform():
    stats = pytest.importorskip("scipy.stats")
    random = np.random.default_rng(5)
    knots = knots_of(random.standard_t(2, size=20_000).astype(np.float32))
    ranks = ranks_in(knots, 20_000, random.standard_t(2, size=5_000))
    assert stats.kstest(ranks, "uniform").pvalue > 0.01
    assert (ranks < 0.001).mean() == pytest.approx(0.001, abs=0.0015)


finite = st.floats(-(2.0**100), 2.0**100, width=32)


@given(hnp.arrays(np.float32, st.integers(1, 60), elements=finite), hnp.arrays(np.float32, 30, elements=finite))
@settings(max_examples=150, deadline=None)
def test_ranks_rise_with_scores_and_stay_off_the_ends(sample, scores):
    n = len(sample)
    ranks = ranks_in(knots_of(sample), n, np.sort(scores))
    assert (np.diff(ranks) >= 0).all()
    assert ranks[0] >= 0.5 / n - 1e-12
    assert ranks[-1] <= 1 - 0.5 / n + 1e-12
    # the mirror image of a sample gives mirrored ranks
    mirrored = ranks_in(knots_of(-sample), n, -np.sort(scores))
    np.testing.assert_allclose(ranks + mirrored, 1, atol=2 / 400)


def test_a_tie_has_the_middle_of_its_ranks():
    sample = np.concatenate([np.zeros(600), np.linspace(-1, -0.1, 100), np.linspace(0.1, 1, 300)]).astype(np.float32)
    assert ranks_in(knots_of(sample), 1000, np.zeros(1))[0] == pytest.approx(0.4, abs=1 / 400)


def test_which_statistics_have_a_sign():
    signed = ["SAD", "SADM", "SAR", "logSAD", "SAX", "SAD@501", "SAD_quantile", "logSAD@501_quantile"]
    assert all(map(is_signed, signed))
    assert not any(map(is_signed, ["D1", "D2", "JS", "REF", "ALT", "D1@2001", "JS_quantile", "REF@501"]))


def alleles(count: int, chrom: str = "chr1") -> list[Allele]:
    return [(chrom, i + 1, f"rs{i}", "A", "G") for i in range(count)]


SEVERAL = [("SAD:T0", "SAD"), ("SAD:T1", "SAD"), ("D1@501:T0", "D1@501"), ("D1@501:T1", "D1@501")]


@pytest.fixture
def common(tmp_path: Path) -> Path:
    """A table of two statistics: 400 alleles, a tenth of them not scored."""
    random = np.random.default_rng(6)
    values = random.normal(size=(400, 4)) * [1, 20, 1, 1]
    values[:, 2:] = np.abs(values[:, 2:])
    rows = [(*a, "symbolic" if i % 10 == 0 else "scored") for i, a in enumerate(alleles(400))]
    return write_table(tmp_path / "common.parquet", rows, values, SEVERAL, statistics=["SAD", "D1@501"])


def test_a_table_becomes_a_background_and_gets_its_quantiles(common, tmp_path):
    stats = pytest.importorskip("scipy.stats")
    made = make_background(common, tmp_path / "b.parquet", command="varscore background")
    assert (made.kind, made.rows, made.common, made.distributions) == ("alleles", 400, 360, 4)
    background = Background.load(tmp_path / "b.parquet")
    assert (background.made["model"], background.made["command"]) == ("toy", "varscore background")
    assert set(background.alleles.values()) == {360}
    ranked = write_quantiles(common, tmp_path / "b.parquet", tmp_path / "ranked.parquet", command="varscore quantiles")
    assert (ranked.rows, ranked.columns) == (400, 4)

    before, after = ScoreTable(common), ScoreTable(tmp_path / "ranked.parquet")
    assert after.statistics == ["SAD", "D1@501", "SAD_quantile", "D1@501_quantile"]
    assert after.run["statistics"] == after.statistics
    assert after.run["background"]["alleles"] == 360
    assert after.run["alleles"] == {"scored": 360, "symbolic": 40}
    kept = before.run.keys() - {"statistics", "definitions", "plan"}
    assert {name: after.run[name] for name in kept} == {name: before.run[name] for name in kept}
    pd.testing.assert_frame_equal(after.alleles(), before.alleles())
    np.testing.assert_array_equal(after.scores(after.columns[:4]), before.scores(before.columns))
    for column in before.columns:
        found = after.scores(after.select([column.track.identifier], f"{column.statistic}_quantile"))[:, 0]
        [described] = after.select([column.track.identifier], f"{column.statistic}_quantile")
        assert described.track.description == column.track.description
        scores = before.scores([column])[:, 0]
        scored = np.isfinite(scores)
        assert (np.isfinite(found) == scored).all()
        ranks = stats.percentileofscore(scores[scored], scores[scored], kind="mean") / 100
        signed = column.statistic == "SAD"
        np.testing.assert_allclose(found[scored], 2 * ranks - 1 if signed else ranks, atol=2 / 400)
        ends = (-1 + 1 / 360, 1 - 1 / 360) if signed else (0.5 / 360, 1 - 0.5 / 360)
        np.testing.assert_allclose([np.nanmin(found), np.nanmax(found)], ends, atol=1e-6)


def test_columns_that_name_no_statistic_keep_their_names(tmp_path):
    values = np.random.default_rng(7).normal(size=(50, 2))
    table = write_table(tmp_path / "s.parquet", alleles(50), values)
    make_background(table, tmp_path / "b.parquet")
    write_quantiles(table, tmp_path / "b.parquet", tmp_path / "out.parquet")
    schema = pq.read_schema(tmp_path / "out.parquet")
    assert schema.names[8:] == ["T0", "T1", "SAD_quantile:T0", "SAD_quantile:T1"]
    assert schema.field("SAD_quantile:T1").metadata == {b"description": b"DNASE:T1", b"statistic": b"SAD_quantile"}
    out = ScoreTable(tmp_path / "out.parquet")
    assert [column.track.identifier for column in out.select(statistic="SAD_quantile")] == ["T0", "T1"]
    # and they are no scores to make a background of
    make_background(tmp_path / "out.parquet", tmp_path / "b2.parquet")
    assert list(Background.load(tmp_path / "b2.parquet").alleles) == [("SAD", "T0"), ("SAD", "T1")]


def test_a_chunk_is_ranked_as_the_whole_table_is(common, tmp_path):
    """What a run does that adds quantiles as it scores."""
    make_background(common, tmp_path / "b.parquet")
    background = Background.load(tmp_path / "b.parquet")
    table = pq.read_table(common)
    whole = background.append(table, RUN)
    assert whole.schema.equals(background.schema(table.schema, RUN), check_metadata=True)
    chunks = [background.append(table.slice(start, 7), RUN) for start in range(0, 400, 7)]
    assert pa.concat_tables(chunks).equals(whole)
    assert whole["SAD_quantile:T0"].null_count == 40


def test_quantiles_of_exchanged_alleles_are_opposite(tmp_path):
    """In a background that has every allele both ways round."""
    values = np.random.default_rng(8).standard_t(2, size=(300, 2))
    table = write_table(tmp_path / "s.parquet", alleles(600), np.concatenate([values, -values]))
    make_background(table, tmp_path / "b.parquet")
    background = Background.load(tmp_path / "b.parquet")
    new = np.random.default_rng(9).standard_t(2, size=(100, 2)).astype(np.float32)
    one, other = (background.quantiles(["T0", "T1"], "SAD", scores) for scores in (new, -new))
    np.testing.assert_allclose(one, -other, atol=2e-6)
    assert (np.sign(one) == np.sign(new)).mean() > 0.98
    assert np.isnan(background.quantiles(["T1"], "SAD", np.array([[np.nan]]))).all()


def test_a_background_does_not_fit_what_was_scored_otherwise(common, tmp_path, caplog):
    make_background(common, tmp_path / "b.parquet")
    background = Background.load(tmp_path / "b.parquet")
    columns = [field.name for field in pq.read_schema(common)][:8]
    background.check(RUN, columns, "scores.parquet")
    assert not [record for record in caplog.records if "scored in another way" in record.message]
    for change, said in {
        "model": "model is toy there, other here",
        "weights": "weights is 000000000000… there, ffffffffffff… here",
        "organism": "organism is human there, other here",
        "length": "window.length is 4096 there, 8 here",
    }.items():
        value: Any = {"weights": {"sha256": "f" * 64}, "length": {**RUN["window"], "length": 8}}.get(change, "other")
        with pytest.raises(TableError, match=said):
            background.check({**RUN, {"length": "window"}.get(change, change): value}, columns, "scores.parquet")
    with pytest.raises(TableError, match="rows is alleles there, genes here"):
        background.check(RUN, ["chrom", "gene_id"], "genes.parquet")
    shared = {**RUN["window"], "policy": "shared", "grid": 4096}
    background.check({**RUN, "window": shared, "reverse_complement": False}, columns, "scores.parquet")
    [said] = [record.message for record in caplog.records if "scored in another way" in record.message]
    assert "window.policy is centered there, shared here" in said
    assert "reverse_complement is True there, False here" in said
    with pytest.raises(TableError, match="has no SAR: it has SAD, D1@501"):
        background.quantiles(["T0"], "SAR", np.zeros((1, 1)))
    with pytest.raises(TableError, match="has no SAD of 1 of 2 tracks, the first is T9"):
        background.quantiles(["T0", "T9"], "SAD", np.zeros((1, 2)))


def test_what_is_wrong_is_said(common, tmp_path):
    make_background(common, tmp_path / "b.parquet")
    write_quantiles(common, tmp_path / "b.parquet", tmp_path / "q.parquet")
    (tmp_path / "text").write_text("text")
    empty = write_table(tmp_path / "none.parquet", [(*a, "symbolic") for a in alleles(3)], np.ones((3, 2)))
    nan = write_table(tmp_path / "nan.parquet", alleles(3), np.full((3, 2), np.nan))
    out = tmp_path / "out.parquet"
    cases: list[tuple[Callable[[], Any], str]] = [
        (lambda: make_background(tmp_path / "b.parquet", out), "no table of `varscore score`"),
        (lambda: make_background(empty, out), "no allele with scores"),
        (lambda: make_background(nan, out), "T0 has no value"),
        (lambda: make_background(common, tmp_path / "b.parquet"), "--overwrite"),
        (lambda: make_background(common, tmp_path / "no" / "b.parquet"), "no folder"),
        (lambda: make_background(common, out, vcf=tmp_path / "no.vcf"), "no such file"),
        (lambda: make_background(common, out, vcf=tmp_path / "text"), "not a VCF"),
        (lambda: write_quantiles(common, common, out), "is no background"),
        (lambda: write_quantiles(common, tmp_path / "text", out), "is no background"),
        (lambda: write_quantiles(common, tmp_path / "no.parquet", out), "no such file"),
        (lambda: write_quantiles(tmp_path / "q.parquet", tmp_path / "b.parquet", out), "quantiles already"),
        (lambda: write_quantiles(common, tmp_path / "b.parquet", tmp_path / "q.parquet"), "--overwrite"),
        (lambda: write_quantiles(gene_table(tmp_path / "g.parquet"), tmp_path / "b.parquet", out), "genes here"),
    ]
    for call, message in cases:
        with pytest.raises((TableError, OutputError, VcfError), match=message):
            call()
    assert not out.exists()
    make_background(common, tmp_path / "b.parquet", overwrite=True)


@pytest.fixture(scope="module")
def genotypes(shared, tmp_path_factory) -> tuple[Path, Path]:
    """The genotypes of 358 people, and a table with their SNVs and some others."""
    vcf = shared / "data/chr22/genotypes_20-21M.vcf.gz"
    with pysam.VariantFile(str(vcf), drop_samples=True) as records:
        there: list[Allele] = [("22", r.pos, r.id, r.ref or "", (r.alts or ("",))[0]) for r in records]
    others: list[Allele] = [(c, p, None, alt, ref) for c, p, _, ref, alt, *_ in there]
    table = tmp_path_factory.mktemp("genotypes") / "scores.parquet"
    values = np.random.default_rng(1).normal(size=(2 * len(there), 2))
    return vcf, write_table(table, there + others, values)


def test_common_alleles_are_those_of_bcftools(genotypes, tmp_path):
    """By INFO/AF, by AC and AN, and by counting genotypes."""
    if not shutil.which("bcftools"):
        pytest.skip("bcftools is not installed")
    vcf, table = genotypes

    def bcftools(*arguments: object) -> str:
        run = subprocess.run(["bcftools", *map(str, arguments)], check=True, capture_output=True, text=True)
        return run.stdout

    bcftools("annotate", "-x", "INFO/AF", "-o", tmp_path / "counts.vcf", vcf)
    bcftools("annotate", "-x", "INFO", "-o", tmp_path / "genotypes.bcf", "-O", "b", vcf)
    by_af = bcftools("view", "-H", "-G", "-i", "INFO/AF>=0.3 && INFO/AF<=0.7", vcf).count("\n")
    by_count = bcftools("view", "-H", "-q", "0.3:minor", vcf).count("\n")
    assert by_af != by_count
    found = {
        path.name: make_background(table, tmp_path / f"{path.name}.parquet", vcf=path, maf=0.3).common
        for path in (vcf, tmp_path / "counts.vcf", tmp_path / "genotypes.bcf")
    }
    assert found == {vcf.name: by_af, "counts.vcf": by_count, "genotypes.bcf": by_count}
    with pytest.raises(TableError, match="none of its 3,728 alleles"):
        make_background(table, tmp_path / "none.parquet", vcf=vcf, maf=0.5)
    # a table may have them all counted, whatever the frequency
    assert make_background(table, tmp_path / "all.parquet").common == 3728
    background = Background.load(tmp_path / "counts.vcf.parquet")
    assert (background.made["maf"], background.made["vcf"]) == (0.3, str(tmp_path / "counts.vcf"))


def test_frequencies_that_are_missing_or_many(tmp_path):
    header = (
        '##fileformat=VCFv4.2\n##contig=<ID=1>\n##INFO=<ID=AF,Number=A,Type=Float,Description="">\n'
        '##INFO=<ID=AC,Number=A,Type=Integer,Description="">\n##INFO=<ID=AN,Number=1,Type=Integer,Description="">\n'
    )
    lines = ["#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
    infos = {"A,C": "AF=0.4,0.001", "G,T": "AF=.,0.9", "C": ".", "T": "AC=3;AN=10", "A": "AC=3", "TT": "AF=1.0"}
    for pos, (alts, info) in enumerate(infos.items(), 1):
        lines.append(f"1\t{pos}\t.\t{'N'}\t{alts}\t.\t.\t{info}")
    (tmp_path / "f.vcf").write_text(header + "\n".join(lines) + "\n")
    rows: list[Allele] = [("chr1", pos, None, "N", alt) for pos, alts in enumerate(infos, 1) for alt in alts.split(",")]
    table = write_table(tmp_path / "s.parquet", rows, np.arange(len(rows) * 2).reshape(-1, 2))
    assert make_background(table, tmp_path / "b.parquet", vcf=tmp_path / "f.vcf", maf=0.05).common == 3
    knots = pq.read_table(tmp_path / "b.parquet").to_pandas()
    assert (knots["0.0025"][0], knots["0.5"][0], knots["0.9975"][0]) == (0, 6, 10)
    assert json.loads(pq.read_schema(tmp_path / "b.parquet").metadata[b"varscore_background"])["alleles"] == 3
    (tmp_path / "none.vcf").write_text("##fileformat=VCFv4.2\n##contig=<ID=1>\n" + lines[0] + "\n")
    with pytest.raises(VcfError, match="neither INFO/AF"):
        make_background(table, tmp_path / "x.parquet", vcf=tmp_path / "none.vcf")
    (tmp_path / "bad.vcf").write_text(header + lines[0] + "\n1\tx\t.\tA\tC\t.\t.\t.\n")
    with pytest.raises((VcfError, TableError)):
        make_background(table, tmp_path / "x.parquet", vcf=tmp_path / "bad.vcf")
