"""Many alleles at full output width, with a network that costs nothing: does memory stay flat, how fast is writing?

    python -m tests.soak --alleles 200000 --output /tmp/soak

The alleles are those of ../shared/data/kgp_chr20, repeated. Scores are drawn. Needs 22 kB of disk for each allele.
"""

import argparse
import resource
import time
from pathlib import Path

import numpy as np
import pysam
import torch
from safetensors.torch import save_file

from tests.conftest import SHARED, randomise, sha256
from varscore import score_vcf
from varscore.engine.difference_scorer import DifferenceScorer
from varscore.engine.windows import Scores
from varscore.network.checkpoint import published_names
from varscore.network.enformer import Enformer, EnformerConfig

TRACKS = 5_313
PART = 1_024


def wide_model(folder: Path) -> Path:
    """A model of 5,313 tracks whose network is as small as can be."""
    folder.mkdir()
    config = EnformerConfig(
        stem_channels=2, tower_channels=(2, 2, 2, 2, 2, 6), heads=1, key_size=6, layers=1,
        tracks={"human": TRACKS}, bins=1_536, bins_out=896,
    )  # fmt: skip
    network = Enformer(config)
    randomise(network)
    state = network.state_dict()
    weights, table = folder / "weights.safetensors", folder / "human.tsv"
    save_file({theirs: state[ours].contiguous() for theirs, ours in published_names(config).items()}, weights)
    words = "DNASE:a cell line with a description of common length, number"
    rows = "".join(f"{i}\tENCFF{i:06d}\t{words} {i}\n" for i in range(TRACKS))
    table.write_text("index\tidentifier\tdescription\n" + rows)
    (folder / "model.toml").write_text(
        f'name = "wide"\ntitle = "x"\nlicence = "none"\nsource = "tests"\ncitation = "none"\n'
        f"window = {config.window}\nbin_size = 128\nbins_out = 896\n[architecture]\nstem_channels = 2\n"
        f"tower_channels = [2, 2, 2, 2, 2, 6]\nheads = 1\nkey_size = 6\nlayers = 1\n[weights]\n"
        f'filename = "weights.safetensors"\nsize = {weights.stat().st_size}\nsha256 = "{sha256(weights)}"\n'
        f'[track_tables.human]\ntracks = {TRACKS}\nfilename = "human.tsv"\nsha256 = "{sha256(table)}"\n'
    )
    return folder


def repeated_vcf(path: Path, alleles: int) -> int:
    """How many alleles were written: whole records."""
    written = 0
    source = SHARED / "data/kgp_chr20/variants.vcf.gz"
    with pysam.VariantFile(str(source)) as vcf, pysam.VariantFile(str(path), "wz", header=vcf.header) as out:
        while written < alleles:
            vcf.reset()
            for record in vcf:
                out.write(record)
                written += len(record.alts or ".")
                if written >= alleles:
                    break
    return written


def resident() -> float:
    """GB, now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e9


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--alleles", type=int, default=200_000)
    parser.add_argument("--output", type=Path, required=True)
    asked = parser.parse_args()
    asked.output.mkdir()
    model, vcf = wide_model(asked.output / "model"), asked.output / "in.vcf.gz"
    alleles = repeated_vcf(vcf, asked.alleles)
    noise = np.random.default_rng(0).normal(size=(2 * PART, TRACKS))
    spent = 0.0

    def drawn(_scorer: object, _reference: object, jobs: list[object], _done: object) -> Scores:
        nonlocal spent
        began = time.monotonic()
        first = len(jobs) % 97
        found = noise[first : first + len(jobs)] * (1 + len(jobs) / PART)
        spent += time.monotonic() - began
        return Scores(found[:, None], [])

    DifferenceScorer.score = drawn  # type: ignore[method-assign]
    torch.set_num_threads(1)
    seen: list[tuple[int, float]] = []

    def progress(done: int, _total: int) -> None:
        if not seen or done - seen[-1][0] >= asked.alleles // 10:
            seen.append((done, resident()))

    fasta, scores = SHARED / "data/kgp_chr20/region.fa.gz", asked.output / "scores"
    options = {"model": str(model), "part_size": PART}
    began = time.monotonic()
    summary = score_vcf(vcf, fasta, scores, progress=progress, **options)
    took = time.monotonic() - began
    size = sum(path.stat().st_size for path in scores.glob("part-*.parquet"))
    parts = -(-alleles // PART)
    print(
        f"{summary.alleles:,} alleles in {parts} parts, {took:.0f} s, {took - summary.seconds:.0f} s before the first"
    )
    print(f"writing: {4 * TRACKS * summary.scored / summary.seconds / 1e6:.0f} MB of scores a second, "
          f"{summary.seconds / parts:.2f} s a part (drawing them: {spent / parts:.3f} s)")  # fmt: skip
    print(f"{size / alleles:,.0f} bytes an allele on disk, {size / 1e9:.2f} GB")
    print("memory: " + ", ".join(f"{done:,}: {now:.2f} GB" for done, now in seen))
    last = max(scores.glob("part-*.parquet"))
    last.unlink()
    began = time.monotonic()
    again = score_vcf(vcf, fasta, scores, **options)
    took = time.monotonic() - began
    print(f"resuming at the last part: {took:.0f} s, with {again.there_already:,} alleles checked")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")


if __name__ == "__main__":
    main()
