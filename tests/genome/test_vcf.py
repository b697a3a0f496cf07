from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path

import pysam
import pytest

from varscore.errors import VcfError
from varscore.genome.htslib import BGZF_EOF
from varscore.genome.regions import Region
from varscore.genome.variant import Variant
from varscore.genome.vcf import read_variants

from .conftest import VCF_HEADER, bgzip, vcf_text

RECORDS = ["chr1 10 rs1 A C", "chr1 20 . AT A,ATT", "chr1 30 x;y G ."]
ROWS = [("chr1", 10, "rs1", "A", "C"), ("chr1", 20, None, "AT", "A"), ("chr1", 20, None, "AT", "ATT"),
        ("chr1", 30, "x;y", "G", ".")]  # fmt: skip

READ_STDIN = """
from varscore.errors import VcfError
from varscore.genome.vcf import read_variants
try:
    print(sum(1 for _ in read_variants("-")))
except VcfError as error:
    print("VcfError:", error)
"""


def rows(variants: object) -> list[tuple]:
    return [astuple(variant) for variant in variants]  # pyright: ignore[reportGeneralTypeIssues]


def to_bcf(vcf: Path) -> Path:
    bcf = vcf.with_suffix(".bcf")
    with pysam.VariantFile(str(vcf)) as source, pysam.VariantFile(str(bcf), "wb", header=source.header) as target:
        for record in source:
            target.write(record)
    return bcf


def gzipped(vcf: Path) -> Path:
    path = vcf.with_suffix(".gzip.vcf.gz")
    path.write_bytes(gzip.compress(vcf.read_bytes()))
    return path


def read_piped(content: bytes) -> str:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    result = subprocess.run(
        [sys.executable, "-c", READ_STDIN], input=content, capture_output=True, env=environment, timeout=60, check=True
    )
    assert result.stderr == b""
    return result.stdout.decode().strip()


@pytest.fixture
def long_vcf(tmp_path: Path) -> Path:
    """8,000 records: more than one BGZF block, and more than a pipe holds."""
    path = tmp_path / "long.vcf"
    path.write_text(vcf_text(*(f"chr1 {pos} rs{pos * 7919 % 10_007} A C" for pos in range(1, 8001))))
    return path


@pytest.mark.parametrize("convert", [lambda path: path, bgzip, gzipped, to_bcf], ids=["vcf", "bgzf", "gzip", "bcf"])
def test_one_variant_per_alt_in_file_order(write_vcf: Callable[..., Path], convert: Callable[[Path], Path]) -> None:
    path = convert(write_vcf(*RECORDS))
    assert rows(read_variants(path)) == ROWS
    assert rows(read_variants(str(path))) == ROWS


def test_real_file(kgp: Path, kgp_rows: list[tuple]) -> None:
    assert len(kgp_rows) == 16_447
    assert rows(read_variants(kgp / "variants.vcf.gz")) == kgp_rows


def test_oddities_are_passed_on_as_they_are(write_vcf: Callable[..., Path]) -> None:
    path = write_vcf("chr1 0 . a c", "chrUn 3000000000 . N <DEL>,*,<NON_REF>,G]2:5]", "chr1 5 . A A")
    assert rows(read_variants(path)) == [
        ("chr1", 0, None, "a", "c"),
        *(("chrUn", 3_000_000_000, None, "N", alt) for alt in ("<DEL>", "*", "<NON_REF>", "G]2:5]")),
        ("chr1", 5, None, "A", "A"),
    ]


def test_a_vcf_without_records(write_vcf: Callable[..., Path]) -> None:
    assert list(read_variants(write_vcf())) == []


def test_pass_only(write_vcf: Callable[..., Path]) -> None:
    path = write_vcf("chr1 1 . A C PASS", "chr1 2 . A C .", "chr1 3 . A C q10", "chr1 4 . A C q10;other")
    assert [v.pos for v in read_variants(path, pass_only=True)] == [1, 2]
    assert [v.pos for v in read_variants(path)] == [1, 2, 3, 4]


def test_regions(write_vcf: Callable[..., Path]) -> None:
    path = write_vcf("chr1 9 . A C", "chr1 10 . AT A,G", "chr1 15 . A C", "chr2 12 . A C", "chr1 12 . A C")
    regions = [Region("1", 9, 12), Region("chr1", 11, 12), Region("chr1", 10, 11)]
    assert [(v.pos, v.alt) for v in read_variants(path, regions=regions)] == [(10, "A"), (10, "G"), (12, "C")]
    assert list(read_variants(path, regions=[])) == []
    assert [v.chrom for v in read_variants(path, regions=[Region("2")])] == ["chr2"]


def test_regions_of_a_real_file(kgp: Path, kgp_rows: list[tuple]) -> None:
    expected = [row for row in kgp_rows if 100_000 < row[1] <= 120_000]
    assert len(expected) > 100
    assert rows(read_variants(kgp / "variants.vcf.gz", regions=[Region("z", 100_000, 120_000)])) == expected


@pytest.mark.parametrize(
    "content",
    [b"", b"hello world\n", b">chr1\nACGT\n", bytes(range(256)) * 4, b"##fileformat=VCFv4.2\n",
     b"##fileformat=VCFv4.2\nchr1\t1\t.\tA\tC\t.\t.\t.\n", gzip.compress(b"hello\n")],
    ids=["empty", "text", "FASTA", "binary", "cut header", "no #CHROM", "gzipped text"],
)  # fmt: skip
def test_not_a_vcf(tmp_path: Path, content: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "input"
    path.write_bytes(content)
    with pytest.raises(VcfError, match=r"input: not a VCF or BCF"):
        next(read_variants(path))
    assert capfd.readouterr().err == ""


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(VcfError, match=r"none\.vcf: no such file"):
        next(read_variants(tmp_path / "none.vcf"))
    with pytest.raises(VcfError, match="a folder"):
        next(read_variants(tmp_path))


@pytest.mark.parametrize(
    "line",
    ["chr1\tfoo\t.\tA\tC\t.\t.\t.\n", "chr1\t2\t.\n", "chr1 2 . A C . . .\n", "\n", "chr1\t2\t.\tA\tCT",
     "chr1\t2\t\xe9\tA\tC\t.\t.\t.\n"],
    ids=["position", "short", "spaces", "blank", "cut in ALT", "not UTF-8"],
)  # fmt: skip
def test_malformed_record(tmp_path: Path, line: str, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "malformed.vcf"
    good = "chr1\t1\t.\tA\tC\t.\t.\t.\n"
    path.write_bytes((VCF_HEADER + good + line + ("" if line.endswith("CT") else good)).encode("latin-1"))
    variants = read_variants(path)
    assert next(variants) == Variant("chr1", 1, None, "A", "C")
    with pytest.raises(VcfError, match=r"malformed\.vcf: record 2, the one after chr1:1, cannot be read"):
        next(variants)
    assert capfd.readouterr().err == ""


def test_text_cut_in_the_genotypes(tmp_path: Path) -> None:
    header = VCF_HEADER.replace("INFO\n", "INFO\tFORMAT\ta\tb\n").replace(
        "#CHROM", '##FORMAT=<ID=GT,Number=1,Type=String,Description="genotype">\n#CHROM'
    )
    path = tmp_path / "cut.vcf"
    path.write_text(header + "chr1\t1\t.\tA\tC\t.\t.\t.\tGT\t0/1\t0/1\n" + "chr1\t2\t.\tA\tC\t.\t.\t.\tGT\t0/1")
    with pytest.raises(VcfError, match="record 2"):
        list(read_variants(path))


def test_text_without_a_last_newline_is_read_with_a_warning(
    write_vcf: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    path = write_vcf(*RECORDS)
    assert rows(read_variants(path)) == ROWS
    assert not caplog.messages
    path.write_text(path.read_text().rstrip("\n"))
    assert rows(read_variants(path)) == ROWS
    assert "does not end with a newline" in caplog.text


def test_uncompressed_bcf(long_vcf: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = long_vcf.with_suffix(".bcf")
    path.write_bytes(gzip.decompress(to_bcf(long_vcf).read_bytes()))
    assert sum(1 for _ in read_variants(path)) == 8000
    assert not caplog.messages
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(VcfError, match="record 8000"):
        list(read_variants(path))


@pytest.mark.parametrize("convert", [bgzip, to_bcf, gzipped], ids=["bgzf", "bcf", "gzip"])
@pytest.mark.parametrize("keep", [0.5, 0.99, -len(BGZF_EOF)], ids=["half", "most", "all but the end marker"])
def test_truncated_file(long_vcf: Path, convert: Callable[[Path], Path], keep: float) -> None:
    path = convert(long_vcf)
    assert sum(1 for _ in read_variants(path)) == 8000
    content = path.read_bytes()
    cut = content[: int(len(content) * keep)] if keep > 0 else content[: int(keep)]
    path.write_bytes(cut)
    with pytest.raises(VcfError, match="truncated"):
        list(read_variants(path))
    assert read_piped(cut).startswith("VcfError: standard input: ")


def test_corrupted_block(long_vcf: Path) -> None:
    path = bgzip(long_vcf)
    content = bytearray(path.read_bytes())
    content[len(content) * 3 // 4] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(VcfError, match="cannot be read"):
        list(read_variants(path))


@pytest.mark.parametrize("convert", [lambda path: path, bgzip, gzipped, to_bcf], ids=["vcf", "bgzf", "gzip", "bcf"])
def test_standard_input(long_vcf: Path, convert: Callable[[Path], Path]) -> None:
    assert read_piped(convert(long_vcf).read_bytes()) == "8000"


def test_empty_standard_input() -> None:
    assert read_piped(b"") == "VcfError: standard input: it is empty"


def test_standard_input_without_a_file(write_vcf: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(write_vcf(*RECORDS).read_bytes())))
    assert rows(read_variants("-")) == ROWS


def test_named_pipe(long_vcf: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(long_vcf.read_bytes()))
    writer.start()
    assert sum(1 for _ in read_variants(pipe)) == 8000
    writer.join()


def test_reading_may_stop_early(long_vcf: Path) -> None:
    threads = threading.active_count()
    variants = read_variants(gzipped(long_vcf))
    assert next(variants).pos == 1
    variants.close()  # pyright: ignore[reportAttributeAccessIssue]
    for thread in threading.enumerate():
        if thread.daemon:
            thread.join(timeout=10)
    assert threading.active_count() == threads


def test_htslib_verbosity_is_given_back(write_vcf: Callable[..., Path]) -> None:
    before = pysam.get_verbosity()
    list(read_variants(write_vcf(*RECORDS)))
    assert pysam.get_verbosity() == before > 0
