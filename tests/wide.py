"""How long, how much memory and how large: what reads scores, on tables as wide as Enformer's.

    python -m tests.wide --alleles 20000 --folder /tmp/wide

Makes a table of drawn scores on 5,313 tracks, runs each command on it in a process of its own, and prints what it took.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from tests.analysis.tables import allele, write_table

TRACKS = 5_313
POSITIVES = 1_000
"""Of the eQTLs to be told from as many others."""


def make(folder: Path, alleles: int) -> None:
    """The table of scores, a PLINK panel of its SNPs, and a list of eQTLs."""
    rng = np.random.default_rng(0)
    positions = np.sort(rng.choice(50_000_000, alleles, replace=False)) + 1
    rows = [allele("chr22", int(pos), f"rs{pos}", "A", "G") for pos in positions]
    assays = ["DNASE:tissue {}", "CHIP:H3K27ac:tissue {}", "CAGE:tissue {}", "CHIP:CTCF:tissue {}"]
    tracks = {f"T{i:04d}": assays[i % 4].format(i // 4) for i in range(TRACKS)}
    scores = rng.standard_t(3, (alleles, TRACKS)).astype(np.float32)
    write_table(folder / "scores.parquet", rows, {"SAD": scores}, tracks, organism="human")
    bim = (
        f"22\trs{pos}\t0\t{pos}\t{'G' if i % 2 else 'A'}\t{'A' if i % 2 else 'G'}\n" for i, pos in enumerate(positions)
    )
    (folder / "panel.22.bim").write_text("".join(bim))
    chosen = positions[rng.permutation(alleles)[: 2 * POSITIVES]]
    lines = [f"chr22\t{pos}\tA\tG\t{1 if i % 2 else 0}\n" for i, pos in enumerate(chosen)]
    (folder / "pip.tsv").write_text("chrom\tpos\tref\talt\tpip\n" + "".join(lines))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--alleles", type=int, default=20_000)
    parser.add_argument("--folder", type=Path, required=True)
    asked = parser.parse_args()
    folder: Path = asked.folder
    folder.mkdir()
    make(folder, asked.alleles)
    commands = [
        ["top", "scores.parquet", "-o", "top.tsv"],
        ["report", "scores.parquet", "-o", "report.html"],
        ["background", "scores.parquet", "-o", "background.parquet"],
        ["quantiles", "scores.parquet", "--background", "background.parquet", "-o", "quantiles.parquet"],
        ["sldp", "scores.parquet", "--bim", "panel.@.bim", "-o", "annotations/"],
        ["export", "hdf5", "scores.parquet", "-o", "sad.h5"],
        ["eqtl", "classify", "scores.parquet", "--table", "pip.tsv", "--repeats", "1", "-o", "auroc.tsv", "--by-track",
         "tracks.tsv"],
    ]  # fmt: skip
    (folder / "annotations").mkdir()
    print(f"{asked.alleles:,} alleles, {TRACKS:,} tracks: {size(folder / 'scores.parquet'):.1f} MB")
    print("command\twall s\tCPU s\tpeak GB\tfile MB")
    for command in commands:
        arguments = [sys.executable, "-c", "from varscore.cli import main; main()", *command]
        began = time.monotonic()
        process = subprocess.Popen(arguments, cwd=folder, env={**os.environ, "OMP_NUM_THREADS": "1"})
        _, status, used = os.wait4(process.pid, 0)
        took = time.monotonic() - began
        assert status == 0, command
        output = folder / command[command.index("-o") + 1]
        cpu, peak = used.ru_utime + used.ru_stime, used.ru_maxrss / 2**20
        print(f"{command[0]}\t{took:.1f}\t{cpu:.1f}\t{peak:.2f}\t{size(output):.1f}", flush=True)


def size(path: Path) -> float:
    """Of a file, or of all in a folder, in MB."""
    files = path.iterdir() if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files) / 1e6


if __name__ == "__main__":
    main()
