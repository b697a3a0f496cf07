"""Signed annotations: what lands where, and what the reader that sldp uses makes of it."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.analysis.handmade import Allele, gene_table, write_table
from varscore.analysis.panel import Fate
from varscore.analysis.sldp import write_annotations
from varscore.errors import OutputError, TableError

pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword")  # in gprim

COMPLEMENT = dict(zip("ACGT", "TGCA", strict=True))
BIM = ["CHR", "SNP", "CM", "BP", "A1", "A2"]


def write_bim(path: Path, rows: list[tuple[str, str, int, str, str]]) -> Path:
    """rows: CHR, SNP, BP, A1, A2."""
    path.write_text("".join(f"{c}\t{name}\t0\t{bp}\t{a1}\t{a2}\n" for c, name, bp, a1, a2 in rows))
    return path


def read(path: Path | str) -> pd.DataFrame:
    return pd.read_csv(path, sep="\t", dtype={"CHR": str})


@pytest.fixture
def gprim(monkeypatch: pytest.MonkeyPatch) -> Any:
    """gprim.annotation, the reader of sldp. It asks for an argument that pandas 3 has no more, by another name."""
    annotation = pytest.importorskip("gprim.annotation")

    def read_csv(*arguments: Any, delim_whitespace: bool = False, **options: Any) -> Any:
        return pd.read_csv(*arguments, **options, **({"sep": r"\s+"} if delim_whitespace else {}))

    monkeypatch.setattr(annotation, "pd", SimpleNamespace(**{**vars(pd), "read_csv": read_csv}))
    return annotation


ALLELES: list[Allele] = [
    ("chr22", 100, "rs1", "A", "G"),
    ("chr22", 200, "rs2", "C", "T"),
    ("chr22", 300, "rs3", "A", "C"),
    ("chr22", 400, "rs4", "A", "C"),
    ("chr22", 500, "rs5", "A", "T"),
    ("chr22", 600, "rs6", "C", "G"),
    ("chr22", 800, "rs8", "A", "G"),
    ("chr22", 900, "rs9", "A", "G", "ref_mismatch"),
    ("chr22", 1000, "rs10", "A", "G", "ref_mismatch"),
    ("chr22", 1000, "rs10", "A", "G"),
    ("chr22", 1000, "rs10", "A", "G"),
    ("chr22", 1100, "rs11", "C", "A"),
    ("chr22", 1100, "rs11", "C", "T"),
    ("chr22", 1200, "rs12", "C", "CA"),
    ("chr22", 1300, None, "G", "T"),
    ("chr22", 1400, "rs14;rs15", "G", "A"),
    ("chr22", 1600, "rs16", "g", "a"),
]
PANEL = [  # in another order than the alleles
    ("22", "rs16", 1600, "g", "a", Fate.MATCHED, -16),
    ("22", "rs2", 200, "C", "T", Fate.MATCHED, -1),
    ("22", "rs1", 100, "G", "A", Fate.MATCHED, 0.5),
    ("22", "rs3", 300, "G", "T", Fate.MATCHED, 2),
    ("22", "rs4", 400, "T", "G", Fate.MATCHED, -3),
    ("22", "rs5", 500, "A", "T", Fate.AMBIGUOUS, 0),
    ("22", "rs6", 600, "G", "C", Fate.AMBIGUOUS, 0),
    ("22", "rs7", 700, "G", "A", Fate.MISSING, 0),
    ("22", "rs8", 800, "C", "A", Fate.ALLELES_DIFFER, 0),
    ("22", "rs9", 900, "G", "A", Fate.NOT_SCORED, 0),
    ("22", "rs10", 1000, "G", "A", Fate.MATCHED, 9),
    ("22", "rs11", 1100, "A", "C", Fate.MATCHED, 11),
    ("22", "rs11", 1100, "T", "C", Fate.MATCHED, 12),
    ("22", "rs12", 1200, "CA", "C", Fate.NOT_SNV, 0),
    ("22", "x13", 1300, "T", "G", Fate.MATCHED, 14),
    ("22", "rs15", 1500, "A", "G", Fate.MATCHED, 15),
    ("22", "rs17", 1700, "0", "G", Fate.NOT_SNV, 0),
]
"""CHR, SNP, BP, A1, A2, what becomes of it, and the score of its A1."""


@pytest.fixture
def scores(tmp_path: Path) -> Path:
    values = np.arange(len(ALLELES), dtype=np.float32)
    values[0] = 0.5
    return write_table(tmp_path / "scores.parquet", ALLELES, np.stack([values, -values / 3], axis=1))


@pytest.fixture
def bim(tmp_path: Path) -> Path:
    return write_bim(tmp_path / "panel.22.bim", [row[:5] for row in PANEL])


def test_each_kind_of_snp_lands_as_documented(scores, bim, tmp_path):
    written = write_annotations(scores, bim, f"{tmp_path}/", command="varscore sldp")
    assert written.files == {"22": f"{tmp_path}/22.sannot.gz"}
    table = read(tmp_path / "22.sannot.gz")
    panel = pd.read_csv(bim, sep="\t", names=BIM, dtype={"CHR": str})
    pd.testing.assert_frame_equal(table[["CHR", "SNP", "CM", "BP"]], panel[["CHR", "SNP", "CM", "BP"]])
    assert list(table.columns) == [*BIM, "T0", "T1"]
    of_snv: dict[tuple[int, str, str], float] = {}
    for value, (_, pos, _, ref, alt, *status) in enumerate(ALLELES):
        if not status:
            of_snv.setdefault((pos, ref.upper(), alt.upper()), value or 0.5)
    for row, (*_, bp, a1, a2, fate, value) in zip(table.itertuples(), PANEL, strict=True):
        if fate is Fate.MATCHED:
            # A1 is ALT, A2 is REF, and the value is ALT - REF, whichever way round the panel has them
            assert of_snv[1400 if bp == 1500 else bp, row.A2, row.A1] == row.T0
            assert abs(value) == abs(row.T0)
        else:
            assert (a1, a2, 0, 0) == (row.A1, row.A2, row.T0, row.T1)
    counts = written.counts["22"]
    assert counts.fates == {fate: sum(row[5] is fate for row in PANEL) for fate in Fate}
    assert (counts.swapped, counts.other_strand, counts.by_position, counts.moved, counts.repeated) == (3, 2, 1, 1, 2)
    assert (written.repeated_alleles, written.annotations, counts.snps) == (2, 2, len(PANEL))
    described = json.loads((tmp_path / "sannot.json").read_text())
    assert described["chromosomes"]["22"]["ambiguous"] == 2
    assert described["annotations"][1] == {"name": "T1", "track": "T1", "description": "DNASE:T1"}
    assert (described["run"]["model"], described["command"]) == ("toy", "varscore sldp")


def test_round_trip_through_gprim(gprim, scores, bim, tmp_path, capsys):
    """Its reconciliation with the panel, which sldp begins with, gives every A1 its own score."""
    write_annotations(scores, bim, f"{tmp_path}/toy.")
    annotation = gprim.Annotation(f"{tmp_path}/toy.")
    assert annotation.names(22) == ["T0", "T1"]
    table = annotation.sannot_df(22)
    assert set(table[["T0", "T1"]].dtypes) == {np.dtype(float)}
    panel = pd.read_csv(bim, sep="\t", names=BIM)
    found = gprim.reconciled_to(panel, table, ["T0", "T1"])
    expected = [row[6] for row in PANEL]
    assert list(found["SNP"]) == list(panel["SNP"])
    assert list(found["T0"]) == expected
    np.testing.assert_allclose(found["T1"][3:], np.divide(expected[3:], -3), rtol=1e-7)
    assert "3 snps need flipping" in capsys.readouterr().out


def test_real_snps_and_plink_panel(gprim, shared, tmp_path, capsys):
    """Every SNP of the genotypes, against the panel that PLINK makes of them, whose A1 is the rarer allele."""
    vcf = shared / "data/chr22/genotypes_20-21M.vcf.gz"
    make = [
        "plink1.9",
        "--vcf",
        vcf,
        "--double-id",
        "--make-just-bim",
        "--out",
        tmp_path / "panel.22",
        "--threads",
        "1",
    ]
    try:
        subprocess.run([str(part) for part in make], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("PLINK 1.9 is not installed")
    import pysam

    with pysam.VariantFile(str(vcf), drop_samples=True) as records:
        alleles = [(r.chrom, r.pos, r.id, r.ref or "", (r.alts or ("",))[0]) for r in records]
    values = np.random.default_rng(0).normal(size=(len(alleles), 1)).astype(np.float32)
    scores = write_table(tmp_path / "scores.parquet", alleles, values, [("T0", None)])
    panel = pd.read_csv(tmp_path / "panel.22.bim", sep="\t", names=BIM)
    ambiguous = (panel["A1"] + panel["A2"]).isin(["AT", "TA", "CG", "GC"])
    for match in ("id", "position"):
        prefix = f"{tmp_path}/{match}."
        counts = write_annotations(scores, tmp_path / "panel.@.bim", prefix, match=match).counts["22"]
        found = gprim.reconciled_to(panel, gprim.Annotation(prefix).sannot_df(22), ["T0"])
        swapped = np.array([a1 == ref for a1, (_, _, _, ref, _) in zip(panel["A1"], alleles, strict=True)])
        expected = np.where(ambiguous, 0, np.where(swapped, -values[:, 0], values[:, 0]))
        np.testing.assert_array_equal(found["T0"].to_numpy().astype(np.float32), expected)
        assert counts.fates[Fate.AMBIGUOUS] == ambiguous.sum() == 250
        assert counts.fates[Fate.MATCHED] == len(alleles) - 250
        said = capsys.readouterr().out
        assert f"{counts.swapped} snps need flipping" in said
        assert counts.swapped == (swapped & ~ambiguous).sum() > 100


def fits(a1: str, a2: str, ref: str, alt: str) -> bool:
    """Whether two SNPs are the same but for order and strand, where that can be told."""
    other = {COMPLEMENT.get(a1), COMPLEMENT.get(a2)}
    return a1 != a2 and {a1, a2} != other and {ref, alt} in ({a1, a2}, other)


bases = st.sampled_from("ACGT")
pairs = st.tuples(bases, bases).filter(lambda pair: pair[0] != pair[1])
snps = st.tuples(st.sampled_from(["1", "X"]), st.integers(1, 4), st.sampled_from(["a", "b", "c", None]), pairs)


@given(
    alleles=st.lists(st.tuples(snps, st.booleans()), min_size=1, max_size=12),
    panel=st.lists(snps, min_size=1, max_size=8),
    match=st.sampled_from(["id", "position"]),
)
@example(  # an SNV that is scored twice, under two names
    [(("1", 1, "a", ("G", "T")), True), (("1", 1, "b", ("G", "T")), True)], [("1", 1, "b", ("A", "C"))], "id"
)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_matching_is_what_a_loop_over_all_pairs_finds(tmp_path_factory, alleles, panel, match):
    folder = tmp_path_factory.mktemp("pairs")
    rows: list[Allele] = [
        (f"chr{chrom}", pos, name, *pair, "scored" if scored else "ref_mismatch")
        for (chrom, pos, name, pair), scored in alleles
    ]
    scores = write_table(folder / "scores.parquet", rows, np.arange(1, len(rows) + 1)[:, None], [("T0", None)])
    number = {"1": "1", "X": "23"}
    ordered = sorted(panel, key=lambda snp: snp[0])
    write_bim(folder / "p.bim", [(number[c], name or ".", bp, *pair) for c, bp, name, pair in ordered])

    def score_of(chrom: str, bp: int, name: str | None, pair: tuple[str, str]) -> tuple[str, str, float]:
        for i, (c, pos, known_as, ref, alt, status) in enumerate(rows):
            same = name is not None and name == known_as if match == "id" else (c, pos) == (f"chr{chrom}", bp)
            if same and status == "scored" and fits(*pair, ref, alt):
                return alt, ref, i + 1
        return (*pair, 0)

    there = {chrom for (chrom, *_), _ in alleles}
    expected = [(number[s[0]], *score_of(*s)) for s in ordered if s[0] in there]
    try:
        written = write_annotations(scores, folder / "p.bim", f"{folder}/", match=match)
    except TableError:
        assert all(value == 0 for *_, value in expected)
        return
    found = pd.concat([read(path) for path in written.files.values()])
    assert list(found[["CHR", "A1", "A2", "T0"]].itertuples(index=False, name=None)) == expected


def reversed_table(path: Path) -> Path:
    """The alleles the other way round, with the opposite scores."""
    values = -np.arange(len(ALLELES), dtype=np.float32)
    values[0] = -0.5
    swapped: list[Allele] = [(c, pos, name, alt, ref, *more) for c, pos, name, ref, alt, *more in ALLELES]  # type: ignore[misc]
    return write_table(path, swapped, np.stack([values, -values / 3], axis=1))


def test_exchanging_ref_and_alt_changes_nothing_for_gprim(gprim, scores, bim, tmp_path):
    write_annotations(scores, bim, f"{tmp_path}/one.")
    write_annotations(reversed_table(tmp_path / "reversed.parquet"), bim, f"{tmp_path}/two.")
    panel = pd.read_csv(bim, sep="\t", names=BIM)
    one, two = (
        gprim.reconciled_to(panel, gprim.Annotation(f"{tmp_path}/{name}.").sannot_df(22), ["T0"])["T0"]
        for name in ("one", "two")
    )
    # of the SNV that is there twice the first counts, which is the same row in both
    np.testing.assert_array_equal(one, two)


def test_all_digits_of_float32_are_kept(tmp_path):
    bits = np.random.default_rng(1).integers(0, 2**32, 20_000, np.uint32).view(np.float32)
    values = bits[np.isfinite(bits)]
    values = np.concatenate([values, np.float32([0, 1e-45, 3.4e38, 0.1, 16777217, -0.0001])])[:, None]
    alleles: list[Allele] = [("1", i + 1, None, "A", "G") for i in range(len(values))]
    scores = write_table(tmp_path / "scores.parquet", alleles, values, [("T0", None)])
    write_bim(tmp_path / "p.bim", [("1", f"s{i}", i + 1, "A", "G") for i in range(len(values))])
    write_annotations(scores, tmp_path / "p.bim", f"{tmp_path}/")
    found = read(tmp_path / "1.sannot.gz")["T0"].to_numpy().astype(np.float32)
    np.testing.assert_array_equal(found, values[:, 0])


def test_any_order_and_any_cut_into_batches_give_the_same_files(tmp_path, monkeypatch):
    """Two chromosomes whose alleles are mixed up, with files of their own for each and a few rows at a time."""
    random = np.random.default_rng(2)
    alleles: list[Allele] = [(chrom, pos, None, "A", "C") for chrom in ("2", "X") for pos in range(1, 41)]
    values = random.normal(size=(80, 2)).astype(np.float32)
    panel = [("2", f"a{pos}", pos, "C", "A") for pos in range(1, 60, 2)]
    write_bim(tmp_path / "p.2.bim", panel)
    write_bim(tmp_path / "p.23.bim", [("23", *row[1:]) for row in panel])
    write_bim(tmp_path / "p.7.bim", [("7", "a", 1, "C", "A")])
    write_bim(tmp_path / "p.2.old.bim", panel)  # not one of a chromosome
    order = random.permutation(80)
    for name, rows, size in (("sorted.", np.arange(80), None), ("mixed.", order, 64)):
        if size:
            monkeypatch.setattr("varscore.store.table.BATCH_BYTES", size)
            monkeypatch.setattr("varscore.analysis.sldp.BATCH_BYTES", size)
        scores = write_table(tmp_path / f"{name}parquet", [alleles[i] for i in rows], values[rows])
        written = write_annotations(scores, tmp_path / "p.@.bim", f"{tmp_path}/{name}")
        assert list(written.files) == ["2", "23"]
        assert written.left_out == ["7"]
    for chrom in ("2", "23"):
        one, two = ((tmp_path / f"{name}{chrom}.sannot.gz").read_bytes() for name in ("sorted.", "mixed."))
        assert one == two
    table = read(tmp_path / "sorted.23.sannot.gz")
    assert list(table["CHR"].unique()) == ["23"]
    np.testing.assert_array_equal(table["T1"][:20].to_numpy().astype(np.float32), values[40:80:2, 1])
    assert (table["T1"][20:] == 0).all()


def test_names_that_sldp_would_stumble_over_are_changed(tmp_path):
    columns = [("my track", None), ("H3.R1", None), ("SAD:x", "SAD")]
    scores = write_table(tmp_path / "s.parquet", ALLELES[:1], np.ones((1, 3)), columns)
    write_bim(tmp_path / "p.bim", [("22", "rs1", 100, "G", "A")])
    write_annotations(scores, tmp_path / "p.bim", f"{tmp_path}/")
    assert list(read(tmp_path / "22.sannot.gz"))[6:] == ["my_track", "H3_R1", "SAD:x"]


def test_nothing_is_left_of_files_that_could_not_all_be_written(scores, bim, tmp_path, monkeypatch):
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("varscore.analysis.sldp._write", fail)
    with pytest.raises(OutputError, match="No space left"):
        write_annotations(scores, bim, f"{tmp_path}/new/")
    assert list((tmp_path / "new").iterdir()) == []


def other_build(folder: Path) -> dict[str, Any]:
    write_bim(folder / "p.bim", [("22", f"rs{i}", 5000 + i, "A", "C") for i in range(1, 12)])
    return {"bim": folder / "p.bim"}


def bim_of(text: str) -> Callable[[Path], dict[str, Any]]:
    def change(folder: Path) -> dict[str, Any]:
        (folder / "p.bim").write_text(text)
        return {"bim": folder / "p.bim"}

    return change


def scores_of(name: str, columns: list[tuple[str, str | None]]) -> Callable[[Path], dict[str, Any]]:
    return lambda folder: {"scores": write_table(folder / name, ALLELES[:1], np.ones((1, len(columns))), columns)}


BAD = {
    "no such table": (lambda folder: {"scores": folder / "no.parquet"}, "no such file"),
    "a table of genes": (lambda folder: {"scores": gene_table(folder / "g.parquet")}, "table of genes"),
    "no alleles": (lambda folder: {"scores": write_table(folder / "e.parquet", [], np.ones((0, 2)))}, "no alleles"),
    "unsigned": (scores_of("d.parquet", [("D1:T0", "D1")]), "D1 has no sign"),
    "same names": (scores_of("n.parquet", [("a b", None), ("a_b", None)]), "not unique"),
    "no statistic": (lambda _: {"statistic": "SAR"}, "has no SAR"),
    "no bim": (lambda folder: {"bim": folder / "no.bim"}, "cannot be read as a .bim"),
    "no bims": (lambda folder: {"bim": folder / "no.@.bim"}, "no such files"),
    "a VCF": (bim_of("##fileformat=VCFv4.2\n#CHROM\tPOS\n"), "expected six columns"),
    "five columns": (bim_of("22 rs1 100 A G\n"), "has 5 columns"),
    "a short line": (bim_of("22 rs1 0 100 A G\n22 rs2 0 100 A\n"), "line 2: has fewer columns"),
    "empty": (bim_of(""), "cannot be read as a .bim"),
    "no position": (bim_of("22 rs1 0 100 A G\n22 rs2 0 x A G\n"), "line 2: position 'x'"),
    "in two stretches": (bim_of("22 a 0 1 A G\n21 a 0 1 A G\n22 b 0 2 A G\n"), "two places"),
    "another build": (other_build, "--match id"),
    "nothing matches": (bim_of("22 x 0 1 A G\n"), "none of the SNPs"),
    "another chromosome": (bim_of("21 rs1 0 100 A G\n"), "none of the SNPs"),
    "no folder": (lambda folder: {"prefix": f"{folder}/no/such/x."}, "no folder"),
    "there already": (
        lambda folder: {"prefix": str((folder / "22.sannot.gz").write_text("x") and folder)},
        "overwrite",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_said(case, scores, bim, tmp_path):
    change, message = BAD[case]
    arguments = {"scores": scores, "bim": bim, "prefix": f"{tmp_path}/", **change(tmp_path)}
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    with pytest.raises((TableError, OutputError), match=message):
        write_annotations(**arguments)
    assert {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_another_build_is_matched_by_name_if_asked(scores, bim, tmp_path):
    panel = pd.read_csv(bim, sep="\t", names=BIM)
    panel["BP"] += 7
    panel.to_csv(tmp_path / "moved.bim", sep=" ", header=False, index=False)
    counts = write_annotations(scores, tmp_path / "moved.bim", f"{tmp_path}/", match="id").counts["22"]
    assert (counts.moved, counts.fates[Fate.MATCHED]) == (9, 9)
