"""`varscore plot`, `saturate` and `report` from the command line: arguments, exit statuses, what is said where."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pysam
import pytest
from click.testing import CliRunner, Result

from tests.made_table import made_table
from varscore.cli import main

pytest.importorskip("matplotlib")

BASES = "ACGTTGCAAC" * 900
TRACKS = [("D0", "DNASE:liver"), ("D1", "DNASE:K562"), ("C0", "CAGE:liver")]


@pytest.fixture
def inputs(tmp_path: Path, small_model: Path) -> dict[str, object]:
    (tmp_path / "genome.fa").write_text(f">z\n{BASES}\n")
    pysam.faidx(str(tmp_path / "genome.fa"))
    (tmp_path / "genes.bed").write_text("z\t4000\t4600\tGENE1\t0\t+\n")
    rows = [("z", 4001 + i, f"rs{i}", "A", "G", "scored") for i in range(12)]
    made_table(tmp_path / "scores.parquet", rows, TRACKS, np.random.default_rng(0).normal(size=(12, 3)))
    return {
        "FASTA": tmp_path / "genome.fa", "GENES": tmp_path / "genes.bed", "MODEL": small_model,
        "SCORES": tmp_path / "scores.parquet", "DIR": tmp_path,
    }  # fmt: skip


def run(inputs: dict[str, object], *arguments: str) -> Result:
    """Words such as FASTA, or a name in DIR/, stand for the files of `inputs`."""
    words = [str(inputs.get(word, word)).replace("DIR/", f"{inputs['DIR']}/") for word in arguments]
    return CliRunner().invoke(main, words)


VARIANT = ("plot", "variant", "--fasta", "FASTA", "--model", "MODEL")


def test_a_variant_is_drawn(inputs, tmp_path):
    result = run(inputs, *VARIANT, "z:4001:A:G", "-t", "H000", "-t", "CAGE", "--genes", "GENES", "-o", "DIR/v.svg")
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    said = result.stderr.splitlines()
    assert [line.split()[2] for line in said[:3]] == ["H000", "H001", "H005"]
    assert said[-1] == f"→ {tmp_path / 'v.svg'}"
    svg = (tmp_path / "v.svg").read_text()
    assert "GENE1" in svg
    assert "z:4,001 A&gt;G" in svg
    quiet = run(inputs, *VARIANT, "z:4001:A:G", "-t", "H000", "-q", "--overwrite", "--width", "1000", "-o", "DIR/v.svg")
    assert (quiet.exit_code, quiet.output) == (0, "")


@pytest.mark.parametrize("spelled", ["z-4001-A-G", "z:4,001A>G", "z\t4001\trs1\tA\tG\t.\tPASS\t."])
def test_other_spellings_of_a_variant(inputs, tmp_path, spelled):
    result = run(inputs, *VARIANT, spelled, "-t", "H000", "-o", "DIR/v.png")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "v.png").read_bytes().startswith(b"\x89PNG")


def test_saturation_from_region_to_figure(inputs, tmp_path):
    made = run(inputs, "saturate", "z:4001-4020", "-f", "FASTA", "-o", "DIR/sat.vcf")
    assert (made.exit_code, made.stdout) == (0, "")
    assert made.stderr == f"60 SNVs → {tmp_path / 'sat.vcf'}\n"
    score = ("score", "DIR/sat.vcf", "--fasta", "FASTA", "--model", "MODEL", "--window", "shared", "-t", "0", "-t", "1")
    assert run(inputs, *score, "-q", "-o", "DIR/sat.parquet").exit_code == 0
    drawn = run(inputs, "plot", "saturation", "DIR/sat.parquet", "-t", "H001", "-o", "DIR/sat.pdf")
    assert (drawn.exit_code, drawn.stdout) == (0, "")
    assert drawn.stderr == f"z:4,001-4,020, 20 positions → {tmp_path / 'sat.pdf'}\n"
    assert (tmp_path / "sat.pdf").read_bytes().startswith(b"%PDF")
    both = run(inputs, "plot", "saturation", "DIR/sat.parquet", "-o", "DIR/both.pdf")
    assert both.exit_code == 2
    assert "shows one track, and 2 are selected (H000, H001" in both.stderr
    more = run(inputs, "saturate", "z:4001-4020", "-f", "FASTA", "--deletions", "-o", "DIR/more.vcf")
    assert more.stderr == f"60 SNVs, 20 deletions → {tmp_path / 'more.vcf'}\n"


def test_strongest_tracks_are_drawn(inputs, tmp_path):
    result = run(inputs, "plot", "tracks", "SCORES", "-o", "DIR/t.svg")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == f"3 tracks on 12 rows → {tmp_path / 't.svg'}\n"
    for variant in ("rs3", "z:4004:A:G", "z-4004-A-G"):
        more = ("--variant", variant, "-t", "DNASE", "-n", "1", "--overwrite", "-q", "-o", "DIR/t.svg")
        result = run(inputs, "plot", "tracks", "SCORES", *more)
        assert (result.exit_code, result.output) == (0, "")
        assert "strongest tracks" in (tmp_path / "t.svg").read_text()


def test_a_report_is_made(inputs, tmp_path):
    result = run(inputs, "report", "SCORES", "-o", "DIR/r.html", "-n", "5")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == f"12 rows on 3 tracks, 5 pairs → {tmp_path / 'r.html'}\n"
    assert (tmp_path / "r.html").read_text().startswith("<!DOCTYPE html>")


T = ("-t", "H000")
BAD_INPUTS = {
    "no variant": ((*VARIANT, "rs12", *T, "-o", "DIR/a.png"), 1, "is no variant; write chr22:20112513:T:TG"),
    "two ALTs": ((*VARIANT, "z 4001 . A G,C", *T, "-o", "DIR/a.png"), 1, "several ALT"),
    "REF is another": ((*VARIANT, "z:4001:C:G", *T, "-o", "DIR/a.png"), 1, "genome build"),
    "no such contig": ((*VARIANT, "y:4001:C:G", *T, "-o", "DIR/a.png"), 1, "no such contig"),
    "no such track": ((*VARIANT, "z:4001:A:G", "-t", "spleen", "-o", "DIR/a.png"), 1, "no track matches"),
    "no track": ((*VARIANT, "z:4001:A:G", "-o", "DIR/a.png"), 2, "--tracks"),
    "no such genes": ((*VARIANT, "z:4001:A:G", *T, "--genes", "no.bed", "-o", "DIR/a.png"), 1, "no.bed"),
    "no such weights": ((*VARIANT, "z:4001:A:G", *T, "--weights", "no.bin", "-o", "DIR/a.png"), 1, "no.bin"),
    "no such device": ((*VARIANT, "z:4001:A:G", *T, "--device", "cuda:99", "-o", "DIR/a.png"), 1, "cuda:99"),
    "narrow": ((*VARIANT, "z:4001:A:G", *T, "--width", "5", "-o", "DIR/a.png"), 2, "--width"),
    "another format": ((*VARIANT, "z:4001:A:G", *T, "-o", "DIR/a.gif"), 1, "ends in .png, .svg or .pdf"),
    "no folder": (("plot", "tracks", "SCORES", "-o", "DIR/no/a.png"), 1, "no folder"),
    "no scores": (("plot", "tracks", "DIR/no.parquet", "-o", "DIR/a.png"), 1, "no such file"),
    "not scores": (("plot", "tracks", "FASTA", "-o", "DIR/a.png"), 1, "cannot be read as Parquet"),
    "no such statistic": (("plot", "tracks", "SCORES", "--stat", "D9", "-o", "DIR/a.png"), 1, "has no D9: it has SAD"),
    "no such allele": (("plot", "tracks", "SCORES", "--variant", "rs99", "-o", "DIR/a.png"), 1, "no row for rs99"),
    "no lines": (("plot", "tracks", "SCORES", "-n", "0", "-o", "DIR/a.png"), 2, "--number"),
    "no SNVs there": (("plot", "saturation", "SCORES", *("-t", "D0", "-r", "z:9-10"), "-o", "DIR/a.png"), 1,
                      "no scored SNVs in z:9-10"),
    "no region": (("plot", "saturation", "SCORES", "-t", "D0", "-r", "z:9-3", "-o", "DIR/a.png"), 1, "z:9-3"),
    "saturate nothing": (("saturate", "z:8999-9001", "-f", "FASTA", "-o", "DIR/a.vcf"), 1, "bases 1 to 9,000"),
    "saturate all": (("saturate", "z", "-f", "FASTA", "-o", "DIR/a.vcf"), 1, "at most 100,000"),
    "report on nothing": (("report", "DIR/no.parquet", "-o", "DIR/a.html"), 1, "no such file"),
    "report to nowhere": (("report", "SCORES", "-o", "DIR/no/a.html"), 1, "no folder"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_INPUTS)
def test_bad_input_is_one_clear_error(case, inputs, tmp_path):
    arguments, status, said = BAD_INPUTS[case]
    before = set(tmp_path.iterdir())
    result = run(inputs, *arguments)
    assert result.exit_code == status, result.output
    assert result.stdout == ""
    assert said in result.stderr
    assert (result.stderr.count("varscore: error:"), "Traceback" in result.stderr) == (2 - status, False)
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    "arguments",
    [
        (*VARIANT, "z:4001:A:G", *T, "-o", "DIR/there.png"),
        ("plot", "saturation", "SCORES", "-t", "D0", "-o", "DIR/there.png"),
        ("plot", "tracks", "SCORES", "-o", "DIR/there.png"),
        ("saturate", "z:1-5", "-f", "FASTA", "-o", "DIR/there.png"),
        ("report", "SCORES", "-o", "DIR/there.png"),
    ],
)
def test_nothing_is_replaced_unless_asked(arguments, inputs, tmp_path):
    (tmp_path / "there.png").write_text("mine")
    result = run(inputs, *arguments)
    assert result.exit_code == 1
    assert "exists already: choose another name, or replace it with --overwrite" in result.stderr
    assert (tmp_path / "there.png").read_text() == "mine"
    result = run(inputs, *arguments, "--overwrite")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "there.png").read_bytes() != b"mine"


def test_scores_are_drawn_without_torch(inputs, tmp_path):
    code = (
        "import sys; from varscore.cli import main; main(sys.argv[1:], standalone_mode=False); "
        "assert 'torch' not in sys.modules, 'torch was imported'"
    )
    scores = inputs["SCORES"]
    for arguments in (["plot", "tracks", scores, "-o", tmp_path / "t.png"], ["report", scores, "-o", tmp_path / "r"]):
        command = [sys.executable, "-c", code, *map(str, arguments), "-q"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
