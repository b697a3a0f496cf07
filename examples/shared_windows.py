"""How far do scores move when a variant does not stand in the middle of its window?

Scores the SNVs of a region in windows that are moved by 1 bp to 32 kb, compares them with the centred ones, and draws
shared_windows.svg. Needs matplotlib. From the folder above:

    python examples/shared_windows.py
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from varscore import score_vcf

HERE = Path(__file__).parent
REGION = "chr22:20,150,001-20,180,000"
CENTRE = 98_303
OFFSETS = [0, 1, 8, 32, 64, 128, 256, 512, 1_024, 2_048, 4_096, 8_192, 16_384, 32_768]


def scores(offset: int, folder: Path) -> pd.DataFrame:
    """SAD of the region's SNVs, standing `offset` bp right of the middle."""
    out = folder / f"{offset}.parquet"
    score_vcf(
        HERE / "chr22.vcf.gz", HERE / "chr22.fa.gz", out, model="enformer-tiny", regions=[REGION],
        window_index=CENTRE + offset,
    )  # fmt: skip
    rows = pd.read_parquet(out)
    return rows[rows["ref"].str.len() == rows["alt"].str.len()].filter(like="SIM_")


def main() -> None:
    """Score, print a table, draw it."""
    with TemporaryDirectory() as folder:
        by_offset = {offset: scores(offset, Path(folder)) for offset in OFFSETS}
    centred = by_offset.pop(0)
    moved = pd.DataFrame(
        {offset: np.sqrt(((found - centred) ** 2).mean() / (centred**2).mean()) for offset, found in by_offset.items()}
    ).T
    print(f"{len(centred)} SNVs; root mean square change of SAD over its root mean square, by offset in bp")
    print(moved.round(3).to_string())
    draw(moved)


def draw(moved: pd.DataFrame) -> None:
    """One line for each track, and one where the default grid's windows end."""
    axes = moved.plot(logx=True, marker="o", figsize=(7, 4), xlabel="bp from the middle", ylim=(0, None))
    axes.set_ylabel("change of SAD (RMS, relative)")
    axes.axvline(2_048, color="grey", linestyle=":")
    axes.set_title("SAD of SNVs that stand off the window's middle (enformer-tiny)", fontsize=10)
    axes.legend(fontsize=8, ncols=2)
    plt.tight_layout()
    plt.savefig(HERE / "shared_windows.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
