"""The walk-through of examples/eqtl on real genotypes and expression, and its statistics against scipy."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tests.test_examples import EXAMPLES, same_line

WALKTHROUGH = EXAMPLES / "eqtl" / "walkthrough.py"


@pytest.fixture(scope="module")
def module():
    spec = importlib.util.spec_from_file_location("walkthrough", WALKTHROUGH)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@pytest.fixture(scope="module")
def data(shared) -> tuple[str, str]:
    folder = shared / "data" / "chr22"
    return str(folder / "genotypes_20-21M.vcf.gz"), str(folder / "genes_20-21M.bed.gz")


def test_association_is_scipys_linear_regression(module, data):
    genes = pd.read_csv(data[1], sep="\t")
    people = list(genes.columns[6:])
    variants, dosages = module.read_genotypes(data[0], people)
    assert dosages.shape == (1864, 358) == (len(variants), len(people))
    expression = module.normal_scores(genes[people].to_numpy(float))
    assert stats.kstest(expression[0], "norm").pvalue > 0.99
    for gene in (1, 16):  # one with an eQTL of p = 1e-9, one of 1e-46
        got = module.associate(dosages, expression[gene])
        for at in (0, 500, int(got["p"].argmin())):
            line = stats.linregress(dosages[at], expression[gene])
            assert got["beta"][at] == pytest.approx(line.slope, rel=1e-9)
            assert got["se"][at] == pytest.approx(line.stderr, rel=1e-9)
            assert got["p"][at] == pytest.approx(line.pvalue, rel=1e-6)


def test_who_has_no_call_changes_nothing(module):
    rng = np.random.default_rng(0)
    dosages, expression = rng.integers(0, 3, (4, 50)).astype(float), rng.normal(size=50)
    whole = module.associate(dosages, expression)
    some = np.concatenate([dosages, np.full((4, 1), np.nan)], axis=1)
    assert module.associate(some, np.append(expression, expression.mean()))["beta"].to_numpy() == pytest.approx(
        whole["beta"]
    )


def test_inclusion_probabilities_are_those_of_the_densities(module):
    """P(data | causal) / P(data | not), of normal densities, for one causal variant."""
    beta, se = np.array([0.3, -0.5, 0.1]), np.array([0.1, 0.12, 0.1])
    factor = stats.norm.pdf(beta, 0, np.sqrt(module.PRIOR_VARIANCE + se**2)) / stats.norm.pdf(beta, 0, se)
    assert module.inclusion_probabilities(beta, se) == pytest.approx(factor / factor.sum())


def test_the_whole_way_runs_and_prints_what_the_readme_shows(data, tmp_path):
    command = [sys.executable, str(WALKTHROUGH), *data, str(EXAMPLES / "chr22.fa.gz"), str(tmp_path / "eqtl")]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    printed = run.stdout.splitlines()
    readme = (EXAMPLES / "eqtl" / "README.md").read_text()
    [shown] = re.findall(r"^```text\n\$ .+\n((?:.*\n)*?)```$", readme, re.MULTILINE)
    assert len(printed) == len(shown.splitlines()) > 10
    for line in shown.splitlines():
        assert any(same_line(line, other) for other in printed), line
    assert "carries no biology" in printed[-1]
    assert {path.name for path in (tmp_path / "eqtl").iterdir()} == {
        "finemapped.tsv", "chosen.vcf", "scores.parquet", "auroc.tsv", "tracks.tsv", "roc.png", "signed.tsv",
    }  # fmt: skip
    check_results(tmp_path / "eqtl")


def check_results(folder: Path) -> None:
    mapped = pd.read_csv(folder / "finemapped.tsv", sep="\t")
    assert mapped.groupby("gene_id")["pip"].sum().to_numpy() == pytest.approx(1)
    assert (mapped["distance"].abs() <= 100_000).all()
    [auroc] = pd.read_csv(folder / "auroc.tsv", sep="\t").to_dict("records")
    assert auroc["auroc"] == pytest.approx(0.5, abs=3 * auroc["se"])  # a toy model, so chance
    signed = pd.read_csv(folder / "signed.tsv", sep="\t")
    scores = pd.read_parquet(folder / "scores.parquet")
    pairs = mapped.merge(scores, on=["chrom", "pos", "ref", "alt"])
    assert (signed["n"] == len(pairs)).all()
    for row in signed.itertuples():
        assert row.spearman == pytest.approx(stats.spearmanr(pairs["beta"], pairs[row.track]).statistic, abs=1e-5)
