"""The whole line on enformer-tiny, against the simulation that it was trained on: there every true effect is known.

The chromosome and its variants are drawn anew, with a seed that training did not use, and written as FASTA and VCF. The
truth is computed from windows that are put together here from the chromosome's text, not by varscore. `pytest -s` shows
the table that the model card quotes.
"""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from varscore import score_vcf

SIMULATION = Path(__file__).resolve().parents[1] / "models/enformer-tiny/simulation.py"
LENGTH, SEED, PER_MOTIF = 500_000, 20_260, 38
WINDOW, INDEX = 196_608, 98_303
HEADER = "##fileformat=VCFv4.2\n##contig=<ID=sim>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
REAL = 0.5
"""True effects above this count as effects. In read counts; losing one fully bound site costs 20."""


def load_simulation():
    spec = importlib.util.spec_from_file_location("enformer_tiny_simulation", SIMULATION)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


simulation = load_simulation()
IDENTIFIERS = [f"SIM_{name}" for name in simulation.IDENTIFIERS]
DISTAL = IDENTIFIERS[simulation.DISTAL_TRACK]
MOTIF_TRACKS = [IDENTIFIERS[track] for track in simulation.MOTIF_TRACKS]


@dataclass
class Effects:
    """Variants by row. `true` and `found` have a column for each track; `drawn_for` is the motif in question."""

    drawn_for: pd.Series
    is_indel: pd.Series
    true: pd.DataFrame
    found: pd.DataFrame

    def compared(self, track: str) -> pd.Series:
        """The variants that a track is judged by: all drawn for its motif, and all that change it truly.

        All drawn for it, so that a false effect counts as much as a missed one: a variant in a flank or in a weak site
        may truly do next to nothing. Not simply all 200: a variant elsewhere has a true effect of some 1e-4, and its
        rank among others of that kind is the rounding of the truth itself. Every motif opens chromatin, so SIM_DNASE is
        judged by all variants.
        """
        if track == "SIM_DNASE":
            return pd.Series(True, self.true.index)
        return (self.drawn_for == track) | (self.true[track].abs() > REAL)


def trimmed(chromosome: str, start: int, ref: str, alt: str) -> tuple[int, str, str]:
    """The spelling that windows are built from: what both alleles end with is cut off, then what they begin with.

    An indel is given an anchor base again, so one spelled `ACA A` becomes one of `AC` with the base before as anchor.
    """
    while ref[-1] == alt[-1]:
        ref, alt = ref[:-1], alt[:-1]
        if not (ref and alt):
            start -= 1
            ref, alt = chromosome[start] + ref, chromosome[start] + alt
            break
    while min(len(ref), len(alt)) > 1 and ref[0] == alt[0]:
        start, ref, alt = start + 1, ref[1:], alt[1:]
    return start, ref, alt


def true_effect(chromosome: str, start: int, ref: str, alt: str) -> np.ndarray:
    """Summed coverage of the alternative window minus that of the reference window: [tracks]."""
    left = chromosome[start - INDEX : start]
    right = chromosome[start + len(ref) : start + WINDOW]
    sums = []
    for allele in (ref, alt):
        codes = np.array(["ACGT".index(base) for base in (left + allele + right)[:WINDOW]], np.uint8)
        sums.append(simulation.tracks_of(codes)["human"].double().sum(dim=0).numpy())
    return sums[1] - sums[0]


def spearman(x: pd.Series, y: pd.Series) -> float:
    return float(np.corrcoef(x.rank(), y.rank())[0, 1])


@pytest.fixture(scope="module")
def effects(tmp_path_factory) -> Effects:
    folder = tmp_path_factory.mktemp("planted")
    rng = np.random.default_rng(SEED)
    codes, sites = simulation.draw_sequence(LENGTH, rng)
    variants = simulation.draw_variants(codes, sites, PER_MOTIF, rng)
    chromosome = "".join("ACGT"[code] for code in codes)
    lines = [chromosome[i : i + 60] for i in range(0, LENGTH, 60)]
    (folder / "simulated.fa").write_text("\n".join([">sim", *lines]) + "\n")
    rows = [f"sim\t{start + 1}\t.\t{ref}\t{alt}\t.\t.\t." for start, ref, alt, _ in variants]
    (folder / "planted.vcf").write_text(HEADER + "\n".join(rows) + "\n")

    output = folder / "scores.parquet"
    score_vcf(folder / "planted.vcf", folder / "simulated.fa", output, model="enformer-tiny")
    found = pd.read_parquet(output)
    assert list(found["pos"]) == [start + 1 for start, *_ in variants]
    assert (found["status"] == "scored").all()
    spelled = [trimmed(chromosome, start, ref, alt) for start, ref, alt, _ in variants]
    assert list(found["window_start"]) == [start - INDEX for start, *_ in spelled]

    true = [true_effect(chromosome, *variant) for variant in spelled]
    return Effects(
        drawn_for=pd.Series([f"SIM_{simulation.NAMES[motif]}" for *_, motif in variants]),
        is_indel=pd.Series([len(ref) != len(alt) for _, ref, alt, _ in variants]),
        true=pd.DataFrame(true, columns=IDENTIFIERS),
        found=found[IDENTIFIERS],
    )


def test_there_is_enough_to_compare(effects):
    assert len(effects.true) >= 200
    assert effects.is_indel.sum() >= 60
    assert (~effects.is_indel).sum() >= 60
    assert all(effects.compared(track).sum() >= 30 for track in MOTIF_TRACKS)
    # both signs: sites are lost, and new ones appear
    assert all((effects.true[track] > REAL).any() and (effects.true[track] < -REAL).any() for track in MOTIF_TRACKS)


@pytest.mark.parametrize("track", MOTIF_TRACKS)
def test_a_motif_tracks_scores_rank_variants_as_the_truth_does(track, effects):
    these = effects.compared(track)
    assert spearman(effects.found.loc[these, track], effects.true.loc[these, track]) >= 0.8


def test_so_do_all_motif_tracks_together(effects):
    true, found = (frame[MOTIF_TRACKS].stack() for frame in (effects.true, effects.found))
    real = true.abs() > REAL
    assert real.sum() >= 300
    assert spearman(found[real], true[real]) >= 0.8


def test_the_distal_track_is_reported(effects):
    """Enhancers act from afar there, which so small a network learns only in part: a number, not a promise."""
    real = effects.true[DISTAL].abs() > REAL
    assert real.sum() >= 30
    assert np.isfinite(spearman(effects.found.loc[real, DISTAL], effects.true.loc[real, DISTAL]))


def test_the_table_of_the_model_card(effects):
    sets = {track: effects.compared(track) for track in MOTIF_TRACKS}
    sets[DISTAL] = effects.true[DISTAL].abs() > REAL
    print(f"\n{len(effects.true)} variants, {effects.is_indel.sum()} of them indels")
    print(f"{'track':<10} {'n':>4} {'Spearman':>9} {'Pearson':>8}")
    for track, these in sets.items():
        found, true = effects.found.loc[these, track], effects.true.loc[these, track]
        pearson = np.corrcoef(found, true)[0, 1]
        print(f"{track:<10} {these.sum():>4} {spearman(found, true):>9.3f} {pearson:>8.3f}")
    true, found = (frame[MOTIF_TRACKS].stack() for frame in (effects.true, effects.found))
    real = true.abs() > REAL
    pearson = np.corrcoef(found[real], true[real])[0, 1]
    print(f"{'pooled':<10} {real.sum():>4} {spearman(found[real], true[real]):>9.3f} {pearson:>8.3f}")
