from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pysam
import pytest

SHARED = Path(__file__).resolve().parents[2].parent / "shared"

VCF_HEADER = (
    "##fileformat=VCFv4.2\n"
    '##FILTER=<ID=q10,Description="low quality">\n'
    "##contig=<ID=chr1,length=1000>\n"
    "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
)


def vcf_text(*records: str) -> str:
    """A VCF of records written as `chrom pos id ref alt [filter]`."""
    lines = []
    for record in records:
        chrom, pos, name, ref, alt, *filters = record.split()
        lines.append("\t".join([chrom, pos, name, ref, alt, ".", *(filters or ["."]), "."]) + "\n")
    return VCF_HEADER + "".join(lines)


def bgzip(path: Path) -> Path:
    target = path.with_name(path.name + ".gz")
    pysam.tabix_compress(str(path), str(target), force=True)
    return target


@pytest.fixture
def write_fasta(tmp_path: Path) -> Callable[..., Path]:
    """Writes sequences, given by name, as a FASTA with lines of 60 bases."""

    def write(sequences: dict[str, str], name: str = "reference.fa") -> Path:
        path = tmp_path / name
        with path.open("w") as file:
            for contig, sequence in sequences.items():
                lines = [sequence[i : i + 60] for i in range(0, len(sequence), 60)]
                file.write(f">{contig} description\n" + "".join(line + "\n" for line in lines))
        return path

    return write


@pytest.fixture
def write_vcf(tmp_path: Path) -> Callable[..., Path]:
    def write(*records: str) -> Path:
        path = tmp_path / "variants.vcf"
        path.write_text(vcf_text(*records))
        return path

    return write


def _shared_folder(name: str) -> Path:
    folder = SHARED / "data" / name
    if not folder.exists():
        pytest.skip(f"the shared data folder {name} is not beside this checkout")
    return folder


@pytest.fixture(scope="session")
def kgp() -> Path:
    """16,376 real records on the 700,000 bases of contig z."""
    return _shared_folder("kgp_chr20")


@pytest.fixture(scope="session")
def chr22() -> Path:
    """1,864 real SNVs on chr22; the FASTA holds 1 Mb of it under the name of the extract."""
    return _shared_folder("chr22")


@pytest.fixture(scope="session")
def kgp_rows(kgp: Path) -> list[tuple[str, int, str | None, str, str]]:
    """One row per ALT, parsed from the text without any VCF library."""
    rows = []
    with gzip.open(kgp / "variants.vcf.gz", "rt") as lines:
        for line in lines:
            if not line.startswith("#"):
                chrom, pos, name, ref, alts = line.split("\t", 5)[:5]
                rows += [(chrom, int(pos), None if name == "." else name, ref, alt) for alt in alts.split(",")]
    return rows


@pytest.fixture(scope="session")
def kgp_sequence(kgp: Path) -> str:
    with gzip.open(kgp / "region.fa.gz", "rt") as lines:
        return "".join(line.strip() for line in lines if not line.startswith(">"))
