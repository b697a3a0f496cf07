"""The walkthrough of examples/sldp, on real genotypes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd

from varscore.store.table import ScoreTable

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def test_the_walkthrough_runs(shared, tmp_path):
    vcf = shared / "data/chr22/genotypes_20-21M.vcf.gz"
    script = [sys.executable, EXAMPLES / "sldp/walkthrough.py", vcf, EXAMPLES / "chr22.fa.gz", tmp_path / "out"]
    done = subprocess.run(
        [*map(str, script), "chr22:20,100,001-20,110,000"],
        capture_output=True, text=True, check=True, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    scored = ScoreTable(tmp_path / "out/scores.parquet").alleles()
    assert f"{len(scored)} alleles scored on 8 tracks" in lines
    assert "chromosome 22: 1864 SNPs in the panel" in lines
    assert "250 ambiguous" in lines
    assert "enformer-tiny was trained on a simulation and carries no biology" in lines
    annotation = pd.read_csv(tmp_path / "out/annotation/22.sannot.gz", sep="\t")
    matched = annotation[annotation["SIM_DNASE"] != 0]
    assert f"{len(matched)} matched" in lines
    assert 0 < len(matched) <= len(scored)
    ranked = pd.read_parquet(tmp_path / "out/ranked.parquet")
    assert ranked["SAD_quantile:SIM_CTCF"].between(-1, 1).all()
    if shutil.which("plink1.9"):
        plink = [
            "plink1.9",
            "--vcf",
            vcf,
            "--double-id",
            "--make-just-bim",
            "--out",
            tmp_path / "panel",
            "--threads",
            "1",
        ]
        subprocess.run([*map(str, plink)], check=True, capture_output=True)
        assert (tmp_path / "panel.bim").read_text() == (tmp_path / "out/panel.22.bim").read_text()
