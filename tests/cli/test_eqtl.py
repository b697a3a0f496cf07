"""`varscore eqtl`: exact arguments, exit statuses, and what is said where."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from tests.analysis.eqtl_cases import snvs, write_scores
from varscore.analysis import eqtl as analysis
from varscore.analysis.eqtl_sets import Criteria
from varscore.cli import main

SHORT = ("--folds", 3, "--repeats", 1)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["eqtl", *(str(a) for a in arguments)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """scores.parquet of 40 SNVs on 3 tracks; finemapped.tsv of them in two tissues; a list of each kind as a VCF."""
    rng = np.random.default_rng(0)
    positive = np.arange(40) % 2 == 0
    write_scores(tmp_path / "scores.parquet", snvs(40), rng.normal(size=(40, 3)) + 1.5 * positive[:, None])
    table = snvs(40).assign(pip=np.where(positive, 0.95, 0.001), maf=rng.random(40), slope=positive - 0.5)
    pd.concat([table.assign(tissue=tissue) for tissue in ("liver", "blood")]).to_csv(
        tmp_path / "finemapped.tsv", sep="\t", index=False
    )
    header = "##fileformat=VCFv4.2\n##contig=<ID=chr1>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    for name, kind in (("pos", positive), ("neg", ~positive)):
        rows = [f"chr1\t{pos}\t.\tA\tG\t.\t.\t.\n" for pos in snvs(40)["pos"][kind]]
        (tmp_path / f"{name}.vcf").write_text(header + "".join(rows))
    return tmp_path


def test_select_writes_a_table_and_a_vcf(folder):
    files = ("-o", folder / "chosen.tsv", "--vcf", folder / "chosen.vcf.gz")
    result = run("select", "--table", folder / "finemapped.tsv", "--match", "maf", *files)
    assert result.exit_code == 0, result.output
    assert result.stdout == "tissue\tpositives\tnegatives\nblood\t20\t20\nliver\t20\t20\n"
    assert result.stderr == ""
    chosen = pd.read_csv(folder / "chosen.tsv", sep="\t")
    assert list(chosen) == ["chrom", "pos", "ref", "alt", "tissue", "maf", "label"]
    assert len(pd.read_csv(folder / "chosen.vcf.gz", sep="\t", comment="#", header=None)) == 40


def test_classify_writes_what_is_asked_for(folder):
    files = ("-o", folder / "auroc.tsv", "--by-track", folder / "tracks.tsv.gz", "--figure", folder / "roc.svg")
    result = run("classify", folder / "scores.parquet", "--table", folder / "finemapped.tsv", *SHORT, *files)
    assert result.exit_code == 0, result.output
    assert result.stdout == (folder / "auroc.tsv").read_text()
    summary = pd.read_csv(folder / "auroc.tsv", sep="\t")
    assert list(summary) == ["tissue", "positives", "negatives", "auroc", "se", "sd_repeats"]
    assert list(summary["tissue"]) == ["blood", "liver"]
    assert (summary["auroc"] > 0.8).all()
    assert summary["sd_repeats"].isna().all()
    tracks = pd.read_csv(folder / "tracks.tsv.gz", sep="\t")
    assert list(tracks) == ["tissue", "track", "description", "auroc", "se", "importance"]
    assert len(tracks) == 6
    drawn = (folder / "roc.svg").read_text()
    assert "liver (20 / 20)" in drawn
    assert "blood (20 / 20)" in drawn
    said = result.stderr.splitlines()
    assert said[0] == "varscore: 80 of 80 variants are in the scores"
    assert said[1].startswith("varscore: blood: AUROC 0.")
    assert len(said) == 3


def test_lists_and_tables_give_the_same(folder):
    lists = ("--positives", folder / "pos.vcf", "--negatives", folder / "neg.vcf")
    one = run("classify", folder / "scores.parquet", *lists, *SHORT, "-o", folder / "1.tsv", "-q")
    assert (one.exit_code, one.output) == (0, "")
    named = ("--positives", f"liver={folder / 'pos.vcf'}", "--negatives", f"liver={folder / 'neg.vcf'}")
    two = run("classify", folder / "scores.parquet", *named, *SHORT, "-o", folder / "2.tsv")
    three = run(
        "classify", folder / "scores.parquet", "--table", folder / "finemapped.tsv", *SHORT, "-o", folder / "3.tsv"
    )
    assert (two.exit_code, three.exit_code) == (0, 0)
    results = [pd.read_csv(folder / f"{i}.tsv", sep="\t", index_col="tissue") for i in (1, 2, 3)]
    assert results[0].loc["all"].equals(results[1].loc["liver"])
    assert results[1].loc["liver"].equals(results[2].loc["liver"])


def test_shuffled_labels_lose_it(folder):
    lists = ("--positives", folder / "pos.vcf", "--negatives", folder / "neg.vcf", "--shuffle", "--seed", 1)
    assert run("classify", folder / "scores.parquet", *lists, *SHORT, "-o", folder / "1.tsv").exit_code == 0
    assert pd.read_csv(folder / "1.tsv", sep="\t")["auroc"][0] < 0.75


def test_options_reach_the_library(folder, monkeypatch):
    asked = {}

    def classify(_table, variants, validation, **options):
        asked.update(options, validation=validation, negatives=int((~variants["positive"]).sum()))
        raise KeyboardInterrupt

    monkeypatch.setattr(analysis, "classify", classify)
    more = ("--folds", 5, "--repeats", 7, "--block", 0, "--absolute", "--shuffle", "--jobs", -1, "--seed", 3)
    more += ("-t", "0", "-t", "T2", "--stat", "SAD", "--per-positive", 1)
    result = run(
        "classify", folder / "scores.parquet", "--table", folder / "finemapped.tsv", *more, "-o", folder / "o.tsv"
    )
    assert result.exit_code == 130
    assert asked == {
        "tracks": ("0", "T2"), "statistic": "SAD", "negatives": 40,
        "validation": analysis.Validation(5, 7, block=0, absolute=True, shuffle=True, seed=3, jobs=-1),
    }  # fmt: skip


def test_criteria_reach_the_library(folder, monkeypatch):
    asked = {}

    def sets_from_table(path, criteria, columns):
        asked.update(path=path, criteria=criteria, columns=columns)
        raise KeyboardInterrupt

    monkeypatch.setattr("varscore.analysis.eqtl_sets.sets_from_table", sets_from_table)
    more = ("--positive-pip", 0.8, "--negative-pip", 0.02, "--negative-z", 4, "--match", "maf", "--match", "distance")
    more += ("--per-positive", 2, "--seed", 5, "--column", "pip=maf", "--column", "distance=slope")
    assert run("select", "--table", folder / "finemapped.tsv", *more, "-o", folder / "o.tsv").exit_code == 130
    assert asked == {
        "path": str(folder / "finemapped.tsv"),
        "criteria": Criteria(0.8, 0.02, 4, match=("maf", "distance"), per_positive=2, seed=5),
        "columns": {"pip": "maf", "distance": "slope"},
    }


def test_signed_writes_all_and_shows_the_strongest(folder):
    files = ("--effects", folder / "finemapped.tsv", "-o", folder / "signed.tsv")
    result = run("signed", folder / "scores.parquet", *files, "--top", 2)
    assert result.exit_code == 0, result.output
    written = pd.read_csv(folder / "signed.tsv", sep="\t")
    assert len(written) == 6
    assert (written["spearman"] > 0.5).all()
    shown = [line.split("\t")[:2] for line in result.stdout.splitlines()[1:]]
    assert [tissue for tissue, _ in shown] == ["blood", "blood", "liver", "liver"]
    order = written[written["tissue"] == "blood"].sort_values("spearman", ascending=False)["track"]
    assert [track for _, track in shown[:2]] == list(order[:2])
    assert result.stderr == "varscore: 80 of 80 effects are in the scores\n"


def test_the_toy_model_is_said_to_know_no_biology(folder):
    rng = np.random.default_rng(0)
    write_scores(folder / "tiny.parquet", snvs(40), rng.normal(size=(40, 3)), model="enformer-tiny")
    for command in (
        ("classify", "--table", folder / "finemapped.tsv", *SHORT, "--figure", folder / "roc.svg"),
        ("signed", "--effects", folder / "finemapped.tsv"),
    ):
        result = run(command[0], folder / "tiny.parquet", *command[1:], "-o", folder / f"{command[0]}.tsv")
        assert result.stderr.endswith("carries no biology: nothing here is a finding\n"), result.output
    assert "carries no" in (folder / "roc.svg").read_text()
    plain = run("signed", folder / "scores.parquet", "--effects", folder / "finemapped.tsv", "-o", folder / "x.tsv")
    assert "biology" not in plain.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--table", "finemapped.tsv", "--positives", "pos.vcf"],
            "give either --table, or --positives and --negatives",
        ),
        ([], "give either --table, or --positives and --negatives"),
        (["--positives", "pos.vcf"], "--positives and --negatives go together"),
        (["--positives", "pos.vcf", "--positives", "neg.vcf", "--negatives", "neg.vcf"], "given twice for a tissue"),
        (["--table", "finemapped.tsv", "--positive-pip", "0.001"], "0 ≤ negative ≤ positive ≤ 1"),
        (["--positives", "a=pos.vcf", "--negatives", "b=neg.vcf"], "no positives or no negatives of a, b"),
        (["--table", "finemapped.tsv", "--jobs", "0"], "0 threads: expected 1 or more"),
        (["--table", "finemapped.tsv", "--column", "pip"], "expected WHAT=NAME"),
        (["--table", "finemapped.tsv", "--column", "pipp=pip"], "--column pipp=…: expected one of chrom"),
        (["--table", "finemapped.tsv", "--folds", "1"], "1 is not in the range"),
    ],
)
def test_wrong_usage(folder, monkeypatch, arguments, message):
    monkeypatch.chdir(folder)
    result = run("classify", "scores.parquet", *arguments, "-o", "out.tsv")
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert not (folder / "out.tsv").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.parquet", "--table", "finemapped.tsv"], "none.parquet: no such file"),
        (["scores.parquet", "--table", "none.tsv"], "none.tsv: no such file"),
        (["scores.parquet", "--table", "pos.vcf"], "neither a label (1 and 0) nor a PIP"),
        (["scores.parquet", "--table", "finemapped.tsv", "--stat", "D1"], "has no D1: it has SAD"),
        (["scores.parquet", "--table", "finemapped.tsv", "-t", "kidney"], "no track matches 'kidney'"),
        (["scores.parquet", "--table", "finemapped.tsv", "--folds", "21"], "no tissue has enough"),
        (["scores.parquet", "--table", "finemapped.tsv", "--figure", "roc.gif"], "expected one that ends in .png"),
        (["scores.parquet", "--table", "finemapped.tsv", "--figure", "there.png"], "there.png exists already"),
        (["scores.parquet", "--table", "finemapped.tsv", "--by-track", "out.tsv"], "is named twice"),
        (["scores.parquet", "--table", "finemapped.tsv", "--by-track", "no/where.tsv"], "there is no folder no"),
    ],
)
def test_an_error_is_one_message_and_no_output(folder, monkeypatch, arguments, message):
    monkeypatch.chdir(folder)
    (folder / "there.png").write_text("kept")
    result = run("classify", *arguments, *(() if "--folds" in arguments else SHORT[:2]), "-o", "out.tsv", "-q")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("varscore: error: ")
    assert message in result.stderr
    assert not (folder / "out.tsv").exists()
    assert (folder / "there.png").read_text() == "kept"


def test_an_output_is_replaced_only_when_asked(folder, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "out.tsv").write_text("kept")
    commands = (
        ["select", "--table", "finemapped.tsv"],
        ["signed", "scores.parquet", "--effects", "finemapped.tsv"],
    )
    for command in commands:
        result = run(*command, "-o", "out.tsv")
        assert (result.exit_code, (folder / "out.tsv").read_text()) == (1, "kept")
        assert "out.tsv exists already: choose another name" in result.stderr
    for command in commands:
        assert run(*command, "-o", "out.tsv", "--overwrite").exit_code == 0
        assert (folder / "out.tsv").read_text() != "kept"


def test_the_help_needs_neither_torch_nor_scikit_learn():
    program = (
        "import sys\nfrom varscore.cli import main\n"
        "main(['eqtl', 'classify', '--help'], standalone_mode=False)\n"
        "assert not {'torch', 'sklearn', 'scipy', 'matplotlib', 'pandas'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_torch_is_not_imported_to_classify(folder):
    program = (
        "import sys\nfrom varscore.cli import main\n"
        f"main(['eqtl', 'signed', '{folder}/scores.parquet', '--effects', '{folder}/finemapped.tsv', '-o', "
        f"'{folder}/x.tsv'], standalone_mode=False)\nassert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
