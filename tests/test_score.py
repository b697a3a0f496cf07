"""The whole line from VCF to Parquet, on real sequence and real variants, with a small random network."""

import gzip
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch

from varscore import score_vcf
from varscore.errors import FastaError, VcfError
from varscore.network.checkpoint import load_enformer
from varscore.network.enformer import EnformerConfig
from varscore.network.zoo import get_model

HEADER = "##fileformat=VCFv4.2\n##contig=<ID=z>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
FIXED = ["chrom", "pos", "id", "ref", "alt", "status", "window_start", "window_index"]


@dataclass
class Region:
    """The real region: its sequence as text, its FASTA, and its records as lists of VCF columns."""

    fasta: Path
    sequence: str
    records: list[list[str]]


@pytest.fixture(scope="module")
def region(shared) -> Region:
    folder = shared / "data/kgp_chr20"
    sequence = "".join(gzip.decompress((folder / "region.fa.gz").read_bytes()).decode().split("\n")[1:]).upper()
    text = gzip.decompress((folder / "variants.vcf.gz").read_bytes()).decode()
    records = [line.split("\t")[:7] for line in text.splitlines() if line[0] != "#"]
    return Region(folder / "region.fa.gz", sequence, records)


@pytest.fixture(scope="module")
def chosen(region) -> list[list[str]]:
    """A few hundred records with every kind in them: each that is symbolic or multi-allelic, some indels, some SNVs."""
    kinds = {"symbolic": [], "multi": [], "indel": [], "snv": []}
    for record in region.records:
        ref, alt = record[3], record[4]
        kind = "symbolic" if "<" in alt else "multi" if "," in alt else "snv" if len(ref) == len(alt) == 1 else "indel"
        kinds[kind].append(record)
    assert len(kinds["multi"]) == 68
    assert len(kinds["symbolic"]) == 18
    records = kinds["symbolic"] + kinds["multi"] + kinds["indel"][::4][:150] + kinds["snv"][::80]
    return sorted(records, key=lambda record: int(record[1]))


def write_vcf(path: Path, records: list[list[str]]) -> Path:
    lines = ("\t".join([*record[:5], ".", "PASS", "."]) for record in records)
    path.write_text(HEADER + "\n".join(lines) + "\n")
    return path


def write_fasta(path: Path, sequence: str, name: str = "z") -> Path:
    path.write_text(f">{name}\n" + "\n".join(sequence[i : i + 60] for i in range(0, len(sequence), 60)) + "\n")
    return path


def isolated_snvs(region: Region, gap: int, at_most: int) -> list[list[str]]:
    """SNVs so far apart that no window of `gap` bases holds two."""
    kept, last = [], -gap
    for record in region.records:
        position = int(record[1])
        if position - last > gap and position > gap and {len(record[3]), len(record[4])} == {1}:
            kept.append(record)
            last = position
    return kept[:at_most]


def tracks_of(frame: pd.DataFrame) -> np.ndarray:
    return frame.drop(columns=FIXED).to_numpy()


@pytest.fixture(scope="module")
def scored(region, chosen, small_model, tmp_path_factory) -> pd.DataFrame:
    folder = tmp_path_factory.mktemp("scored")
    vcf = write_vcf(folder / "in.vcf", chosen)
    score_vcf(vcf, region.fasta, folder / "out.parquet", model=str(small_model))
    return pd.read_parquet(folder / "out.parquet")


def test_one_row_per_alt_in_order_with_its_status(chosen, scored):
    expected = [
        (record[0], int(record[1]), record[3], alt, "symbolic" if alt.startswith("<") else "scored")
        for record in chosen
        for alt in record[4].split(",")
    ]
    found = list(scored[["chrom", "pos", "ref", "alt", "status"]].itertuples(index=False, name=None))
    assert found == expected
    assert sum(status == "symbolic" for *_, status in expected) >= 18
    unscored = scored["status"] != "scored"
    assert scored[unscored].drop(columns=FIXED[:6]).isna().all(axis=None)
    assert np.isfinite(tracks_of(scored[~unscored])).all()
    assert (np.abs(tracks_of(scored[~unscored])).max(axis=1) > 0).all()
    assert (scored["window_index"].dropna() == 2047).all()


def test_scores_are_the_definition(region, scored, small_model, small_config):
    """Windows cut from the FASTA's text, edited as strings, predicted in float64, averaged over strands, summed."""
    network = load_enformer(small_model / "weights.safetensors", config=small_config, dtype=torch.float64)

    def predict(window: str) -> np.ndarray:
        x = np.array([[base == letter for letter in "ACGT"] for base in window], float)
        both = torch.from_numpy(np.stack([x, x[::-1, ::-1].copy()]))
        forward, backward = network(both)["human"].numpy()
        return (forward + backward[::-1]) / 2

    rows = scored[scored["status"] == "scored"].iloc[::40]
    assert len(rows) > 5
    assert {"indel" if len(r) != len(a) else "snv" for r, a in zip(rows.ref, rows.alt, strict=True)} == {"indel", "snv"}
    padded = "N" * 4096 + region.sequence + "N" * 4096
    for row in rows.itertuples():
        ref, alt, start = row.ref, row.alt, row.pos - 1
        while min(len(ref), len(alt)) > 1 and ref[-1] == alt[-1]:
            ref, alt = ref[:-1], alt[:-1]
        while min(len(ref), len(alt)) > 1 and ref[0] == alt[0]:
            ref, alt, start = ref[1:], alt[1:], start + 1
        first = start - 2047 + 4096
        left, right = padded[first : first + 2047], padded[first + 2047 + len(ref) :]
        expected = (predict((left + alt + right)[:4096]) - predict((left + ref + right)[:4096])).sum(axis=0)
        found = np.array([getattr(row, name) for name in scored.columns.drop(FIXED)])
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
        assert row.window_start == first - 4096


def test_swapping_ref_and_alt_flips_the_sign(region, small_model, tmp_path):
    """On a genome that carries every ALT, the VCF with REF and ALT exchanged."""
    records = isolated_snvs(region, 4096, 40)
    sequence = list(region.sequence)
    for record in records:
        sequence[int(record[1]) - 1] = record[4]
    swapped = [[*record[:3], record[4], record[3], *record[5:]] for record in records]
    one = tmp_path / "one.parquet"
    other = tmp_path / "other.parquet"
    score_vcf(write_vcf(tmp_path / "one.vcf", records), region.fasta, one, model=str(small_model))
    mutated = write_fasta(tmp_path / "mutated.fa", "".join(sequence))
    score_vcf(write_vcf(tmp_path / "other.vcf", swapped), mutated, other, model=str(small_model))
    first, second = (tracks_of(pd.read_parquet(path)) for path in (one, other))
    assert np.abs(first).max() > 0
    np.testing.assert_allclose(second, -first, rtol=1e-3, atol=1e-3 * np.abs(first).max())

    # and the same VCF on the genome as it is: exchanged on reading, with the file's sign
    score_vcf(
        tmp_path / "other.vcf", region.fasta, tmp_path / "swap.parquet", model=str(small_model), on_ref_mismatch="swap"
    )
    frame = pd.read_parquet(tmp_path / "swap.parquet")
    assert (frame["status"] == "scored").all()
    assert list(frame["ref"]) == [record[4] for record in records]
    np.testing.assert_array_equal(tracks_of(frame), -first)  # the same edits, the file's sign


def test_the_other_strand_of_the_genome_gives_the_same(region, small_model, tmp_path):
    """SNVs: the window's reverse complement has the variant at the mirrored index."""
    records = isolated_snvs(region, 4096, 40)
    complement = str.maketrans("ACGT", "TGCA")
    length = len(region.sequence)
    mirrored = [
        [record[0], str(length + 1 - int(record[1])), record[2], *(a.translate(complement) for a in record[3:5]), "."]
        for record in reversed(records)
    ]
    fasta = write_fasta(tmp_path / "mirrored.fa", region.sequence.translate(complement)[::-1])
    one, other = tmp_path / "one.parquet", tmp_path / "other.parquet"
    model = str(small_model)
    score_vcf(write_vcf(tmp_path / "a.vcf", records), region.fasta, one, model=model, window_index=2047)
    score_vcf(write_vcf(tmp_path / "b.vcf", mirrored), fasta, other, model=model, window_index=2048)
    forward, backward = (tracks_of(pd.read_parquet(path)) for path in (one, other))
    np.testing.assert_allclose(backward[::-1], forward, rtol=1e-5, atol=1e-5 * np.abs(forward).max())


def test_two_spellings_of_one_variant_score_the_same(region, small_model, tmp_path):
    at = 300_000
    text = region.sequence[at - 1 : at + 9]  # from POS 300,000 on
    records = [
        ["z", str(at), "minimal", text[:3], text[0], ".", "."],
        ["z", str(at), "padded", text[:8], text[0] + text[3:8], ".", "."],
        ["z", str(at + 1), "snv", text[1], "A" if text[1] != "A" else "C", ".", "."],
        ["z", str(at), "anchored snv", text[:2], text[0] + ("A" if text[1] != "A" else "C"), ".", "."],
    ]
    output = tmp_path / "out.parquet"
    score_vcf(write_vcf(tmp_path / "in.vcf", records), region.fasta, output, model=str(small_model))
    frame = pd.read_parquet(output)
    assert list(frame["ref"]) == [record[3] for record in records]
    scores = tracks_of(frame)
    np.testing.assert_array_equal(scores[0], scores[1])
    np.testing.assert_array_equal(scores[2], scores[3])
    assert not np.array_equal(scores[0], scores[2])


def test_options_choose_what_is_computed(region, chosen, scored, small_model, tmp_path):
    records = chosen[:60]
    vcf = write_vcf(tmp_path / "in.vcf", records)
    rows = sum(len(record[4].split(",")) for record in records)
    model = str(small_model)

    def run(name: str, **options) -> pd.DataFrame:
        score_vcf(vcf, region.fasta, tmp_path / name, model=model, **options)
        return pd.read_parquet(tmp_path / name)

    everything = scored.iloc[:rows]
    pd.testing.assert_frame_equal(run("batch", batch_size=7), everything, rtol=1e-3, atol=2e-2)
    liver = run("liver", tracks=["CAGE:.*liver", 0])
    pd.testing.assert_frame_equal(liver, everything[[*FIXED, "H000", "H001", "H005"]], rtol=1e-3, atol=2e-2)
    assert list(run("mouse", organism="mouse").columns[8:]) == ["M000", "M001", "M002"]
    good = (everything["status"] == "scored").to_numpy()
    forward = tracks_of(run("forward", rc=False))[good]
    assert not np.allclose(forward, tracks_of(everything)[good])
    shifted = [tracks_of(run(f"shift{s}", shifts=[s]))[good] for s in (-1, 1)]
    averaged = tracks_of(run("shifts", shifts=[-1, 1]))[good]
    np.testing.assert_allclose(averaged, np.mean(shifted, axis=0), rtol=1e-3, atol=2e-2)


def test_shared_windows_start_on_the_grid_and_score_alike_with_either_engine(region, chosen, small_model, tmp_path):
    vcf = write_vcf(tmp_path / "in.vcf", chosen[:60])
    options = {"model": str(small_model), "window": "shared", "window_grid": 512}
    found = {}
    for engine in ("difference", "plain"):
        summary = score_vcf(vcf, region.fasta, tmp_path / engine, engine=engine, **options)
        found[engine] = pd.read_parquet(tmp_path / engine)
    pd.testing.assert_frame_equal(found["difference"], found["plain"], rtol=1e-3, atol=2e-2)
    rows = found["difference"][found["difference"]["status"] == "scored"]
    assert (rows["window_start"] % 512 == 0).all()
    assert ((rows["window_index"] - 2047).abs() <= 256).all()
    assert rows["window_start"].nunique() < summary.scored
    # what stands beside a variant in the file changes nothing
    write_vcf(vcf, chosen[:60:7])
    score_vcf(vcf, region.fasta, tmp_path / "some", **options)
    some = pd.read_parquet(tmp_path / "some")
    wanted = found["difference"].merge(some[["pos", "ref", "alt"]])
    pd.testing.assert_frame_equal(some, wanted, check_dtype=False, rtol=1e-3, atol=2e-2)


def test_the_file_opens_everywhere_and_describes_itself(region, chosen, small_model, tmp_path):
    import duckdb
    import polars

    output = tmp_path / "scores.parquet"
    vcf = write_vcf(tmp_path / "in.vcf", chosen[:20])
    summary = score_vcf(vcf, region.fasta, output, model=str(small_model), command="varscore score …")
    assert summary.alleles == len(pd.read_parquet(output))
    assert summary.output == str(output)
    assert [p.name for p in tmp_path.glob("*.parquet*")] == ["scores.parquet"]

    strings, numbers = ["chrom", "id", "ref", "alt", "status"], ["pos", "window_start", "window_index"]
    schema = pq.read_schema(output)
    assert all(str(schema.field(name).type) == "string" for name in strings)
    assert all(str(schema.field(name).type) == "int32" for name in numbers)
    assert all(str(field.type) == "float" for field in schema if field.name not in FIXED)
    assert schema.field("H001").metadata == {b"description": b"CAGE:liver, adult 1", b"statistic": b"SAD"}

    expected = pd.read_parquet(output, columns=["pos", "H001"])
    assert list(expected.columns) == ["pos", "H001"]
    assert expected["H001"].dtype == np.float32
    np.testing.assert_array_equal(
        polars.read_parquet(output, columns=["pos", "H001"])["H001"].to_numpy(), expected["H001"]
    )
    assert polars.read_parquet_schema(output)["H001"] == polars.Float32
    rows = duckdb.sql(f"select pos, H001 from '{output}' where status = 'scored'").fetchall()
    assert rows == list(expected[expected["H001"].notna()].itertuples(index=False, name=None))
    columns = dict(duckdb.sql(f"describe select * from '{output}'").project("column_name, column_type").fetchall())
    assert (columns["chrom"], columns["pos"], columns["H001"]) == ("VARCHAR", "INTEGER", "FLOAT")

    run = json.loads(pq.read_metadata(output).metadata[b"varscore"])
    assert run["model"] == "small"
    assert run["weights"]["sha256"] == get_model(small_model).weights.sha256
    assert run["window"] == {"length": 4096, "policy": "centered", "index": 2047, "grid": 1, "shifts": [0]}
    assert run["contigs"]["z"]["length"] == len(region.sequence)
    assert run["command"] == "varscore score …"
    assert run["alleles"] == {str(status): count for status, count in summary.statuses.items()}


def test_every_row_group_is_kept(region, small_model, tmp_path, monkeypatch):
    monkeypatch.setattr("varscore.store.scores.GROUP_BYTES", 4 * 7 * 10)
    records = isolated_snvs(region, 1000, 35)
    output = tmp_path / "out.parquet"
    vcf = write_vcf(tmp_path / "in.vcf", records)
    score_vcf(vcf, region.fasta, output, model=str(small_model), part_size=8)
    assert pq.ParquetFile(output).num_row_groups > 1
    assert list(pd.read_parquet(output)["pos"]) == [int(record[1]) for record in records]


def test_a_vcf_without_variants_gives_an_empty_file(region, small_model, tmp_path):
    output = tmp_path / "out.parquet"
    (tmp_path / "in.vcf").write_text(HEADER)
    summary = score_vcf(tmp_path / "in.vcf", region.fasta, output, model=str(small_model))
    assert (summary.alleles, summary.seconds_per_allele) == (0, None)
    assert list(pd.read_parquet(output).columns) == [*FIXED, *(f"H{i:03d}" for i in range(7))]


def test_what_was_scored_before_an_error_is_kept(region, small_model, tmp_path):
    records = isolated_snvs(region, 1000, 40)
    wrong = [*records[-1][:3], "T" if records[-1][3] != "T" else "C", "A", ".", "."]
    output = tmp_path / "out.parquet"
    vcf = write_vcf(tmp_path / "in.vcf", [*records[:-1], wrong])
    with pytest.raises(VcfError, match="REF is") as caught:
        score_vcf(vcf, region.fasta, output, model=str(small_model), on_ref_mismatch="error", part_size=16)
    assert caught.value.__notes__ == [
        f"The parts finished so far (2) are kept in {output}.parts: the same command goes on."
    ]
    assert not output.exists()
    kept = pd.read_parquet(tmp_path / "out.parquet.parts")
    assert list(kept["pos"]) == [int(record[1]) for record in records[:32]]


def test_a_reference_without_the_contigs(region, small_model, tmp_path):
    fasta = write_fasta(tmp_path / "other.fa", region.sequence[:10_000], name="chr9")
    vcf = write_vcf(tmp_path / "in.vcf", region.records[:3])
    with pytest.raises(FastaError, match=r"none of the contigs .* it has chr9, the variants are on z"):
        score_vcf(vcf, fasta, tmp_path / "out.parquet", model=str(small_model))
    assert not list(tmp_path.glob("*.parquet*"))


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 0},
        {"shifts": []},
        {"shifts": [5000]},
        {"window_index": 4096},
        {"part_size": 0},
        {"shard": (3, 2)},
        {"shard": (1, 2)},
    ],
)
def test_options_out_of_range(options, region, small_model, tmp_path):
    vcf = write_vcf(tmp_path / "in.vcf", region.records[:1])
    with pytest.raises(ValueError, match=r"batch_size|shifts|index|part_size|shard"):
        score_vcf(vcf, region.fasta, tmp_path / "out.parquet", model=str(small_model), **options)


def test_the_published_architecture_is_the_default():
    assert EnformerConfig(**get_model("enformer").architecture) == EnformerConfig()


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_gives_the_cpus_scores(region, chosen, scored, small_model, tmp_path):
    vcf = write_vcf(tmp_path / "in.vcf", chosen)
    score_vcf(vcf, region.fasta, tmp_path / "out.parquet", model=str(small_model), device="cuda", batch_size=8)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out.parquet"), scored, rtol=1e-3, atol=2e-2)
