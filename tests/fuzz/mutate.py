"""Damaged inputs by the thousand, through the readers, in processes of their own.

    python -m tests.fuzz.mutate --inputs 100000

An input is drawn from a seed and its number, so that `--first N --inputs 1` repeats number N. What must come of one is
an answer or a VarscoreError: no other error, no crash, no wait beyond 20 s, no more memory than 2 GB (with torch 8 GB).
Where bcftools is installed and reads a damaged VCF or BCF without complaint, as many ALTs must have been read.
"""

from __future__ import annotations

import argparse
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from types import FrameType

import pysam

from varscore.errors import VarscoreError

KINDS = ("vcf", "vcf.gz", "vcf.bgz", "bcf", "bcf.inside", "fasta", "fasta.bgz", "fai", "weights", "weights.bin")
SHARES = (30, 8, 12, 12, 16, 8, 6, 6, 1, 1)
EACH = 500
"""Inputs of a process."""
SECONDS = 20
ODD = (
    b"",
    b"\0",
    b"\xff",
    b"\t",
    b"\n",
    b"\r\n",
    b",",
    b"<DEL>",
    b"*",
    b"-1",
    b"4294967296",
    b"9" * 40,
    b"N" * 5000,
    b"[z:9[A",
)


def originals(folder: Path) -> dict[str, bytes]:
    """A whole input of every kind."""
    lines = [
        "##fileformat=VCFv4.2",
        "##contig=<ID=z,length=5000>",
        "##contig=<ID=chrM>",
        '##INFO=<ID=AC,Number=A,Type=Integer,Description="x">',
        '##FILTER=<ID=q10,Description="x">',
        '##FORMAT=<ID=GT,Number=1,Type=String,Description="x">',
        "#CHROM POS ID REF ALT QUAL FILTER INFO FORMAT s t",
    ]
    alleles = ["A C", "C CT,G", "GAT G", "T *,A", "A .", "A <DEL>", "A ]z:99]A", "ACGT A,ACG,ACGTT", "N A"]
    for i in range(40):
        chrom = "z" if i % 7 else "chrM"
        lines.append(f"{chrom} {10 + 9 * i} rs{i} {alleles[i % len(alleles)]} 50 PASS AC=1 GT 0/1 1|1")
    text = "\n".join("\t".join(line.split(" ")) if line[:2] != "##" else line for line in lines) + "\n"
    (folder / "o.vcf").write_text(text)
    with pysam.VariantFile(str(folder / "o.vcf")) as vcf:
        for name, mode in (("o.bcf", "wb"), ("o.bgz", "wz")):
            with pysam.VariantFile(str(folder / name), mode, header=vcf.header) as out:
                vcf.reset()
                for record in vcf:
                    out.write(record)
    import gzip

    bases = "".join(random.Random(0).choices("ACGTacgtN", k=4_000))
    fasta = ">z one\n" + "\n".join(bases[i : i + 50] for i in range(0, 2_500, 50)) + "\n>chrM\n" + bases[2_500:] + "\n"
    (folder / "o.fa").write_text(fasta)
    pysam.faidx(str(folder / "o.fa"))
    pysam.tabix_compress(str(folder / "o.fa"), str(folder / "o.fa.gz"), force=True)
    return {
        "vcf": text.encode(), "vcf.gz": gzip.compress(text.encode()), "vcf.bgz": (folder / "o.bgz").read_bytes(),
        "bcf": (folder / "o.bcf").read_bytes(), "bcf.inside": gzip.decompress((folder / "o.bcf").read_bytes()),
        "fasta": fasta.encode(), "fasta.bgz": (folder / "o.fa.gz").read_bytes(),
        "fai": (folder / "o.fa.fai").read_bytes(),
    }  # fmt: skip


def mutated(content: bytes, drawn: random.Random) -> bytes:
    """With one to four damages."""
    data = bytearray(content)
    for _ in range(drawn.choice((1, 1, 1, 2, 4))):
        at = drawn.randrange(len(data) + 1)
        end = min(len(data), at + int(drawn.expovariate(0.1)) + 1)
        match drawn.randrange(7):
            case 0 if at < len(data):
                data[at] ^= 1 << drawn.randrange(8)
            case 1:
                data[at:end] = drawn.randbytes(end - at)
            case 2:
                del data[at:end]
            case 3:
                data[at:at] = data[at:end] * drawn.choice((1, 2, 100))
            case 4:
                data[at:at] = drawn.choice(ODD)
            case 5:
                data[at:end] = drawn.choice(ODD)
            case 6 if drawn.random() < 0.3:
                del data[at:]
    return bytes(data)


class TooSlowError(Exception):
    """An input took longer than it may."""


def try_input(number: int, seed: int, whole: dict[str, bytes], folder: Path) -> tuple[str, str]:
    """The kind of an input, and what came of it; any error but VarscoreError is raised."""
    drawn = random.Random(f"{seed} {number}")
    [kind] = drawn.choices(KINDS, SHARES)
    data = mutated(whole[kind], drawn)
    for old in folder.iterdir():
        old.unlink()
    path = folder / f"input.{kind}"
    if kind == "bcf.inside":
        with pysam.BGZFile(str(path), "wb", None) as out:
            out.write(data)
    elif kind == "fai":
        path = folder / "input.fasta"
        path.write_bytes(whole["fasta"])
        (folder / "input.fasta.fai").write_bytes(data)
    else:
        path.write_bytes(data)
    try:
        if kind.startswith(("vcf", "bcf")):
            return kind, _read_variants(path)
        if kind.startswith("weights"):
            return kind, _read_weights(path)
        return kind, _read_fasta(path)
    except VarscoreError:
        return kind, "refused"


def _read_variants(path: Path) -> str:
    from varscore.genome.vcf import read_variants

    count = sum(1 for _ in read_variants(path))
    if not shutil.which("bcftools"):
        return "read"
    listed = subprocess.run(["bcftools", "query", "-f", "%ALT\n", path], capture_output=True, check=False)
    # it goes on after what it complains of, and says so
    if listed.returncode or listed.stderr:
        return "read"
    expected = sum(line.count(b",") + 1 for line in listed.stdout.splitlines())
    if count != expected:
        raise AssertionError(f"{count} ALTs read, bcftools counts {expected}")
    return "read, as many as bcftools"


def _read_fasta(path: Path) -> str:
    from varscore.genome.reference import Reference

    with Reference(path, quiet=True) as reference:
        reference.digests(list(reference.contigs)[:3])
        for name in list(reference.contigs)[:3]:
            stretch = reference.stretch(name, 0)
            if stretch:
                reference.codes(stretch, stretch.offset - 10, stretch.offset + 3_000)
    return "read"


def _read_weights(path: Path) -> str:
    import torch

    from tests.fuzz.weights import CONFIG
    from varscore.network.checkpoint import load_enformer

    target = path.with_suffix(".safetensors") if path.suffix == ".weights" else path
    path.rename(target)
    load_enformer(target, torch.device("cpu"), config=CONFIG)
    return "read"


def _worker(first: int, count: int, seed: int) -> None:
    """Prints a line before and after each input, so that the parent knows which one a crash is of."""

    def give_up(_number: int, _frame: FrameType | None) -> None:
        raise TooSlowError

    signal.signal(signal.SIGALRM, give_up)
    with tempfile.TemporaryDirectory() as temporary:
        made, work = Path(temporary) / "whole", Path(temporary) / "work"
        made.mkdir()
        work.mkdir()
        whole = originals(made)
        needs_torch = any(random.Random(f"{seed} {n}").choices(KINDS, SHARES)[0].startswith("weights")
                          for n in range(first, first + count))  # fmt: skip
        if needs_torch:
            from tests.fuzz.weights import weight_files

            whole |= weight_files(made)
        limit = (8 if needs_torch else 2) * 2**30
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        for number in range(first, first + count):
            print("try", number, flush=True)
            signal.alarm(SECONDS)
            try:
                print("end", *try_input(number, seed, whole, work), sep="\t", flush=True)
            except BaseException as error:
                print("bad", f"{type(error).__name__}: {error}"[:300].replace("\n", " "), sep="\t", flush=True)
            signal.alarm(0)


def run(inputs: int, *, first: int = 0, seed: int = 1, jobs: int = 1) -> tuple[Counter[str], list[str]]:
    """How many inputs of which kind ended how, and a line for each that ended badly."""
    outcomes, bad = Counter[str](), []
    batches = [(start, min(EACH, first + inputs - start)) for start in range(first, first + inputs, EACH)]
    running: list[tuple[int, int, subprocess.Popen[str]]] = []
    while batches or running:
        while batches and len(running) < jobs:
            start, count = batches.pop(0)
            command = [sys.executable, "-m", "tests.fuzz.mutate", "--worker", f"{start},{count},{seed}"]
            running.append(
                (start, count, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True))
            )
        start, count, process = running.pop(0)
        said, last = process.communicate()[0].splitlines(), start
        for line in said:
            what, _, rest = line.partition("\t")
            if what.startswith("try "):
                last = int(what[4:])
            elif what == "end":
                outcomes[rest.replace("\t", ": ")] += 1
            elif what == "bad":
                bad.append(f"input {last}: {rest}")
        if process.returncode:
            bad.append(f"input {last}: the process ended with {process.returncode}")
            if last + 1 < start + count:
                batches.append((last + 1, start + count - last - 1))
    return outcomes, bad


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=2_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.worker:
        return _worker(*map(int, asked.worker.split(",")))
    outcomes, bad = run(asked.inputs, first=asked.first, seed=asked.seed, jobs=asked.jobs)
    for outcome, count in sorted(outcomes.items()):
        print(f"{count:>8,}  {outcome}")
    print(f"{sum(outcomes.values()):>8,}  in all; ended badly: {len(bad):,}")
    for line in bad[:50]:
        print("  " + line)
    return sys.exit(bool(bad))


if __name__ == "__main__":
    main()
