"""Several statistics, and scores of genes, from VCF to Parquet."""

import gzip
import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from click.testing import CliRunner

from varscore import score_vcf
from varscore.cli import main
from varscore.engine.plain import PlainScorer
from varscore.errors import OptionError, OutputError, TableError
from varscore.genome.planning import place
from varscore.genome.reference import Reference
from varscore.genome.variant import Variant
from varscore.genome.window import WindowPolicy, build_window
from varscore.network.checkpoint import load_enformer
from varscore.network.enformer import EnformerConfig
from varscore.network.zoo import get_model
from varscore.store.table import ScoreTable

HEADER = "##fileformat=VCFv4.2\n##contig=<ID=chr22>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
ALL = ["SAD", "SADM", "SAR", "logSAD", "SAX", "D1", "D2", "JS", "REF", "ALT", "SAD@501", "JS@129"]


@pytest.fixture(scope="module")
def chr22(shared, tmp_path_factory):
    """A folder with in.vcf: real SNVs near the 26 genes of the region, an indel, one far from all genes, a symbolic."""
    folder = tmp_path_factory.mktemp("chr22")
    data = shared / "data/chr22"
    genes = gzip.decompress((data / "genes_20-21M.bed.gz").read_bytes()).decode().splitlines()[1:]
    sites = [int(line.split("\t")[1]) for line in genes]
    rows = []
    for line in gzip.decompress((data / "genotypes_20-21M.vcf.gz").read_bytes()).decode().splitlines():
        if not line.startswith("#"):
            chrom, pos, name, ref, alt = line.split("\t")[:5]
            gap = min(abs(int(pos) - site) for site in sites)
            if gap < 400 or (gap > 5_000 and pos.endswith("77")):
                rows.append([chrom, pos, name, ref, alt])
    rows = rows[:40]
    rows.insert(20, [*rows[20][:4], "<DEL>"])
    rows.append([rows[-1][0], str(int(rows[-1][1])), "ins", rows[-1][3], rows[-1][3] + "ACGT"])
    (folder / "in.vcf").write_text(HEADER + "".join("\t".join([*row, ".", ".", "."]) + "\n" for row in rows))
    return folder


@pytest.fixture(scope="module")
def files(shared):
    data = shared / "data/chr22"
    return data / "chr22_20-21M.fa.gz", data / "genes_20-21M.bed.gz"


@pytest.fixture(scope="module")
def scored(chr22, files, small_model):
    summary = score_vcf(
        chr22 / "in.vcf", files[0], chr22 / "scores.parquet", model=str(small_model), genes=files[1],
        statistics=ALL, part_size=7,
    )  # fmt: skip
    assert summary.genes == str(chr22 / "scores.genes.parquet")
    return pd.read_parquet(chr22 / "scores.parquet"), pd.read_parquet(chr22 / "scores.genes.parquet")


@pytest.fixture(scope="module")
def profiles(files, small_model, scored):
    """Predictions of both alleles in float64, [2, bins, tracks], and the 0-based start, by row of the table."""
    spec = get_model(small_model)
    network = load_enformer(
        small_model / "weights.safetensors", torch.device("cpu"),
        config=EnformerConfig(**spec.architecture), dtype=torch.float64,
    )  # fmt: skip
    scorer = PlainScorer(network, "human")
    policy = WindowPolicy(4096, 2047)
    found = {}
    with Reference(files[0]) as reference:
        for i, row in scored[0].iterrows():
            placed = place(Variant(row.chrom, row.pos, row.id, row.ref, row.alt), reference, policy)
            if placed.stretch is not None and placed.edit is not None:
                window = build_window(reference, placed.stretch, placed.edit, policy)
                found[i] = scorer.predict([window])[0].numpy(), window.start
    return found


def test_columns_are_named_and_described(chr22, scored):
    alleles, genes = scored
    tracks = [f"H{i:03d}" for i in range(7)]
    assert list(alleles.columns[8:]) == [f"{name}:{track}" for name in ALL for track in tracks]
    row_columns = ["chrom", "pos", "id", "ref", "alt", "gene_id", "gene_name", "strand", "tss", "distance"]
    assert list(genes.columns) == row_columns + [f"{name}:{track}" for name in ALL[:10] for track in tracks]
    run = json.loads(pq.read_metadata(chr22 / "scores.parquet").metadata[b"varscore"])
    assert run["statistics"] == ALL
    assert run["definitions"]["SAD@501"].startswith("Σ (a − r), over the bins of a mask of 501 bp")
    assert (run["genes"]["count"], run["genes"]["tss_flank"]) == (26, 0)
    table = ScoreTable(chr22 / "scores.parquet")
    assert table.statistics == ALL
    assert [column.name for column in table.select(["0"], "JS@129")] == ["JS@129:H000"]
    assert ScoreTable(chr22 / "scores.genes.parquet").row_columns == tuple(row_columns)


def test_statistics_are_those_of_the_predictions(scored, profiles):
    alleles, _ = scored
    assert (alleles["status"] == "scored").sum() == len(profiles) == len(alleles) - 1
    for i, ((ref, alt), start) in profiles.items():
        row = alleles.loc[i]
        middle = (int(row["window_start"]) + int(row["window_index"]) - start) // 128 - 6
        expected = {
            "SAD": (alt - ref).sum(0), "SAR": (np.log2(1 + alt) - np.log2(1 + ref)).sum(0),
            "logSAD": np.log2(1 + alt.sum(0)) - np.log2(1 + ref.sum(0)), "D1": np.abs(alt - ref).sum(0),
            "REF": ref.sum(0), "ALT": alt.sum(0), "SAD@501": (alt - ref)[middle - 2 : middle + 2].sum(0),
        }  # fmt: skip
        for name, values in expected.items():
            found = row[[f"{name}:H{k:03d}" for k in range(7)]].to_numpy(float)
            np.testing.assert_allclose(found, values, rtol=2e-3, atol=2e-4 * np.abs(ref).max()), name


def test_genes_are_what_picking_their_bins_gives(files, scored, profiles):
    """From the BED's own columns: bin (TSS − first predicted base) // 128, of genes that are predicted at all."""
    alleles, genes = scored
    bed = pd.read_csv(files[1], sep="\t", usecols=[0, 1, 2, 3, 4, 5])
    expected = []
    for i, ((ref, alt), start) in profiles.items():
        row = alleles.loc[i]
        for _, (_, first, _, gene, _, strand) in bed.iterrows():
            where = (first - start) / 128 - 6
            if 0 <= where < 20:
                bin = int(where)
                toward = 1 if strand == "+" else -1
                expected.append(
                    [row.pos, row.alt, gene, strand, first + 1, toward * (row.pos - first - 1), ref[bin], alt[bin]]
                )
    assert len(genes) == len(expected) > 20
    assert set(genes["strand"]) == {"+", "-"}
    assert set(genes["distance"] > 0) == {True, False}
    columns = {name: [f"{name}:H{k:03d}" for k in range(7)] for name in ALL[:10]}
    for (_, row), (pos, alt_base, gene, strand, tss, distance, ref, alt) in zip(
        genes.iterrows(), expected, strict=True
    ):
        found = tuple(row[["pos", "alt", "gene_id", "strand", "tss", "distance"]])
        assert found == (pos, alt_base, gene, strand, tss, distance)
        tolerance = {"rtol": 2e-3, "atol": 2e-4 * np.abs(ref).max()}
        np.testing.assert_allclose(row[columns["SAD"]].to_numpy(float), alt - ref, **tolerance)
        np.testing.assert_allclose(row[columns["REF"]].to_numpy(float), ref, **tolerance)
        lfc = np.log2(1 + alt) - np.log2(1 + ref)
        np.testing.assert_allclose(row[columns["logSAD"]].to_numpy(float), lfc, rtol=2e-3, atol=1e-3)


def test_an_allele_without_genes_has_no_rows(scored):
    alleles, genes = scored
    there = set(zip(genes["pos"], genes["alt"], strict=True))
    without = [key for key in zip(alleles["pos"], alleles["alt"], strict=True) if key not in there]
    assert without
    assert any(alt == "<DEL>" for _, alt in without)
    assert any(alt != "<DEL>" for _, alt in without)


@pytest.mark.parametrize("engine", ["difference", "plain"])
@pytest.mark.parametrize("window", ["centered", "shared"])
def test_engines_and_windows_agree_on_genes(chr22, files, small_model, scored, tmp_path, engine, window):
    score_vcf(
        chr22 / "in.vcf", files[0], tmp_path / "o.parquet", model=str(small_model), genes=files[1], statistics=["SAD"],
        engine=engine, window=window, window_grid=1, shifts=[-1, 0], tss_flank=1,
    )  # fmt: skip
    genes = pd.read_parquet(tmp_path / "o.genes.parquet")
    assert list(genes.columns[10:]) == [f"H{i:03d}" for i in range(7)]
    assert len(genes) <= len(scored[1])
    reference = tmp_path / "reference.parquet"
    score_vcf(
        chr22 / "in.vcf", files[0], reference, model=str(small_model), genes=files[1], shifts=[-1, 0], tss_flank=1
    )
    expected = pd.read_parquet(tmp_path / "reference.genes.parquet")
    pd.testing.assert_frame_equal(genes, expected, rtol=2e-3, atol=2e-3 * expected["H000"].abs().max())


def test_swapped_alleles_have_the_signs_of_the_file(chr22, files, small_model, scored, tmp_path):
    lines = (chr22 / "in.vcf").read_text().splitlines(keepends=True)
    rows = [line.split("\t") for line in lines if line[0] != "#" and "<" not in line][:12]
    swapped = [[*row[:3], row[4], row[3], *row[5:]] for row in rows]
    (tmp_path / "in.vcf").write_text(HEADER + "".join("\t".join(row) for row in swapped))
    options = {"model": str(small_model), "genes": files[1], "statistics": ["logSAD", "REF", "D1", "SAX@129"]}
    score_vcf(tmp_path / "in.vcf", files[0], tmp_path / "o.parquet", on_ref_mismatch="swap", **options)
    found, genes = pd.read_parquet(tmp_path / "o.parquet"), pd.read_parquet(tmp_path / "o.genes.parquet")
    assert list(found.columns[8:]) == [f"{s}:H{i:03d}" for s in ("logSAD", "REF", "D1", "SAX@129") for i in range(7)]
    alleles, all_genes = scored
    same = alleles[alleles["status"] == "scored"][:12].reset_index()
    for track in ("H000", "H003"):
        np.testing.assert_allclose(found[f"logSAD:{track}"], -same[f"logSAD:{track}"], rtol=1e-3)
        np.testing.assert_allclose(found[f"REF:{track}"], same[f"ALT:{track}"], rtol=1e-3)
        np.testing.assert_allclose(found[f"D1:{track}"], same[f"D1:{track}"], rtol=1e-3)
    here = all_genes[all_genes["pos"].isin(found["pos"])].reset_index()
    assert len(genes) == len(here) > 5
    np.testing.assert_allclose(genes["REF:H001"], here["ALT:H001"], rtol=1e-3)
    np.testing.assert_allclose(genes["logSAD:H001"], -here["logSAD:H001"], rtol=1e-3)


def test_a_run_with_genes_goes_on_in_shards_and_is_merged(chr22, files, small_model, scored, tmp_path):
    options = {"model": str(small_model), "genes": files[1], "statistics": ALL, "part_size": 7}
    place = tmp_path / "scores"
    for shard in ((2, 2), (1, 2)):
        summary = score_vcf(chr22 / "in.vcf", files[0], place, shard=shard, **options)
    assert summary.missing_parts == 0
    assert len(ScoreTable(tmp_path / "scores.genes")) == len(scored[1])
    damaged, gone = (tmp_path / "scores.genes" / f"part-0000{i}.parquet" for i in (1, 3))
    damaged.write_bytes(damaged.read_bytes()[:-200])
    gone.unlink()
    again = score_vcf(chr22 / "in.vcf", files[0], place, **options)
    assert again.there_already == len(scored[0]) - 14
    result = CliRunner().invoke(main, ["merge", str(place), "-o", str(tmp_path / "all.parquet")])
    assert result.exit_code == 0, result.output
    for name, expected in zip(("all.parquet", "all.genes.parquet"), scored, strict=True):
        pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / name), expected, rtol=1e-4)
    assert not list(tmp_path.glob("*.parts"))


def test_parts_in_which_nothing_can_be_scored(files, small_model, tmp_path):
    rows = ["chr22\t20004000\t.\tN\tA", "chr22\t20004001\t.\tA\t<DEL>", "chr22\t20004002\t.\tA\t*"]
    (tmp_path / "in.vcf").write_text(HEADER + "".join(f"{row}\t.\t.\t.\n" for row in rows))
    options = {"model": str(small_model), "genes": files[1], "statistics": ["SAD", "D1"], "part_size": 2}
    summary = score_vcf(tmp_path / "in.vcf", files[0], tmp_path / "o.parquet", **options)
    assert (summary.alleles, summary.scored) == (3, 0)
    found = pd.read_parquet(tmp_path / "o.parquet")
    assert list(found["status"]) == ["non_acgt", "symbolic", "star_allele"]
    assert found.iloc[:, 8:].isna().all().all()
    assert len(pd.read_parquet(tmp_path / "o.genes.parquet")) == 0


def test_what_cannot_be_is_refused_before_the_work(chr22, files, small_model, tmp_path):
    def run(**options):
        score_vcf(chr22 / "in.vcf", files[0], tmp_path / "o.parquet", model=str(small_model), **options)

    for wrong, message in (
        ({"statistics": ["SED"]}, "no statistic is called 'SED'"),
        ({"statistics": []}, "at least one"),
        ({"statistics": ["SAD@501"], "window_index": 10}, "needs the variant in the predicted bins, index 768 to 3327"),
        ({"statistics": ["SAD@501"], "window": "shared", "window_grid": 4096}, "a smaller window_grid"),
        ({"genes": files[1], "tss_flank": -1}, "tss_flank is -1"),
    ):
        with pytest.raises(OptionError, match=message):
            run(**wrong)
    with pytest.raises(TableError, match="cannot be read"):
        run(genes=tmp_path / "none.gtf")
    (tmp_path / "o.genes.parquet").write_text("mine")
    with pytest.raises(OutputError, match=r"o\.genes\.parquet exists already"):
        run(genes=files[1])
    assert [path.name for path in tmp_path.iterdir()] == ["o.genes.parquet"]
