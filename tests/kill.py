"""Kill a real run at random moments, and start it again each time: is the table that of an unbroken run?

    python -m tests.kill --kills 30 --region z:1-60000 --folder /tmp/kill

Scores variants of ../shared/data/kgp_chr20 with enformer-tiny, first unbroken, then killed with SIGKILL. Takes minutes.
The tables must be the same to the last bit.
"""

import argparse
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

from tests.conftest import SHARED

DATA = SHARED / "data/kgp_chr20"


def written(folder: Path) -> dict[str, int]:
    """When each part was written, in nanoseconds."""
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("part-*.parquet")}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--region", default="z:1-700000")
    parser.add_argument("--part-size", type=int, default=32)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, required=True)
    asked = parser.parse_args()
    asked.folder.mkdir()
    drawn = random.Random(asked.seed)

    def start(output: Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", "from varscore.cli import main; main()", "score", DATA / "variants.vcf.gz"]
        command += ["--fasta", DATA / "region.fa.gz", "--model", "enformer-tiny", "--window", "shared", "-o", output]
        command += ["-r", asked.region, "--part-size", asked.part_size, "--device", "cpu"]
        environment = {**os.environ, "OMP_NUM_THREADS": str(asked.threads)}
        return subprocess.Popen([str(word) for word in command], stderr=subprocess.PIPE, text=True, env=environment)

    began = time.monotonic()
    unbroken = start(asked.folder / "unbroken.parquet")
    said = unbroken.communicate()[1]
    took = time.monotonic() - began
    assert unbroken.returncode == 0, said
    expected = pd.read_parquet(asked.folder / "unbroken.parquet")
    parts = -(-len(expected) // asked.part_size)
    print(f"unbroken: {len(expected):,} alleles in {parts} parts, {took:.0f} s", flush=True)

    output, folder = asked.folder / "killed.parquet", asked.folder / "killed.parquet.parts"
    before: dict[str, int] = {}
    kills = lost = 0
    began = time.monotonic()
    while True:
        process = start(output)
        left = asked.kills - kills
        if left:
            # moments spread over the whole run, some before the first part and some while parts are being written
            try:
                process.wait(drawn.uniform(1, 8 + 1.4 * took * max(0, 1 - len(before) / parts) / left))
            except subprocess.TimeoutExpired:
                process.kill()
        said = process.communicate()[1]
        after = written(folder) if folder.exists() else before
        assert before.items() <= after.items(), "a part that was there was computed again"
        if process.returncode == 0:
            break
        assert process.returncode == -9, said
        kills += 1
        lost += before.keys() == after.keys()
        before = after
        print(f"kill {kills}: {len(after)} of {parts} parts", flush=True)
    found = pd.read_parquet(output)
    assert not folder.exists()
    scores = [table.iloc[:, 8:].to_numpy() for table in (found, expected)]
    off = np.nanmax(np.abs(scores[0] - scores[1])) / np.nanmax(np.abs(scores[1]))
    print(f"killed {kills} times, {lost} of them before a new part, {time.monotonic() - began:.0f} s in all")
    print(f"largest difference over the largest score: {off:.1e}")
    pd.testing.assert_frame_equal(found, expected, check_exact=True)


if __name__ == "__main__":
    main()
