"""Exact arguments, exit statuses, and what is said where."""

import gzip
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from varscore import __version__
from varscore.cli import LazyGroup, main

HEADER = "##fileformat=VCFv4.2\n##contig=<ID=z>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
BASES = "ACGTTGCAAC" * 900


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    """A folder with genome.fa (contig z, 9,000 bases) and in.vcf (an SNV, a multi-allelic record, a symbolic one)."""
    (tmp_path / "genome.fa").write_text(f">z\n{BASES}\n")
    rows = ["z\t4001\trs1\tA\tG\t.\t.\t.", "z\t4002\t.\tC\tT,CA\t.\t.\t.", "z\t4003\t.\tG\t<DEL>\t.\t.\t."]
    (tmp_path / "in.vcf").write_text(HEADER + "\n".join(rows) + "\n")
    return tmp_path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


def score(folder: Path, model: Path, *more: object) -> Result:
    files = (folder / "in.vcf", "--fasta", folder / "genome.fa", "-o", folder / "out.parquet")
    return run("score", *files, "--model", model, *more)


def test_score_says_what_it_did(inputs, small_model):
    result = score(inputs, small_model)
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    said = result.stderr.split("\n")
    assert any("3  alleles scored on 7 human tracks by small" in line for line in said)
    assert any("1  symbolic: symbolic allele or breakend" in line for line in said)
    assert any("seconds per allele on cpu" in line for line in said)
    assert any(line.strip().endswith(str(inputs / "out.parquet")) for line in said)
    assert len(pd.read_parquet(inputs / "out.parquet")) == 4


def test_quiet_is_quiet(inputs, small_model):
    result = score(inputs, small_model, "--quiet")
    assert (result.exit_code, result.output) == (0, "")


def test_options_reach_the_library(inputs, small_model, monkeypatch):
    asked = {}

    def score_vcf(vcf, **options):
        asked.update(options, vcf=vcf)
        raise KeyboardInterrupt

    monkeypatch.setattr("varscore.pipeline.score_vcf", score_vcf)
    more = ["--no-rc", "--shifts", "-1,0,1", "-t", "0", "-t", "CAGE:.*liver", "-r", "z:1-10", "--pass-only"]
    more += [
        "--on-ref-mismatch",
        "swap",
        "--window-index",
        "98304",
        "--batch-size",
        "4",
        "--device",
        "cpu",
        "--overwrite",
    ]
    more += ["--window", "shared", "--window-grid", "512", "--engine", "plain", "--precision", "bf16"]
    more += ["--part-size", "9", "--shard", "2/3", "--stat", "SAD,JS", "--stat", "D2@501"]
    more += ["--genes", "genes.gtf", "--tss-flank", "1"]
    result = score(inputs, small_model, *more)
    assert result.exit_code == 130
    assert "varscore: error: interrupted" in result.stderr
    del asked["progress"], asked["command"]
    assert asked == {
        "vcf": str(inputs / "in.vcf"), "fasta": str(inputs / "genome.fa"), "output": str(inputs / "out.parquet"),
        "model": str(small_model), "weights": None, "track_table": None, "organism": "human",
        "tracks": ("0", "CAGE:.*liver"), "rc": False, "shifts": [-1, 0, 1], "window_index": 98304, "device": "cpu",
        "batch_size": 4, "regions": ("z:1-10",), "regions_file": None, "pass_only": True, "on_ref_mismatch": "swap",
        "overwrite": True, "window": "shared", "window_grid": 512, "engine": "plain", "precision": "bf16",
        "part_size": 9, "shard": (2, 3), "runner": None, "statistics": ("SAD,JS", "D2@501"), "genes": "genes.gtf",
        "tss_flank": 1,
    }  # fmt: skip


def test_standard_input_is_scored_the_same(inputs, small_model):
    assert score(inputs, small_model).exit_code == 0
    command = [
        sys.executable,
        "-c",
        "from varscore.cli import main; main()",
        "score",
        "-",
        "-q",
        "--model",
        small_model,
    ]
    with (inputs / "in.vcf").open() as vcf:
        done = subprocess.run(
            [*command, "--fasta", inputs / "genome.fa", "-o", inputs / "piped.parquet"],
            stdin=vcf, capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    pd.testing.assert_frame_equal(*(pd.read_parquet(inputs / name) for name in ("out.parquet", "piped.parquet")))


def truncated_gz(folder: Path, _: Path) -> list[object]:
    lines = "".join(f"z\t{i}\t.\tA\tG\t.\t.\t.\n" for i in range(1, 9000))
    (folder / "in.vcf").write_bytes(gzip.compress((HEADER + lines).encode())[:-2000])
    return []


def wrong_weights(folder: Path, _: Path) -> list[object]:
    import torch

    torch.save({"stem.0.weight": torch.zeros(3)}, folder / "weights.bin")
    return ["--weights", folder / "weights.bin"]


def wrong_digest(folder: Path, model: Path) -> list[object]:
    own = folder / "own"
    own.mkdir()
    for file in model.iterdir():
        (own / file.name).write_bytes(file.read_bytes())
    weights = bytearray((own / "weights.safetensors").read_bytes())
    weights[-1] ^= 1
    (own / "weights.safetensors").write_bytes(weights)
    return ["--model", own]


def no_weights_no_network(folder: Path, _: Path) -> list[object]:
    table = folder / "tracks.tsv"
    table.write_text("index\tidentifier\tdescription\n" + "".join(f"{i}\tT{i}\tDNASE:{i}\n" for i in range(5313)))
    return ["--model", "enformer", "--track-table", table]


def write(name: str, text: str):
    def change(folder: Path, _: Path) -> list[object]:
        (folder / name).write_text(text)
        return []

    return change


def remove(name: str):
    def change(folder: Path, _: Path) -> list[object]:
        (folder / name).unlink()
        return []

    return change


BAD_INPUTS = {
    "no such VCF": (remove("in.vcf"), "in.vcf"),
    "no such FASTA": (remove("genome.fa"), "genome.fa"),
    "not a VCF": (write("in.vcf", "hello\nworld\n"), "in.vcf"),
    "truncated gz": (truncated_gz, "in.vcf"),
    "not a FASTA": (write("genome.fa", "chr1\t1\t2\n"), "genome.fa"),
    "FASTA without the contigs": (write("genome.fa", ">chr7\nACGT\n"), "none of the contigs"),
    "wrong weights": (wrong_weights, "does not fit the model"),
    "no such weights": (lambda *_: ["--weights", "/no/such.bin"], "/no/such.bin"),
    "wrong digest": (wrong_digest, "sha256"),
    "no weights and no network": (no_weights_no_network, "--weights FILE"),
    "output folder missing": (lambda folder, _: ["-o", folder / "no/out.parquet"], "no folder"),
    "output is another folder": (lambda folder, _: ["-o", folder], "with other files in it"),
    "output not writable": (lambda *_: ["-o", "/proc/out.parquet"], "cannot be written"),
    "unknown track": (lambda *_: ["-t", "CAGE:.*spleen"], "CAGE:.*spleen"),
    "bad pattern": (lambda *_: ["-t", "CAGE:("], "CAGE:("),
    "unknown model": (lambda *_: ["--model", "enformr"], "Did you mean enformer"),
    "no such device": (lambda *_: ["--device", "cuda:99"], "cuda:99"),
    "not a device": (lambda *_: ["--device", "tpu?"], "tpu?"),
    "bad region": (lambda *_: ["-r", "z:9-3"], "z:9-3"),
    "no regions file": (lambda *_: ["-R", "/no/such.bed"], "/no/such.bed"),
}


@pytest.mark.parametrize("case", BAD_INPUTS)
def test_bad_input_is_one_clear_error(case, inputs, small_model, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(inputs / "cache"))
    change, said = BAD_INPUTS[case]
    more = change(inputs, small_model)
    before = set(inputs.rglob("*"))
    result = score(inputs, small_model, *more)
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    assert result.stderr.count("varscore: error:") == 1
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    new = {path.name for path in set(inputs.rglob("*")) - before if "cache" not in path.parts}
    assert new <= {"genome.fa.fai"}


def test_output_is_not_replaced_unless_asked(inputs, small_model):
    (inputs / "out.parquet").write_text("mine")
    result = score(inputs, small_model)
    assert result.exit_code == 1
    assert "--overwrite" in result.stderr
    assert (inputs / "out.parquet").read_text() == "mine"
    assert score(inputs, small_model, "--overwrite").exit_code == 0
    assert len(pd.read_parquet(inputs / "out.parquet")) == 4


@pytest.mark.parametrize(
    "arguments",
    [
        ["score"],
        ["score", "in.vcf"],
        ["score", "x", "-f", "y", "-o", "z", "--shifts", "a"],
        ["scor"],
        ["--no"],
        ["score", "x", "-f", "y", "-o", "z", "--shard", "0/2"],
        ["score", "x", "-f", "y", "-o", "z", "--workers", "2"],
    ],
)
def test_usage_errors_exit_with_2(arguments):
    result = run(*arguments)
    assert result.exit_code == 2
    assert "Usage:" in result.stderr


def test_a_shift_off_the_window_is_a_usage_error(inputs, small_model):
    result = score(inputs, small_model, "--shifts", "5000")
    assert result.exit_code == 2
    assert "shifts" in result.stderr


def test_debug_shows_the_traceback(inputs, small_model):
    result = score(inputs, small_model, "--debug", "-t", "nothing")
    assert type(result.exception).__name__ == "TrackError"


def test_tracks_are_listed_and_searched(small_model):
    result = run("tracks", "--model", small_model)
    assert (result.exit_code, len(result.stdout.splitlines())) == (0, 7)
    result = run("tracks", "--model", small_model, "CAGE:.*liver", "0")
    assert result.stdout.splitlines() == [
        "0\tH000\tDNASE:liver 0", "1\tH001\tCAGE:liver, adult 1", "5\tH005\tCAGE:liver, adult 5",
    ]  # fmt: skip
    result = run("tracks", "--model", small_model, "--organism", "mouse", "M002")
    assert result.stdout == "2\tM002\tCHIP:CTCF:K562 2\n"


def test_models_are_listed_and_verified(small_model, tmp_path):
    result = run("models", "list")
    assert result.exit_code == 0
    assert "enformer-tiny" in result.stdout
    assert "CC-BY-4.0" in result.stdout
    result = run("models", "verify", "enformer-tiny")
    assert (result.exit_code, result.stdout.count("\tok\t")) == (0, 3)
    (tmp_path / "weights.bin").write_text("other")
    result = run("models", "verify", small_model, "--weights", tmp_path / "weights.bin")
    assert result.exit_code == 1
    assert "wrong digest" in result.stdout
    result = run("models", "download", small_model)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0] == str(small_model / "weights.safetensors")


def test_version():
    assert run("--version").stdout == f"varscore {__version__}\n"


@pytest.mark.parametrize("command", LazyGroup.COMMANDS)
def test_help_says_what_a_command_is_for(command):
    result = run(command, "--help")
    assert result.exit_code == 0
    assert result.stdout.startswith("Usage: main") or result.stdout.startswith("Usage: ")
    assert len(result.stdout.splitlines()) > 8


def test_help_does_not_wait_for_torch():
    code = """
import sys
from varscore.cli import main
try:
    main(["score", "--help"])
except SystemExit:
    print({"torch", "pandas", "pyarrow", "rich", "pysam"} & set(sys.modules), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "set()"
    assert "--on-ref-mismatch" in done.stdout
