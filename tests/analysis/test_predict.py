"""Predictions bin by bin, against the scores of the other engine."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from varscore import score_vcf
from varscore.analysis.predict import predict_variant
from varscore.errors import OptionError, VarscoreError, VcfError
from varscore.genome.variant import parse_variant

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
HEADER = "##fileformat=VCFv4.2\n##contig=<ID=z>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"


@pytest.fixture(scope="module")
def bases():
    return "".join(np.random.default_rng(3).choice(list("ACGT"), 9000))


@pytest.fixture(scope="module")
def fasta(tmp_path_factory, bases):
    path = tmp_path_factory.mktemp("genome") / "genome.fa"
    path.write_text(f">z\n{bases}\n")
    return path


def variants_of(bases):
    """An SNV, an insertion, a deletion and an SNV whose window begins before the contig."""
    other = {"A": "C", "C": "G", "G": "T", "T": "A"}
    for pos in (4500, 700):
        yield f"z:{pos}:{bases[pos - 1]}:{other[bases[pos - 1]]}"
    yield f"z:5000:{bases[4999]}:{bases[4999]}GATTACA"
    yield f"z:5100:{bases[5099:5110]}:{bases[5099]}"


def test_the_difference_sums_to_sad(bases, fasta, small_model, tmp_path):
    spelled = list(variants_of(bases))
    lines = ["\t".join([v.chrom, str(v.pos), ".", v.ref, v.alt, ".", ".", "."]) for v in map(parse_variant, spelled)]
    (tmp_path / "in.vcf").write_text(HEADER + "\n".join(lines) + "\n")
    # in float32, random weights leave three digits of SAD, but the same three to those who compute the same
    score_vcf(tmp_path / "in.vcf", fasta, tmp_path / "out.parquet", model=str(small_model), engine="plain")
    scores = pd.read_parquet(tmp_path / "out.parquet")
    for i, text in enumerate(spelled):
        found = predict_variant(parse_variant(text), fasta, ["H003", "H000"], model=str(small_model))
        assert found.ref.shape == found.alt.shape == (20, 2)
        assert [track.identifier for track in found.tracks] == ["H000", "H003"]
        expected = scores.loc[i, ["H000", "H003"]].astype(float)
        np.testing.assert_allclose(found.difference.sum(axis=0), expected, rtol=1e-5)
        assert found.start == scores.loc[i, "window_start"] + 6 * 128
        assert found.end == found.start + 20 * 128


def test_float32_gives_the_same_for_a_strong_variant_of_the_shipped_model(tmp_path):
    text = "chr22:20112513:T:TG"
    found = predict_variant(parse_variant(text), EXAMPLES / "chr22.fa.gz", ["0-7"], model="enformer-tiny")
    header = HEADER.replace("=z>", "=chr22>")
    (tmp_path / "in.vcf").write_text(header + "chr22\t20112513\t.\tT\tTG\t.\t.\t.\n")
    score_vcf(tmp_path / "in.vcf", EXAMPLES / "chr22.fa.gz", tmp_path / "out.parquet", model="enformer-tiny")
    scores = pd.read_parquet(tmp_path / "out.parquet").filter(like="SIM_").iloc[0]
    assert found.ref.shape == (896, 8)
    np.testing.assert_allclose(found.difference.sum(axis=0), scores.to_numpy(float), rtol=1e-4)
    # left of an insertion, far from it, nothing changes; both strands see the same landscape
    assert np.abs(found.difference[:400]).max() < 0.1 * np.abs(found.difference).max()
    forward = predict_variant(parse_variant(text), EXAMPLES / "chr22.fa.gz", ["0-7"], model="enformer-tiny", rc=False)
    for track in range(8):
        assert np.corrcoef(found.ref[:, track], forward.ref[:, track])[0, 1] > 0.9


def test_exchanging_the_alleles_exchanges_the_predictions(bases, fasta, small_model, tmp_path):
    spelled = next(variants_of(bases))
    chrom, pos, ref, alt = spelled.split(":")
    at = int(pos) - 1
    (tmp_path / "other.fa").write_text(f">z\n{bases[:at]}{alt}{bases[at + 1 :]}\n")
    one = predict_variant(parse_variant(spelled), fasta, ["H001"], model=str(small_model))
    other = predict_variant(parse_variant(f"{chrom}-{pos}-{alt}-{ref}"), tmp_path / "other.fa", ["H001"],
                            model=str(small_model))  # fmt: skip
    np.testing.assert_array_equal(one.ref, other.alt)
    np.testing.assert_array_equal(one.difference, -other.difference)
    assert np.abs(one.difference).max() > 0


@pytest.mark.parametrize(
    ("variant", "message"),
    [
        ("z:9001:A:C", "z:9001:A:C cannot be predicted: the position or the end of REF lies outside"),
        ("y:5:A:C", "no such contig"),
        ("z:5:A:<DEL>", "is no variant"),
        ("z:5:N:C", "other than A, C, G and T"),
    ],
)
def test_what_cannot_be_predicted_is_said(variant, message, fasta, small_model):
    with pytest.raises(VcfError, match=message):
        predict_variant(parse_variant(variant), fasta, ["H001"], model=str(small_model))


def test_a_ref_that_is_not_the_references_is_said(bases, fasta, small_model):
    wrong = "A" if bases[4499] != "A" else "C"
    with pytest.raises(VcfError, match="genome build"):
        predict_variant(parse_variant(f"z:4500:{wrong}:G"), fasta, ["H001"], model=str(small_model))


def test_too_many_tracks_and_missing_weights_are_said(bases, fasta, small_model, tmp_path):
    variant = parse_variant(next(variants_of(bases)))
    with pytest.raises(OptionError, match="7 tracks are selected, and there is room for 3"):
        predict_variant(variant, fasta, ["."], model=str(small_model), most_tracks=3)
    with pytest.raises(VarscoreError, match="no such weights file"):
        predict_variant(variant, fasta, ["H001"], model=str(small_model), weights=tmp_path / "none.bin")
