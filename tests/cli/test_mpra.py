"""`varscore mpra`: exact arguments, exit statuses, what is said where."""

import subprocess
import sys
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pysam
import pytest
from click.testing import CliRunner, Result

from varscore.cli import main
from varscore.genome.vcf import read_variants


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["mpra", *map(str, arguments)])


@pytest.fixture(scope="module")
def scored(tmp_path_factory, small_model) -> Path:
    """A folder with measured.tsv (120 positions of two elements), and scores.parquet of the VCF that is made of it."""
    folder = tmp_path_factory.mktemp("mpra")
    generator = np.random.default_rng(0)
    bases = "".join(generator.choice(list("ACGT"), 120))
    rows = ["Chrom\tPos\tRef\tAlt\tBarcodes\tCoefficient\tpValue\tElement\tRelease"]
    for i, ref in enumerate(bases):
        element, pos = ("near" if i < 60 else "far"), 1001 + i + 5000 * (i >= 60)
        effect = generator.normal()
        alts = [alt for alt in "ACGT" if alt != ref][:1] + ["-"] * (i % 5 == 0)
        rows += [
            f"7\t{pos}\t{ref}\t{alt}\t{5 if i == 7 else 50}\t{effect:.3f}\t{i / 120:.3f}\t{element}\tGRCh38"
            for alt in alts
        ]
    (folder / "measured.tsv").write_text("\n".join(rows) + "\n")
    made = run("variants", folder / "measured.tsv", "-o", folder / "v.vcf.gz", "--write-fasta", folder / "e.fa")
    assert made.exit_code == 0, made.output
    assert made.stdout == ""
    assert f"144 alleles of 2 elements → {folder / 'v.vcf.gz'}" in made.stderr
    assert f"2 rebuilt sequences → {folder / 'e.fa'}" in made.stderr
    assert len(list(read_variants(folder / "v.vcf.gz"))) == 144
    with pysam.FastaFile(str(folder / "e.fa")) as fasta:
        assert [fasta.fetch(name) for name in fasta.references] == [bases[:60], bases[60:]]
        assert list(fasta.references) == ["chr7:1001-1060", "chr7:6061-6120"]
    arguments = ["score", folder / "v.vcf.gz", "--fasta", folder / "e.fa", "-o", folder / "scores.parquet", "-q"]
    result = CliRunner().invoke(main, [*map(str, arguments), "--model", str(small_model)])
    assert result.exit_code == 0, result.output
    return folder


def read(text: str) -> pd.DataFrame:
    return pd.read_csv(StringIO(text), sep="\t")


def test_correlations_are_those_of_the_files(scored, tmp_path):
    """The row of a track, from the Parquet and the table alone."""
    outputs = [f"--{name}" if name != "output" else "-o" for name in ("output", "by-track", "predictions")]
    names = ["results.tsv", "tracks.tsv", "alleles.tsv"]
    options = [part for pair in zip(outputs, [tmp_path / name for name in names], strict=True) for part in pair]
    figures = ["--figure", tmp_path / "f.png", "--scatter", tmp_path / "s.svg"]
    result = run("correlate", scored / "scores.parquet", scored / "measured.tsv", *options, *figures, "--block", 4)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "results.tsv").read_text() == result.stdout
    assert "119 of 119 measured alleles have scores" in result.stderr
    assert "best_track is chosen on the alleles it is shown for" in result.stderr
    assert "no biology" not in result.stderr
    found = read(result.stdout)
    assert list(found.columns) == [
        "element", "method", "alleles", "pearson", "spearman", "tracks", "track", "description",
    ]  # fmt: skip
    assert found["alleles"].tolist() == [60] * 3 + [59] * 3  # one has 5 barcodes
    measured = pd.read_csv(scored / "measured.tsv", sep="\t").query("Alt != '-' and Barcodes >= 10")
    scores = pd.read_parquet(scored / "scores.parquet").query("ref.str.len() == 1")
    both = measured.merge(scores, left_on=["Pos", "Alt"], right_on=["pos", "alt"])
    tracks = pd.read_csv(tmp_path / "tracks.tsv", sep="\t").set_index(["element", "track"])
    assert len(tracks) == 14
    for element, rows in both.groupby("Element"):
        for track in ("H000", "H005"):
            row = tracks.loc[(element, track)]
            assert row["pearson"] == pytest.approx(rows["Coefficient"].corr(rows[track]), abs=1e-5)
            assert row["spearman"] == pytest.approx(rows["Coefficient"].corr(rows[track], "spearman"), abs=1e-5)
        best = found[(found["element"] == element) & (found["method"] == "best_track")].iloc[0]
        assert abs(best["pearson"]) == tracks.loc[element]["pearson"].abs().max()
    assert len(pd.read_csv(tmp_path / "alleles.tsv", sep="\t")) == 119
    assert (tmp_path / "f.png").read_bytes()[:4] == b"\x89PNG"
    assert (tmp_path / "s.svg").read_text().startswith("<?xml")


def test_options_choose_alleles_and_tracks(scored, tmp_path):
    files = (scored / "scores.parquet", scored / "measured.tsv")
    result = run("correlate", *files, "--min-barcodes", 0, "--deletions", "--no-lasso")
    assert "near: 72 alleles in 4 blocks of 16 bp are too few for a cross-validation of 5 folds" in result.stderr
    everything = read(result.stdout)
    assert everything["alleles"].tolist() == [72, 72]
    assert set(everything["method"]) == {"best_track"}
    assert set(read(run("correlate", *files, "--block", 4).stdout)["method"]) == {
        "lasso_cv", "best_track_cv", "best_track",
    }  # fmt: skip
    some = read(run("correlate", *files, "--element", "near", "--max-p", 0.2, "-t", "CAGE", "--no-lasso").stdout)
    assert some["alleles"].unique().tolist() == [24]  # 25 positions up to 0.2, one with 5 barcodes
    assert some.set_index("method").loc["matched", "tracks"] == 2  # CAGE
    (tmp_path / "matched.tsv").write_text("near\tCTCF\nfar\tH000\n")
    chosen = read(run("correlate", *files, "--matched", tmp_path / "matched.tsv", "--no-lasso").stdout)
    matched = chosen[chosen["method"] == "matched"].set_index("element")
    assert matched["tracks"].to_dict() == {"near": 2, "far": 1}
    quiet = run("correlate", *files, "--no-lasso", "-q", "-o", tmp_path / "r.tsv")
    assert (quiet.exit_code, quiet.output) == (0, "")


def test_counts_are_printed(scored):
    result = run("counts", scored / "measured.tsv")
    assert (result.exit_code, result.stderr) == (0, "")
    found = read(result.stdout).set_index("element")
    assert found.loc["near"].to_dict() == {
        "build": "GRCh38", "chrom": 7, "start": 1001, "end": 1060, "positions": 60, "missing": 0, "snvs": 60,
        "deletions": 12, "few_barcodes": 1, "unplaced": 0,
    }  # fmt: skip
    assert list(read(run("counts", scored / "measured.tsv", "--element", "far").stdout)["element"]) == ["far"]


def test_a_reference_anchors_deletions(scored, tmp_path):
    with pysam.FastaFile(str(scored / "e.fa")) as fasta:
        bases = "C" * 1000 + fasta.fetch("chr7:1001-1060") + "A" * 5000 + fasta.fetch("chr7:6061-6120")
    (tmp_path / "genome.fa").write_text(f">7\n{bases}\n")
    arguments = ("variants", scored / "measured.tsv", "--fasta", tmp_path / "genome.fa", "--element", "near")
    result = run(*arguments, "-o", tmp_path / "v.vcf")
    assert result.exit_code == 0, result.output
    first, *_ = read_variants(tmp_path / "v.vcf")
    assert (first.pos, first.ref, first.alt) == (1000, "C" + bases[1000], "C")
    (tmp_path / "genome.fa").write_text(f">7\nC{bases}\n")
    (tmp_path / "genome.fa.fai").unlink()
    result = run(*arguments, "-o", tmp_path / "w.vcf")
    assert result.exit_code == 1
    assert "is it another genome build?" in result.stderr
    assert not (tmp_path / "w.vcf").exists()


def test_nothing_is_replaced_unless_asked_for(scored, tmp_path):
    (tmp_path / "there.tsv").write_text("mine")
    correlate = ("correlate", scored / "scores.parquet", scored / "measured.tsv", "--no-lasso", "-q")
    for arguments in (
        (*correlate, "-o", tmp_path / "there.tsv"),
        (*correlate, "--by-track", tmp_path / "there.tsv"),
        ("variants", scored / "measured.tsv", "-o", tmp_path / "there.tsv"),
        ("variants", scored / "measured.tsv", "-o", tmp_path / "new.vcf", "--write-fasta", tmp_path / "there.tsv"),
    ):
        result = run(*arguments)
        assert result.exit_code == 1
        assert "there.tsv exists already" in result.stderr
        assert "--overwrite" in result.stderr
        assert (tmp_path / "there.tsv").read_text() == "mine"
    assert {path.name for path in tmp_path.iterdir()} == {"there.tsv"}
    assert run(*correlate, "-o", tmp_path / "there.tsv", "--overwrite").exit_code == 0
    assert (tmp_path / "there.tsv").read_text() != "mine"


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["counts"], 2, "Missing argument 'TABLE...'"),
        (["counts", "none.tsv"], 1, "none.tsv: no such file"),
        (["counts", "measured.tsv", "--build", "hg19"], 1, "no rows of build GRCh37: the table has GRCh38"),
        (["counts", "measured.tsv", "--element", "nea"], 1, "no element 'nea': did you mean near"),
        (["counts", "measured.tsv", "--column", "effect"], 2, "expected WHAT=NAME, WHAT one of chrom, pos, ref"),
        (["counts", "measured.tsv", "--column", "effect=beta"], 1, "no header with the columns"),
        (["variants", "measured.tsv"], 2, "Missing option '-o'"),
        (["variants", "measured.tsv", "-o", "v.vcf", "-f", "none.fa"], 1, "none.fa"),
        (["variants", "measured.tsv", "-o", "no/v.vcf"], 1, "no folder"),
        (["correlate", "scores.parquet"], 2, "Missing argument 'TABLE...'"),
        (["correlate", "measured.tsv", "measured.tsv"], 1, "cannot be read as Parquet"),
        (["correlate", "scores.parquet", "measured.tsv", "--stat", "D1"], 1, "has no D1: it has SAD"),
        (["correlate", "scores.parquet", "measured.tsv", "-t", "kidney"], 1, "no track matches 'kidney'"),
        (["correlate", "scores.parquet", "measured.tsv", "--min-confidence", "1"], 1, "no column confidence"),
        (["correlate", "scores.parquet", "measured.tsv", "--folds", "1"], 2, "'--folds'"),
        (["correlate", "scores.parquet", "measured.tsv", "--max-p", "2"], 2, "'--max-p'"),
        (["correlate", "scores.parquet", "measured.tsv", "--figure", "f.doc"], 1, "ends in .png, .svg or .pdf"),
        (["correlate", "scores.parquet", "other.tsv"], 1, "none of 1 measured alleles is in"),
    ],
)
def test_what_is_wrong_is_said(scored, monkeypatch, arguments, status, message):
    (scored / "other.tsv").write_text("chrom,pos,ref,alt,effect\n7,1,A,C,0\n")
    monkeypatch.chdir(scored)
    before = set(scored.iterdir())
    result = run(*arguments)
    assert result.exit_code == status
    assert message in " ".join(result.stderr.split())
    assert result.stdout == ""
    assert set(scored.iterdir()) == before


def test_no_network_is_loaded(scored):
    """Importing PyTorch takes seconds."""
    code = "import sys; from varscore.cli import main; main(sys.argv[1:], standalone_mode=False); "
    code += "print('torch' in sys.modules)"
    arguments = [
        "mpra",
        "correlate",
        "scores.parquet",
        "measured.tsv",
        "--block",
        "4",
        "-q",
        "--figure",
        "no-torch.png",
    ]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=scored, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "False"
