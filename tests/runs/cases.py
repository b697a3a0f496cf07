"""A short run and its files, for tests that end it, share it out or send it elsewhere."""

import os
import random
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from click.testing import CliRunner, Result

from varscore.cli import main

HEADER = "##fileformat=VCFv4.2\n##contig=<ID=z>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
BASES = "".join(random.Random(1).choices("ACGT", k=9_000))
ALLELES, PART = 150, 10
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}
"""Processes of several threads each hold each other up on few cores."""


@dataclass
class Case:
    """A VCF of 150 alleles, its genome, and the scores of an unbroken run."""

    folder: Path
    model: Path
    expected: pd.DataFrame

    def arguments(self, output: object, *more: object) -> list[str]:
        files = [self.folder / "in.vcf", "--fasta", self.folder / "genome.fa", "--model", self.model, "-o", output]
        return ["score", *map(str, [*files, "--window", "shared", "--part-size", PART, "--device", "cpu", *more])]

    def run(self, output: object, *more: object) -> Result:
        return CliRunner().invoke(main, self.arguments(output, *more))

    def start(self, output: object, *more: object, slow: float = 0.05) -> subprocess.Popen[str]:
        """In a process of its own, with a rest after each part's scores."""
        code = f"""
import time, varscore.parts as parts
from varscore.cli import main
rows = parts.Worker._score
def slowly(*arguments):
    found = rows(*arguments)
    time.sleep({slow})
    return found
parts.Worker._score = slowly
main()
"""
        command = [sys.executable, "-c", code, *self.arguments(output, *more)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ONE_THREAD)

    def check(self, table: Path | str) -> None:
        pd.testing.assert_frame_equal(pd.read_parquet(table), self.expected, check_exact=True)


def write_vcf(path: Path, alleles: int = ALLELES) -> None:
    rows = []
    for i in range(alleles):
        at = 4_000 + 7 * i
        ref = BASES[at - 1]
        alt = "ACGT"[("ACGT".index(ref) + 1) % 4] if i % 5 else ref + "GT"
        rows.append(f"z\t{at}\trs{i}\t{ref}\t{alt}\t.\t.\t.\n")
    path.write_text(HEADER + "".join(rows))


def parts_of(folder: Path) -> dict[str, int]:
    """When each part was written, in nanoseconds."""
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("part-*.parquet")}


def wait_for_parts(folder: Path, process: subprocess.Popen[str], more_than: int = 0) -> None:
    while len(parts_of(folder)) <= more_than:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
