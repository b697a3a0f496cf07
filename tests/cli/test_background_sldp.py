"""`varscore background`, `quantiles` and `sldp`: exact arguments, exit statuses, and what is said where."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from tests.analysis.handmade import write_table
from varscore.cli import main


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """scores.parquet of 40 SNVs, and panel.bim with the first 30 of them, ten swapped, and one A/T SNP."""
    monkeypatch.chdir(tmp_path)
    alleles = [("chr7", 100 + i, f"rs{i}", "A", "G") for i in range(40)]
    write_table(Path("scores.parquet"), alleles, np.random.default_rng(0).normal(size=(40, 2)))
    lines = [f"7\trs{i}\t0\t{100 + i}\t{'AG' if i < 10 else 'GA'}\n" for i in range(30)]
    text = "".join(lines).replace("AG\n", "A\tG\n").replace("GA\n", "G\tA\n")
    Path("panel.bim").write_text(text + "7\trs99\t0\t999\tA\tT\n")
    return tmp_path


@pytest.mark.usefixtures("folder")
def test_a_background_then_quantiles():
    result = run("background", "scores.parquet", "-o", "background.parquet")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.splitlines() == [
        "varscore: warning: 40 alleles are few for a background: quantiles go up to 0.975",
        "40 of 40 alleles → 2 distributions → background.parquet",
    ]
    result = run("quantiles", "scores.parquet", "--background", "background.parquet", "-o", "ranked.parquet")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "40 rows, 2 columns of quantiles → ranked.parquet\n"
    result = run("quantiles", "-q", "scores.parquet", "-b", "background.parquet", "-o", "ranked.parquet")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "ranked.parquet exists already" in result.stderr
    result = run("quantiles", "-q", "scores.parquet", "-b", "background.parquet", "-o", "ranked.parquet", "--overwrite")
    assert (result.exit_code, result.output) == (0, "")


def test_annotations_are_counted_on_standard_error(folder):
    result = run("sldp", "scores.parquet", "--bim", "panel.bim", "-o", "annotations/")
    assert (result.exit_code, result.stdout) == (0, "")
    assert [line.rstrip() for line in result.stderr.splitlines()] == [
        "31  SNPs of 1 chromosome",
        "30  matched: with the scores of their allele",
        " 1  ambiguous: A/T or C/G, which are the same swapped as on the other strand",
        "of those matched, 10 have A1 and A2 swapped",
        "2 annotations → annotations/7.sannot.gz",
    ]
    assert {path.name for path in (folder / "annotations").iterdir()} == {"7.sannot.gz", "sannot.json"}
    result = run("sldp", "-q", "scores.parquet", "--bim", "panel.bim", "-o", "annotations/", "--overwrite")
    assert (result.exit_code, result.output) == (0, "")


@pytest.mark.parametrize(
    ("module", "function", "arguments", "expected"),
    [
        (
            "sldp", "write_annotations",
            ["sldp", "s", "--bim", "p.@.bim", "-o", "x/", "-t", "0", "-t", "CAGE", "--stat", "SAR", "--match", "id"],
            {"tracks": ("0", "CAGE"), "statistic": "SAR", "match": "id", "overwrite": False},
        ),
        (
            "background", "make_background",
            ["background", "s", "-o", "b", "--vcf", "v.vcf", "--maf", "0.05", "--overwrite"],
            {"vcf": "v.vcf", "maf": 0.05, "overwrite": True},
        ),
        (
            "background", "make_background", ["background", "s", "-o", "b"],
            {"vcf": None, "maf": 0.01, "overwrite": False},
        ),
        ("background", "write_quantiles", ["quantiles", "s", "-b", "b", "-o", "o"], {"overwrite": False}),
    ],
)  # fmt: skip
def test_options_reach_the_library(module, function, arguments, expected, monkeypatch):
    asked = {}

    def library(*_, **options):
        asked.update(options)
        raise KeyboardInterrupt

    monkeypatch.setattr(f"varscore.analysis.{module}.{function}", library)
    result = run(*arguments)
    assert result.exit_code == 130
    assert asked.pop("command")
    assert asked == expected


@pytest.mark.parametrize(
    "arguments",
    [
        ["sldp", "scores.parquet", "-o", "x/"],
        ["sldp", "scores.parquet", "--bim", "panel.bim", "-o", "x/", "--match", "name"],
        ["background", "scores.parquet"],
        ["background", "scores.parquet", "-o", "b", "--maf", "0.05"],
        ["background", "scores.parquet", "-o", "b", "--vcf", "v", "--maf", "0.7"],
        ["quantiles", "scores.parquet", "-o", "b"],
    ],
)
def test_usage_errors_exit_with_2(arguments):
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Usage:" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sldp", "scores.parquet", "--bim", "no.bim", "-o", "x/"], "no.bim"),
        (["sldp", "scores.parquet", "--bim", "panel.bim", "-o", "x/", "-t", "liver"], "no track matches 'liver'"),
        (["background", "no.parquet", "-o", "b.parquet"], "no.parquet: no such file"),
        (["background", "scores.parquet", "-o", "b.parquet", "--vcf", "panel.bim"], "not a VCF"),
        (["quantiles", "scores.parquet", "-b", "scores.parquet", "-o", "q.parquet"], "is no background"),
    ],
)
def test_bad_input_is_one_clear_error(arguments, said, folder):
    before = set(folder.rglob("*"))
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.count("varscore: error:") == 1
    assert said in result.stderr
    assert set(folder.rglob("*")) == before


@pytest.mark.usefixtures("folder")
def test_none_of_them_needs_torch():
    code = """
import sys
from varscore.cli import main
for arguments in (["background", "scores.parquet", "-qo", "b"], ["quantiles", "scores.parquet", "-qb", "b", "-o", "q"],
                  ["sldp", "-q", "scores.parquet", "--bim", "panel.bim", "-o", "a/"]):
    main(arguments, standalone_mode=False)
print({"torch", "scipy", "matplotlib"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == ("set()", "")
