"""The VCF to score, and the sequences rebuilt from REF."""

from functools import cache

import numpy as np
import pandas as pd
import pysam
import pytest

from varscore import score_vcf
from varscore.analysis.mpra.tables import read_mpra
from varscore.analysis.mpra.variants import (
    FastaBases,
    RebuiltElements,
    bgzipped,
    check_reference,
    vcf_alleles,
    vcf_name,
)
from varscore.errors import TableError
from varscore.genome.reference import Reference
from varscore.genome.vcf import read_variants

COMPLEMENT = str.maketrans("ACGT", "TGCA")


def table(*alleles: str, element: str = "e") -> pd.DataFrame:
    """Rows of `z 10 A C`."""
    split = [allele.split() for allele in alleles]
    return pd.DataFrame(
        {"element": element, "chrom": [c for c, *_ in split], "pos": [int(p) for _, p, *_ in split],
         "ref": [r for _, _, r, _ in split], "alt": [a for *_, a in split]}
    )  # fmt: skip


def records(rows: pd.DataFrame) -> list[tuple]:
    found = vcf_alleles(rows, RebuiltElements(rows)).alleles
    return list(found.itertuples(index=False, name=None))


def test_deletions_get_the_base_before_or_else_after():
    rows = table("z 10 A -", "z 11 C -", "z 12 G T", "z 11 C G", "z 12 GT -")
    assert records(rows) == [
        ("z", 10, "AC", "A", "e"),
        ("z", 10, "AC", "C", "e"),
        ("z", 11, "C", "G", "e"),
        ("z", 11, "CGT", "C", "e"),
        ("z", 12, "G", "T", "e"),
    ]


def test_a_deletion_that_no_vcf_can_say_is_counted():
    rows = table("z 10 A -", "z 12 G -", "z 13 G C")
    made = vcf_alleles(rows, RebuiltElements(rows))
    assert made.lost == 1
    assert list(made.alleles["pos"]) == [12, 13]


def test_elements_share_alleles_and_sequences(tmp_path):
    rows = pd.concat([
        table("2 10 A C", "2 11 G -", element="a"), table("2 10 A C", "2 13 T A", element="b"),
        table("2 500 T A", "10 5 C A", "X 7 C A", "GL1 3 T C", element="c"),
    ])  # fmt: skip
    rebuilt = RebuiltElements(rows)
    assert [(s.name, s.bases) for s in rebuilt.sequences] == [
        ("chr2:10-13", "AGNT"), ("chr2:500-500", "T"), ("chr10:5-5", "C"), ("GL1:3-3", "T"), ("chrX:7-7", "C"),
    ]  # fmt: skip
    assert rebuilt.fasta().splitlines()[:2] == [">chr2:10-13", "AGNT"]
    made = vcf_alleles(rows, rebuilt)
    assert made.alleles.iloc[0].tolist() == ["chr2", 10, "A", "C", "a,b"]
    (tmp_path / "v.vcf.gz").write_bytes(bgzipped(made.text()))
    read = [(v.chrom, v.pos, v.ref, v.alt) for v in read_variants(tmp_path / "v.vcf.gz")]
    assert read == list(made.alleles.iloc[:, :4].itertuples(index=False, name=None))
    with pysam.VariantFile(str(tmp_path / "v.vcf.gz")) as file:
        assert next(iter(file)).info["ELEMENT"] == ("a", "b")


def test_names_of_chromosomes():
    assert [vcf_name(name) for name in ("1", "chr22", "X", "MT", "chrM", "z", "GL000009.2")] == [
        "chr1", "chr22", "chrX", "chrM", "chrM", "z", "GL000009.2",
    ]  # fmt: skip


def test_rows_that_disagree_are_refused():
    with pytest.raises(TableError, match="z:11: rows disagree on REF"):
        RebuiltElements(table("z 10 AC -", "z 11 G T"))


@pytest.fixture(scope="module")
def kircher(shared):
    return read_mpra([shared / "data/kircher/elements.tsv.gz"])


@pytest.mark.parametrize("build", ["GRCh37", "GRCh38"])
def test_every_row_agrees_with_its_rebuilt_element(kircher, tmp_path, build):
    """Read back from the FASTA, and every deletion by cutting it out of the sequence."""
    rows = kircher.of_build(build).rows
    rebuilt = RebuiltElements(rows)
    assert len(rebuilt.sequences) == 21
    (tmp_path / "elements.fa").write_text(rebuilt.fasta())
    with pysam.FastaFile(str(tmp_path / "elements.fa")) as fasta:
        sequences = {name: fasta.fetch(name) for name in fasta.references}
    starts = {name: int(name.split(":")[1].split("-")[0]) for name in sequences}

    @cache
    def find(chrom: str, pos: int) -> tuple[str, int]:
        names = [name for name in sequences if name.split(":")[0] == chrom
                 and 0 <= pos - starts[name] < len(sequences[name])]  # fmt: skip
        assert len(names) == 1
        return sequences[names[0]], pos - starts[names[0]]

    measured = set()
    for chrom, pos, ref, alt in zip(rows["chrom"], rows["pos"], rows["ref"], rows["alt"], strict=True):
        sequence, at = find(f"chr{chrom}", pos)
        assert sequence[at] == ref
        measured.add(f"{chrom} {sequence[:at]}{alt.replace('-', '')}{sequence[at + 1 :]}")
    made = vcf_alleles(rows, rebuilt)
    assert made.lost == 0
    scored = set()
    for chrom, pos, ref, alt in made.alleles.iloc[:, :4].itertuples(index=False, name=None):
        sequence, at = find(chrom, pos)
        assert sequence[at:].startswith(ref)
        scored.add(f"{chrom.removeprefix('chr')} {sequence[:at]}{alt}{sequence[at + len(ref) :]}")
    assert scored == measured
    assert sum(sequence.count("N") for sequence in sequences.values()) == 1  # of TCF7L2


def test_both_builds_have_the_same_elements(kircher):
    """GRCh38 turned the region of MSMB round."""
    old, new = (
        {s.bases for s in RebuiltElements(kircher.of_build(build).rows).sequences} for build in ("GRCh37", "GRCh38")
    )
    [turned] = old - new
    assert new - old == {turned[::-1].translate(COMPLEMENT)}
    assert len(turned) == 591


@pytest.fixture
def genome(tmp_path):
    """z: 9,000 bases, and rows of some of its positions from 4,001 on."""
    bases = "".join(np.random.default_rng(3).choice(list("ACGT"), 9000))
    (tmp_path / "genome.fa").write_text(f">z\n{bases}\n")
    alleles = []
    for pos in range(4001, 4041):
        ref = bases[pos - 1]
        alleles += [f"z {pos} {ref} {'A' if ref != 'A' else 'G'}"] + [f"z {pos} {ref} -"] * (pos % 3 == 0)
    return tmp_path, bases, table(*alleles)


def test_a_reference_is_held_against_ref(genome, caplog):
    folder, bases, rows = genome
    with Reference(folder / "genome.fa", quiet=True) as reference:
        known = FastaBases(reference)
        assert "".join(known.base("z", pos) for pos in range(4001, 4041)) == bases[4000:4040]
        assert known.base("z", 9001) == known.base("y", 5) == "N"
        check_reference(rows, known, "genome.fa")
        assert not caplog.records
        other = {"A": "C", "C": "A", "G": "A", "T": "A"}
        one = rows.copy()
        one.loc[one["pos"] == 4020, "ref"] = other[bases[4019]]
        check_reference(one, known, "genome.fa")
        assert "1 of 40 positions have another REF than genome.fa, such as z:4020" in caplog.text
        moved = rows.assign(pos=rows["pos"] + 1)
        with pytest.raises(TableError, match=r"positions have another REF .* another genome build\? --build"):
            check_reference(moved, known, "genome.fa")
        rebuilt = vcf_alleles(rows[rows["pos"] > 4001], RebuiltElements(rows)).alleles
        pd.testing.assert_frame_equal(rebuilt, vcf_alleles(rows[rows["pos"] > 4001], known).alleles)


def test_few_positions_are_warned_of(genome, caplog):
    rows = genome[2]
    RebuiltElements(rows).warn_of_gaps()
    assert not caplog.records
    RebuiltElements(rows[rows["pos"] % 10 == 1]).warn_of_gaps()
    assert "REF tells 4 of 31 bases" in caplog.text


def test_rebuilt_elements_are_scored_as_if_n_were_around_them(genome, small_model):
    """The windows of the extract are filled with what a contig of N gives."""
    folder, bases, rows = genome
    rebuilt = RebuiltElements(rows)
    (folder / "v.vcf").write_text(vcf_alleles(rows, rebuilt).text())
    (folder / "elements.fa").write_text(rebuilt.fasta())
    (folder / "padded.fa").write_text(f">z\n{'N' * 4000}{bases[4000:4040]}{'N' * 4960}\n")
    scores = {}
    for name in ("elements", "padded", "genome"):
        score_vcf(folder / "v.vcf", folder / f"{name}.fa", folder / f"{name}.parquet", model=str(small_model))
        scores[name] = pd.read_parquet(folder / f"{name}.parquet")
    assert set(scores["elements"]["status"]) == {"scored"}
    assert len(scores["elements"]) == len(rows)
    pd.testing.assert_frame_equal(scores["elements"], scores["padded"])
    assert not np.allclose(scores["elements"]["H000"], scores["genome"]["H000"])
