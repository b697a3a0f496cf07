"""Inputs that nobody meant to write: drawn VCFs, and files with a few bytes changed."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.mutate import KINDS, run
from varscore import score_vcf
from varscore.engine.difference_scorer import DifferenceScorer
from varscore.engine.windows import Scores

BASES = "ACGTTGCAAC" * 900


def test_two_thousand_damaged_inputs():
    outcomes, bad = run(2_000, seed=2)
    assert bad == []
    assert sum(outcomes.values()) == 2_000
    # both ends are met with every kind, so the test can fail
    assert {outcome.split(":")[0] for outcome in outcomes if "refused" in outcome} == set(KINDS)
    assert {outcome.split(":")[0] for outcome in outcomes if "read" in outcome} >= set(KINDS) - {"bcf", "weights.bin"}


@pytest.mark.parametrize("number", [2464, 31618, 47797])
def test_inputs_that_once_ended_badly(number):
    """Of seed 1: gzip that pysam takes for BGZF at first, and a checkpoint whose pickle calls with other arguments."""
    outcomes, bad = run(1, first=number)
    assert bad == []
    assert sum(outcomes.values()) == 1


@st.composite
def records(draw: st.DrawFn) -> tuple[str, int]:
    """A line of a VCF, and how many rows it is worth."""
    chrom = draw(st.sampled_from(["z", "chrz", "chr1", "HLA-A*01:01", "other"]))
    pos = draw(st.integers(1, 9_100))
    sequence = st.text("ACGT", min_size=1, max_size=8)
    ref = BASES[pos - 1 : pos - 1 + draw(st.integers(1, 4))] if pos <= 9_000 and draw(st.booleans()) else draw(sequence)
    odd = st.sampled_from(["*", "<DEL>", "<INS:ME>", "N", "]z:7]A", "G[z:99[", ".A", "acgt", "A" * 5_000, "RYK"])
    alts = draw(st.one_of(st.just([]), st.lists(st.one_of(sequence, odd), min_size=1, max_size=4)))
    fields = [chrom, str(pos), draw(st.sampled_from([".", "rs1", "rs1;rs2"])), ref or "A", ",".join(alts) or "."]
    fields += draw(st.sampled_from([[".", ".", "."], ["50", "PASS", "AC=1"], ["3.5", "q10", "."]]))
    return "\t".join(fields), max(1, len(alts))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=st.lists(records(), max_size=12),
    end=st.sampled_from(["\n", "\r\n"]),
    version=st.sampled_from(["VCFv4.1", "VCFv4.2", "VCFv4.5"]),
    named=st.booleans(),
)
def test_every_alt_of_a_drawn_vcf_is_a_row(lines, end, version, named, small_model, tmp_path_factory):
    """Unsorted, repeated, with contigs that no header names; through the whole line, but for the network."""
    folder: Path = tmp_path_factory.mktemp("drawn")
    header = [
        f"##fileformat={version}",
        "##FILTER=<ID=q10,Description=x>",
        '##INFO=<ID=AC,Number=A,Type=Integer,Description="">',
    ]
    header += [f"##contig=<ID={name}>" for name in ("z", "chrz", "chr1", "HLA-A*01:01", "other") if named]
    text = end.join([*header, "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO", *(line for line, _ in lines), ""])
    vcf = folder / "in.vcf"
    vcf.write_bytes(text.encode())
    (folder / "genome.fa").write_text(f">z\n{BASES}\n>chr1\n{BASES[::-1]}\n")
    if lines and not any(line.split("\t")[0] in ("z", "chrz", "chr1") for line, _ in lines):
        return  # no contig in common is an error
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(
            DifferenceScorer, "score", lambda _scorer, _reference, jobs, _done: Scores(np.zeros((len(jobs), 1, 7)), [])
        )
        summary = score_vcf(vcf, folder / "genome.fa", folder / "out.parquet", model=str(small_model), part_size=5)
    expected = [
        (line.split("\t")[0], int(line.split("\t")[1]), alt)
        for line, _ in lines
        for alt in line.split("\t")[4].split(",")
    ]
    found = pd.read_parquet(folder / "out.parquet")
    assert list(found[["chrom", "pos", "alt"]].itertuples(index=False, name=None)) == expected
    assert summary.alleles == sum(rows for _, rows in lines) == len(expected)
    if shutil.which("bcftools"):
        listed = subprocess.run(["bcftools", "query", "-f", "%ALT\n", vcf], capture_output=True, text=True, check=True)
        assert sum(line.count(",") + 1 for line in listed.stdout.splitlines()) == len(expected)
    shutil.rmtree(folder)
