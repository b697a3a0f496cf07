"""The example data, and the commands that examples/README.md shows."""

import collections
import gzip
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pysam
import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
CONTIG, FIRST = "chr22:20000001-21000000", 20_000_001
WINDOW = 196_608


@pytest.fixture(scope="module")
def sequence() -> str:
    with pysam.FastaFile(str(EXAMPLES / "chr22.fa.gz")) as fasta:
        assert list(fasta.references) == [CONTIG]
        return fasta.fetch(CONTIG)


def alleles_of(name: str) -> list[tuple[int, str, str, str]]:
    with pysam.VariantFile(str(EXAMPLES / name)) as vcf:
        return [(record.pos, str(record.id), str(record.ref), alt) for record in vcf for alt in record.alts or ()]


@pytest.fixture(scope="module")
def alleles() -> list[tuple[int, str, str, str]]:
    return alleles_of("chr22.vcf.gz")


def kinds(alleles: list[tuple[int, str, str, str]]) -> dict[str, int]:
    sizes = [len(alt) - len(ref) for _, _, ref, alt in alleles]
    return collections.Counter("insertion" if size > 0 else "deletion" if size else "snv" for size in sizes)


def test_every_ref_is_the_fastas(sequence, alleles):
    assert len(sequence) == 1_000_000
    for pos, name, ref, alt in alleles:
        assert sequence[pos - FIRST :].startswith(ref), name
        assert set(ref + alt) <= set("ACGT"), name
        assert ref != alt, name
        assert len(ref) == len(alt) == 1 or (ref[0] == alt[0] and 1 in (len(ref), len(alt))), name


def test_all_variants_are_there_in_order(alleles):
    assert kinds(alleles) == {"snv": 3174, "deletion": 187, "insertion": 141}
    assert len({name for _, name, _, _ in alleles}) == 3430
    assert len({(pos, ref, alt) for pos, _, ref, alt in alleles}) == 3502
    assert all(re.fullmatch(r"rs\d+", name) for _, name, _, _ in alleles)
    positions = [pos for pos, *_ in alleles]
    assert positions == sorted(positions)


def test_the_index_finds_variants():
    with pysam.VariantFile(str(EXAMPLES / "chr22.vcf.gz")) as vcf:
        assert vcf.header.contigs["chr22"].length == 51_304_566
        [record] = vcf.fetch("chr22", 20_203_667, 20_203_668)
        assert (record.id, record.ref, record.alts) == ("rs17746176", "C", ("A", "G", "T"))
        assert len(list(vcf.fetch("chr22", 20_999_000, 21_000_000))) == 2


def test_the_demo_is_part_of_it(alleles):
    demo = alleles_of("demo.vcf")
    assert set(demo) <= set(alleles)
    assert [allele for allele in alleles if allele in set(demo)] == demo
    assert kinds(demo) == {"snv": 16, "insertion": 5, "deletion": 3}
    assert len({name for _, name, _, _ in demo}) == 22


def test_it_is_small():
    assert sum(path.stat().st_size for path in EXAMPLES.iterdir() if path.is_file()) < 600_000


def test_it_is_what_make_example_makes(shared, tmp_path):
    """From another copy of the same two source files. Compressed bytes may differ with the version of htslib."""
    for source in ("chr22_20-21M.fa", "dbsnp_20-21M.snp"):
        (tmp_path / source).write_bytes(gzip.decompress((shared / f"data/chr22/{source}.gz").read_bytes()))
    script = [sys.executable, str(EXAMPLES / "make_example.py"), "chr22_20-21M.fa", "dbsnp_20-21M.snp", "made"]
    subprocess.run(script, cwd=tmp_path, check=True)
    made = tmp_path / "made"
    data = {"chr22.fa.gz", "chr22.fa.gz.fai", "chr22.fa.gz.gzi", "chr22.vcf.gz", "chr22.vcf.gz.tbi", "demo.vcf"}
    assert {path.name for path in made.iterdir()} == data
    assert {
        path.name for path in EXAMPLES.iterdir() if path.is_file() and path.suffix not in {".py", ".R", ".md", ".svg"}
    } == data
    for name in ("chr22.fa.gz", "chr22.vcf.gz"):
        assert gzip.decompress((made / name).read_bytes()) == gzip.decompress((EXAMPLES / name).read_bytes())
    assert (made / "demo.vcf").read_text() == (EXAMPLES / "demo.vcf").read_text()


@dataclass
class Shown:
    """What examples/README.md shows of its commands, what they printed when they were run, and the folder."""

    folder: Path
    expected: dict[str, list[str]]
    printed: dict[str, list[str]]


@pytest.fixture(scope="module")
def shown(tmp_path_factory) -> Shown:
    folder = tmp_path_factory.mktemp("examples")
    (folder / "examples").symlink_to(EXAMPLES)
    # the commands as a person types them, of the Python that runs the tests; the README shows a run on a CPU
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "CUDA_VISIBLE_DEVICES": ""}
    blocks = re.findall(r"^```text\n\$ (.+)\n((?:.*\n)*?)```$", (EXAMPLES / "README.md").read_text(), re.MULTILINE)
    expected = {command: output.splitlines() for command, output in blocks}
    printed = {}
    for command in expected:
        run = subprocess.run(command, shell=True, cwd=folder, env=environment, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        printed[command] = (run.stdout + run.stderr).splitlines()
    return Shown(folder, expected, printed)


def same_line(one: str, other: str) -> bool:
    """Whether the words are the same, and the numbers nearly."""

    def same(left: str, right: str) -> bool:
        try:
            return float(left) == pytest.approx(float(right), abs=0.02)
        except ValueError:
            return left == right

    if "seconds per allele" in one:
        return "seconds per allele" in other
    left, right = one.split(), other.split()
    return len(left) == len(right) and all(map(same, left, right))


def test_the_commands_print_what_the_readme_shows(shown):
    assert [command.split()[0] for command in shown.expected] == ["varscore", "python", "varscore"]
    for command, lines in shown.expected.items():
        assert lines
        for line in lines:
            # not in this order: near ties may fall either way
            assert any(same_line(line, printed) for printed in shown.printed[command]), line


def test_every_allele_of_the_demo_is_scored_without_n(shown, sequence):
    scores = pd.read_parquet(shown.folder / "scores.parquet")
    assert list(scores[["pos", "id", "ref", "alt"]].itertuples(index=False, name=None)) == alleles_of("demo.vcf")
    assert set(scores["status"]) == {"scored"}
    for start in scores["window_start"] + 1 - FIRST:
        assert 0 <= start < len(sequence) - WINDOW
        assert "N" not in sequence[start : start + WINDOW]


def test_rank_prints_the_strongest_pairs(shown):
    scores = pd.read_parquet(shown.folder / "scores.parquet")
    tracks = [name for name in scores if str(name).startswith("SIM_")]
    expected = set()
    for kind in (True, False):
        of_kind = scores[(scores["ref"].str.len() == scores["alt"].str.len()) == kind].set_index(["id", "alt"])
        for track in tracks:
            scaled = of_kind[track] / of_kind[track].std()
            expected |= {(*key, track, round(value, 2)) for key, value in scaled.items()}
    strongest = sorted((abs(value) for *_, value in expected), reverse=True)[:5]
    run = subprocess.run(
        [sys.executable, str(EXAMPLES / "rank.py"), "scores.parquet", "5"],
        cwd=shown.folder, capture_output=True, text=True, check=True,
    )  # fmt: skip
    header, *lines = [line.split() for line in run.stdout.splitlines()]
    assert header == ["chrom", "pos", "id", "ref", "alt", "track", "SAD", "in", "SD", "description"]
    assert [abs(float(line[7])) for line in lines] == pytest.approx(strongest, abs=0.011)
    assert lines[0][8].startswith("CHIP:")
    assert "(simulated human)" in run.stdout


def test_the_scripts_for_users_are_short():
    assert all(len((EXAMPLES / name).read_text().splitlines()) <= 40 for name in ("rank.py", "rank.R", "plot.R"))


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="R is not installed")
@pytest.mark.parametrize(("chromosomes", "output"), [(1, "scores.png"), (3, "more.png"), (1, "scores.pdf")])
def test_plot_draws_in_r(tmp_path, chromosomes, output):
    """With a stand-in for nanoparquet::read_parquet, which reads text: R's packages need not be there."""
    draw = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"chrom": [f"chr{1 + i * chromosomes // 90}" for i in range(90)], "pos": range(1000, 91000, 1000)}
    )
    frame = frame.assign(id=None, ref="A", alt=["G", "GT", "C"] * 30, status=["scored"] * 89 + ["symbolic"])
    frame["SIM_AP-1"] = [*draw.standard_t(3, 89), np.nan]
    frame.to_csv(tmp_path / "scores.csv", index=False, na_rep="NA")
    stand_in = (
        "`::` <- function(package, name) function(file, col_select) read.csv(file, check.names = FALSE)[col_select]"
    )
    run = subprocess.run(
        ["Rscript", "-e", f"{stand_in}; source('{EXAMPLES / 'plot.R'}')", "scores.csv", "SIM_AP-1", output],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert (run.returncode, run.stderr) == (0, "")
    drawn = (tmp_path / output).read_bytes()
    if output.endswith(".pdf"):
        assert drawn.startswith(b"%PDF")
        return
    image = pytest.importorskip("matplotlib.image").imread(tmp_path / output)
    assert image.shape[:2] == (560, 1400)
    for colour in ("0072B2", "E69F00"):
        wanted = np.frombuffer(bytes.fromhex(colour), np.uint8) / 255
        assert (np.abs(image[..., :3] - wanted).max(axis=-1) < 0.01).sum() > 500, colour
