"""What parts, plan, checks and Dask cost beside the bare loop, on parts of a minute or more.

    python -m tests.overhead --folder /tmp/overhead

Scores alleles of ../shared/data/kgp_chr20 with enformer-tiny: by the engine alone, by `score_vcf`, and on Dask with one
worker of as many threads. Each in a process of its own, in turn. Takes a quarter of an hour on two cores.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

from tests.conftest import SHARED
from varscore import score_vcf
from varscore.cluster.dask import DaskRunner
from varscore.engine.device import steady_math
from varscore.genome.planning import place
from varscore.genome.vcf import read_variants
from varscore.parts import Done, Finished, Part, RunHere, Runner, Work, Worker

DATA = SHARED / "data/kgp_chr20"
WAYS = ("bare", "parts", "dask")


class Bare(RunHere):
    """The engine over each part's alleles, and nothing else: no table, no file. `seconds` is what that took."""

    seconds = 0.0

    def run(self, work: Work, parts: Iterable[Part], done: Done) -> Iterator[Finished]:
        """Score parts, and say of none that it is finished."""
        worker = Worker(work)
        for part in parts:
            placed = [place(variant, worker.reference, worker.recipe.policy) for variant in part.variants]
            began = time.monotonic()
            with steady_math():
                worker._score(placed, done)
            self.seconds += time.monotonic() - began
        raise KeyboardInterrupt  # before a file is made of the parts
        yield


def run(way: str, vcf: Path, output: Path, size: int) -> None:
    """One way, in this process: print its seconds."""
    with ExitStack() as resources:
        runner: Runner = RunHere()
        if way == "bare":
            runner = Bare()
        elif way == "dask":
            runner = resources.enter_context(DaskRunner("local", 1))
        try:
            summary = score_vcf(
                vcf, DATA / "region.fa.gz", output, model="enformer-tiny", window="shared", part_size=size,
                runner=runner, device="cpu",
            )  # fmt: skip
            print(summary.seconds)
        except KeyboardInterrupt:
            assert isinstance(runner, Bare)
            print(runner.seconds)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--alleles", type=int, default=3_200)
    parser.add_argument("--parts", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--way", choices=WAYS)
    asked = parser.parse_args()
    vcf, size = asked.folder / "in.vcf", asked.alleles // asked.parts
    if asked.way:
        run(asked.way, vcf, asked.folder / "one.parquet", size)
        return
    asked.folder.mkdir()
    some = islice(read_variants(DATA / "variants.vcf.gz"), asked.alleles)
    lines = (f"{v.chrom}\t{v.pos}\t{v.id or '.'}\t{v.ref}\t{v.alt}\t.\t.\t.\n" for v in some)
    header = "##fileformat=VCFv4.2\n##contig=<ID=z>\n##ALT=<ID=CN0,Description=x>\n"
    vcf.write_text(header + "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n" + "".join(lines))
    for turn in range(asked.repeats):
        bare = None
        for way in WAYS:
            command = [sys.executable, "-m", "tests.overhead", "--folder", asked.folder, "--way", way]
            command += ["--alleles", asked.alleles, "--parts", asked.parts]
            done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=True)
            seconds = float(done.stdout.splitlines()[-1])
            bare = bare or seconds
            print(f"run {turn + 1}, {way}: {seconds:.1f} s, {seconds / bare - 1:+.1%}", flush=True)
            for path in asked.folder.glob("one.parquet"):
                path.unlink()


if __name__ == "__main__":
    main()
