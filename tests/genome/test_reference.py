from __future__ import annotations

import gzip
import hashlib
import os
import random
from collections.abc import Callable
from pathlib import Path

import pysam
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from varscore.errors import FastaError
from varscore.genome import reference as reference_module
from varscore.genome.contigs import Stretch
from varscore.genome.encoding import decode
from varscore.genome.reference import Reference

from .conftest import bgzip

SEQUENCES = {
    "chr1": "".join(random.Random(2).choices("ACGTNacgtn", k=1000)),
    "chr2": "ACGT",
    "chr3:11-70": "G" * 60,
    "chr3:101-161": "T" * 61,
}

WriteFasta = Callable[..., Path]


def bases(reference: Reference, chrom: str, start: int, end: int) -> str:
    stretch = reference.stretch(chrom, start)
    assert stretch is not None
    return decode(reference.codes(stretch, start, end))


def normal(sequence: str) -> str:
    return sequence.upper()


@pytest.mark.parametrize("compress", [False, True], ids=["plain", "bgzf"])
def test_contigs_and_codes(write_fasta: WriteFasta, compress: bool) -> None:
    path = write_fasta(SEQUENCES)
    with Reference(bgzip(path) if compress else path) as reference:
        assert reference.contigs == {name: len(sequence) for name, sequence in SEQUENCES.items()}
        for name, sequence in SEQUENCES.items():
            assert bases(reference, name, 0, len(sequence)) == normal(sequence)
        assert bases(reference, "1", -3, 5) == "NNN" + normal(SEQUENCES["chr1"][:5])
        assert bases(reference, "2", 2, 8) == "GTNNNN"
        assert bases(reference, "2", -8, -3) == "NNNNN"
        assert bases(reference, "2", 700, 703) == "NNN"
        assert bases(reference, "2", 1, 1) == ""
        assert bases(reference, "chr3", 8, 13) == "NNGGG"
        assert bases(reference, "3", 158, 163) == "TTTNN"


@given(start=st.integers(-50, 1050), length=st.integers(0, 300))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_codes_across_blocks(write_fasta: WriteFasta, monkeypatch: pytest.MonkeyPatch, start: int, length: int) -> None:
    monkeypatch.setattr(reference_module, "BLOCK", 64)
    path = write_fasta(SEQUENCES)
    with Reference(path, cached_blocks=2) as reference:
        padded = "N" * 400 + normal(SEQUENCES["chr1"]) + "N" * 400
        assert bases(reference, "chr1", start, start + length) == padded[400 + start : 400 + start + length]
        assert reference.digest("chr1") == hashlib.md5(SEQUENCES["chr1"].upper().encode()).hexdigest()


def test_codes_may_be_changed_by_the_caller(write_fasta: WriteFasta) -> None:
    with Reference(write_fasta(SEQUENCES)) as reference:
        stretch = reference.stretch("chr2", 0)
        assert stretch is not None
        reference.codes(stretch, 0, 4)[:] = 4
        assert decode(reference.codes(stretch, 0, 4)) == "ACGT"


def test_stretch(write_fasta: WriteFasta, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="varscore")
    path = write_fasta(SEQUENCES)
    with Reference(path) as reference:
        caplog.clear()
        first, second = Stretch("chr3:11-70", 10, 60, whole=False), Stretch("chr3:101-161", 100, 61, whole=False)
        assert [reference.stretch("3", p) for p in (10, 69, 70, 99, 100, 160, 161, 0)] == [
            first, first, first, first, second, second, first, first,
        ]  # fmt: skip
        assert reference.stretch("1", 5) == reference.stretch("1", 5) == Stretch("chr1", 0, 1000, whole=True)
        assert reference.stretch("chr2", 5000) == Stretch("chr2", 0, 4, whole=True)
        assert reference.stretch("chr9", 5) is None
        assert reference.stretch("chr9", 6) is None
    assert caplog.messages == [
        "VCF contig '3' from 11 to 70 is FASTA contig 'chr3:11-70'",
        "VCF contig '3' from 101 to 161 is FASTA contig 'chr3:101-161'",
        "VCF contig '1' is FASTA contig 'chr1'",
        f"VCF contig 'chr9' is not in {path}",
    ]


def test_digests_are_m5_of_what_a_vcf_stands_on(write_fasta: WriteFasta) -> None:
    with Reference(write_fasta(SEQUENCES)) as reference:
        assert reference.digests(["chr9"]) == {}
        expected = {name: hashlib.md5(SEQUENCES[name].upper().encode()).hexdigest() for name in ("chr1", "chr2")}
        assert reference.digests(["2", "chr1"]) == expected
        assert list(reference.digests(["2", "chr1"])) == ["chr1", "chr2"]


@pytest.mark.parametrize("compress", [False, True], ids=["plain", "bgzf"])
def test_a_missing_index_is_made_and_used(write_fasta: WriteFasta, compress: bool) -> None:
    path = write_fasta(SEQUENCES)
    path = bgzip(path) if compress else path
    before = set(path.parent.iterdir())
    Reference(path).close()
    made = {p.name for p in set(path.parent.iterdir()) - before}
    assert made == {f"{path.name}.fai"} | ({f"{path.name}.gzi"} if compress else set())
    times = {name: (path.parent / name).stat().st_mtime_ns for name in made}
    Reference(path).close()
    assert times == {name: (path.parent / name).stat().st_mtime_ns for name in made}


@pytest.mark.parametrize("compress", [False, True], ids=["plain", "bgzf"])
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc, a folder that nobody can write to")
def test_an_index_that_cannot_be_written_is_temporary(
    write_fasta: WriteFasta, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compress: bool
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    path = write_fasta(SEQUENCES)
    with (bgzip(path) if compress else path).open("rb") as file:
        with Reference(f"/proc/self/fd/{file.fileno()}") as reference:
            assert bases(reference, "chr2", 0, 4) == "ACGT"
            assert len(list(scratch.glob("*/*.fai"))) == 1
        assert list(scratch.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder(write_fasta: WriteFasta) -> None:
    path = write_fasta(SEQUENCES)
    path.parent.chmod(0o555)
    try:
        with Reference(path) as reference:
            assert bases(reference, "chr2", 0, 4) == "ACGT"
    finally:
        path.parent.chmod(0o755)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b"##fileformat=VCFv4.2\n", "not a FASTA"),
        (b"@read\nACGT\n+\nIIII\n", "not a FASTA"),
        (gzip.compress(b">chr1\nACGT\n"), "recompress with bgzip"),
        (b">chr1\nACGT\nAC\nACGT\n", "lines are equally long"),
    ],
    ids=["empty", "blank", "VCF", "FASTQ", "gzip", "uneven"],
)
def test_not_a_usable_fasta(tmp_path: Path, content: bytes, message: str, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bad.fa"
    path.write_bytes(content)
    with pytest.raises(FastaError, match=rf"bad\.fa: .*{message}"):
        Reference(path)
    assert capfd.readouterr().err == ""
    assert [p.name for p in tmp_path.iterdir()] == ["bad.fa"]


def test_missing_folder_truncated(write_fasta: WriteFasta, tmp_path: Path) -> None:
    with pytest.raises(FastaError, match="no such file"):
        Reference(tmp_path / "none.fa")
    with pytest.raises(FastaError, match="not a regular file"):
        Reference(tmp_path)
    path = bgzip(write_fasta(SEQUENCES))
    path.write_bytes(path.read_bytes()[:-28])
    with pytest.raises(FastaError, match="truncated"):
        Reference(path)


@pytest.mark.parametrize("compress", [False, True], ids=["plain", "bgzf"])
@pytest.mark.parametrize(
    "changed",
    [
        {**SEQUENCES, "chr1": SEQUENCES["chr1"] + "A"},
        {**SEQUENCES, "chr1": SEQUENCES["chr1"][:-1]},
        {**SEQUENCES, "chr3:101-161": "T" * 59},
        {"chr9": "ACGT"},
        dict(reversed(SEQUENCES.items())),
    ],
    ids=["longer", "shorter", "cut", "other", "reordered"],
)
def test_stale_index(write_fasta: WriteFasta, changed: dict[str, str], compress: bool) -> None:
    path = write_fasta(SEQUENCES)
    Reference(bgzip(path) if compress else path).close()
    path = write_fasta(changed)
    path = bgzip(path) if compress else path
    with pytest.raises(FastaError, match=r"\.fai: .*remove .*\.fai.* made anew"):
        Reference(path)
    for suffix in (".fai", ".gzi"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    with Reference(path) as reference:
        assert list(reference.contigs) == list(changed)


def test_an_index_of_a_last_contig_that_got_one_more_line(write_fasta: WriteFasta) -> None:
    Reference(write_fasta({"chr1": "A" * 60})).close()
    with pytest.raises(FastaError, match="does not go with"):
        Reference(write_fasta({"chr1": "A" * 120}))


@pytest.mark.parametrize("index", ["", "chr1\n", "chr1\t5\tx\t60\t61\n", "chr2\t4\t0\t0\t0\n", "\0\0"])
def test_an_index_that_is_none(write_fasta: WriteFasta, index: str) -> None:
    path = write_fasta(SEQUENCES)
    path.with_name(path.name + ".fai").write_text(index)
    with pytest.raises(FastaError, match=r"\.fai: .*remove .*\.fai"):
        Reference(path)


def test_an_index_made_by_samtools_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "odd.fa"
    path.write_bytes(b">a desc\r\nACGT\r\nAC\r\n>empty\r\n>a\r\nTTTT\r\n>b\r\nGG\r\n\r\n")
    verbosity = pysam.set_verbosity(0)
    pysam.faidx(str(path))
    pysam.set_verbosity(verbosity)
    with Reference(path) as reference:
        assert bases(reference, "a", 0, 6) == "ACGTAC"
        assert bases(reference, "b", 0, 2) == "GG"


def test_damage_in_the_middle(write_fasta: WriteFasta) -> None:
    sequence = "".join(random.Random(3).choices("ACGT", k=300_000))
    path = bgzip(write_fasta({"chr1": sequence, "chr2": "ACGT"}))
    Reference(path).close()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with Reference(path) as reference, pytest.raises(FastaError, match="damaged"):
        bases(reference, "chr1", 0, 300_000)


def test_plain_and_bgzipped_are_equal_on_real_sequence(kgp: Path, kgp_sequence: str, tmp_path: Path) -> None:
    plain = tmp_path / "plain.fa"
    plain.write_text(f">z\n{kgp_sequence}\n")
    with Reference(plain) as a, Reference(kgp / "region.fa.gz") as b:
        assert bases(a, "z", -10, 700_010) == bases(b, "z", -10, 700_010) == "N" * 10 + kgp_sequence + "N" * 10
        assert a.digests("z") == b.digests("z") == {"z": hashlib.md5(kgp_sequence.encode()).hexdigest()}
