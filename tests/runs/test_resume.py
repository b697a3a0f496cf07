"""Whatever ends a run, the same command goes on, and the scores are those of a run that nothing ended."""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pyarrow.dataset as ds
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file, save_file

from tests.runs.cases import ALLELES, BASES, ONE_THREAD, PART, Case, parts_of, wait_for_parts, write_vcf
from varscore import score_vcf
from varscore.cli import main
from varscore.errors import OutputError, ScoreError, VcfError
from varscore.parts import Worker
from varscore.store.output import merge_folder


@pytest.mark.parametrize("target", ["scores.parquet", "scores"])
def test_killed_anywhere_it_goes_on_where_it_was(case, target):
    drawn, output = random.Random(target), case.folder / target
    folder = output if target == "scores" else case.folder / "scores.parquet.parts"
    kills, before = 0, {}
    while True:
        process = case.start(output)
        if kills < 4:
            wait_for_parts(folder, process, len(before))
            time.sleep(drawn.uniform(0, 0.15))
            process.kill()
        said = process.communicate()[1]
        after = parts_of(folder)
        if process.returncode == 0:
            break
        kills += 1
        assert process.returncode == -signal.SIGKILL
        assert before.items() <= after.items(), "a part was computed twice"
        before = after
    assert kills == 4
    assert f"{len(before)} parts of 15 are in {folder} already" in said
    assert f"{len(before) * PART}  of these alleles were there already" in said
    case.check(output)
    if target == "scores":
        assert before.items() <= after.items()
        assert {path.name for path in folder.iterdir()} == {"_plan.parquet", *after}
    else:
        assert not folder.exists()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_it_in_order(case, number, status):
    output, folder = case.folder / "scores.parquet", case.folder / "scores.parquet.parts"
    process = case.start(output)
    wait_for_parts(folder, process, 1)
    process.send_signal(number)
    said = process.communicate(timeout=30)[1]
    assert process.returncode == status
    assert f"are kept in {folder}: the same command goes on" in said
    assert "Traceback" not in said
    assert not output.exists()
    assert all(name == "_plan.parquet" or name in parts_of(folder) for name in (path.name for path in folder.iterdir()))
    assert case.run(output).exit_code == 0
    case.check(output)


def test_a_finished_run_is_not_repeated(case, monkeypatch):
    output = case.folder / "scores.parquet"
    assert case.run(output).exit_code == 0
    written = output.stat().st_mtime_ns
    monkeypatch.setattr(Worker, "__init__", lambda *_: pytest.fail("a network was loaded"))
    again = case.run(output)
    assert again.exit_code == 0
    assert f"{output} is complete already" in again.stderr
    assert "150  of these alleles were there already" in again.stderr
    assert output.stat().st_mtime_ns == written


def test_a_folder_reads_as_one_table(case):
    folder = case.folder / "scores"
    assert case.run(f"{folder}/").exit_code == 0
    case.check(folder)
    expected = case.expected["H001"].to_numpy()
    for found in (
        pl.read_parquet(folder)["H001"].to_numpy(),
        pl.scan_parquet(f"{folder}/").select("H001").collect()["H001"].to_numpy(),
        duckdb.sql(f"select H001 from '{folder}/*.parquet'").fetchnumpy()["H001"],
        ds.dataset(folder).to_table(columns=["H001"])["H001"].to_numpy(),
    ):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("order", [(1, 2, 3, 4), (3, 1, 4, 2)])
def test_shards_in_any_order_give_the_same_table(case, order):
    folder, output = case.folder / "scores", case.folder / "joined.parquet"
    for number in order[:-1]:
        result = case.run(folder, "--shard", f"{number}/4")
        assert result.exit_code == 0, result.stderr
    assert "parts are not there yet" in result.stderr
    early = CliRunner().invoke(main, ["merge", str(folder), "-o", str(output)])
    assert early.exit_code == 1
    assert re.search(r"[34] of 15 parts are missing, the first is part-0000\d.parquet", early.stderr)
    assert not output.exists()
    assert "not there yet" not in case.run(folder, "--shard", f"{order[-1]}/4").stderr
    joined = CliRunner().invoke(main, ["merge", str(folder), "-o", str(output)])
    assert joined.exit_code == 0, joined.stderr
    assert "150 rows of 15 parts" in joined.stderr
    case.check(output)
    assert merge_folder(folder, case.folder / "again.parquet").rows == ALLELES
    assert CliRunner().invoke(main, ["merge", str(folder), "-o", str(output)]).exit_code == 1


def test_shards_that_start_together(case):
    folder = case.folder / "scores"
    processes = [case.start(folder, "--shard", f"{number}/4", "-q") for number in (1, 2, 3, 4)]
    said = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0, 0], said
    case.check(folder)


@pytest.mark.parametrize(
    ("first", "second", "refused"),
    [((), (), True), (("--shard", "1/2"), (), True), (("--shard", "1/2"), ("--shard", "3/4"), True),
     (("--shard", "1/2"), ("--shard", "2/2"), False), ((), ("--overwrite",), True)],
)  # fmt: skip
def test_two_runs_at_once(case, first, second, refused):
    folder = case.folder / "scores"
    process = case.start(folder, *first, slow=1)
    wait_for_parts(folder, process)
    result = case.run(folder, *second)
    process.kill()
    process.communicate()
    assert result.exit_code == (1 if refused else 0), result.stderr
    assert refused == (f"another run is writing to {folder}" in result.stderr)
    if refused:
        assert case.run(folder).exit_code == 0
        case.check(folder)


@pytest.mark.parametrize("target", ["scores.parquet", "scores"])
@pytest.mark.parametrize(
    ("options", "said"),
    [(["--no-rc"], "reverse_complement: True there, False now"),
     (["--window-grid", "512"], "window.grid: 4096 there, 512 now"),
     (["-t", "CAGE"], "tracks.count: 7 there, 2 now"),
     (["-r", "z:1-4500"], "variants.alleles: 150 there, 72 now")],
)  # fmt: skip
def test_another_plan_is_refused(case, target, options, said):
    output = case.folder / target
    assert case.run(output).exit_code == 0
    result = case.run(output, *options)
    assert result.exit_code == 1
    assert said in result.stderr
    assert "--overwrite" in result.stderr
    case.check(output)
    assert case.run(output, *options, "--overwrite").exit_code == 0
    assert case.run(output).exit_code == 1


def cut_short(case: Case, slow: float = 0.05) -> Path:
    """A folder of parts whose run was killed."""
    process = case.start(case.folder / "scores", slow=slow)
    wait_for_parts(case.folder / "scores", process, 2)
    process.kill()
    process.communicate()
    return case.folder / "scores"


def test_inputs_that_changed_are_refused(case):
    folder = cut_short(case)
    vcf = (case.folder / "in.vcf").read_text()
    (case.folder / "in.vcf").write_text(vcf.replace("rs149", "rs9999"))
    assert "variants.digest: " in case.run(folder).stderr
    (case.folder / "in.vcf").write_text(vcf.replace("##contig", "##fileDate=20260101\n##contig"))
    assert case.run(folder).exit_code == 0, "a header is not the variants"
    case.check(folder)
    genome = (case.folder / "genome.fa").read_text()
    (case.folder / "genome.fa").write_text(genome.replace(BASES[-9:], "ACGTACGTA"))
    result = case.run(folder)
    assert result.exit_code == 1
    assert "contigs.z.md5: " in result.stderr


def test_a_vcf_that_changes_while_it_is_read(case, monkeypatch):
    from varscore.genome.vcf import read_variants

    passes = []

    def change(path, **options):
        passes.append(path)
        if len(passes) == 2:
            write_vcf(case.folder / "in.vcf", 35)
        return read_variants(path, **options)

    monkeypatch.setattr("varscore.pipeline.read_variants", change)
    with pytest.raises(VcfError, match=r"variants of part-00003.parquet have changed"):
        score_vcf(
            case.folder / "in.vcf",
            case.folder / "genome.fa",
            case.folder / "scores",
            model=str(case.model),
            part_size=PART,
        )


def damage(path: Path, how: str) -> None:
    content = bytearray(path.read_bytes())
    if how == "a bit":
        content[60] ^= 1  # in the first column's pages
    elif how == "cut off":
        del content[len(content) // 2 :]
    elif how == "empty":
        content.clear()
    path.write_bytes(content)


@pytest.mark.parametrize("how", ["a bit", "cut off", "empty", "another's"])
def test_a_damaged_part_is_computed_again(case, how):
    folder = case.folder / "scores"
    assert case.run(folder).exit_code == 0
    part = folder / "part-00003.parquet"
    if how == "another's":
        shutil.copy(folder / "part-00004.parquet", part)
    damage(part, how)
    others = {name: when for name, when in parts_of(folder).items() if name != part.name}
    with pytest.raises(OutputError, match=r"part-00003\.parquet is damaged"):
        merge_folder(folder, case.folder / "joined.parquet")
    assert not (case.folder / "joined.parquet").exists()
    result = case.run(folder)
    assert result.exit_code == 0
    assert f"{part} is damaged: it is computed again" in result.stderr
    case.check(folder)
    assert others.items() <= parts_of(folder).items()


@pytest.mark.parametrize("how", ["cut off", "empty"])
def test_a_damaged_plan_is_said(case, how):
    folder = cut_short(case)
    damage(folder / "_plan.parquet", how)
    result = case.run(folder)
    assert result.exit_code == 1
    assert "_plan.parquet is damaged" in result.stderr
    assert case.run(folder, "--overwrite").exit_code == 0
    case.check(folder)


@pytest.fixture
def tiny_disk(tmp_path: Path):
    """A file system of 300 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a file system")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("target", ["scores.parquet", "scores"])
def test_a_full_disk_loses_nothing(case, tiny_disk, target):
    filler = tiny_disk / "filler"
    filler.write_bytes(b"\0" * 200_000)
    output = tiny_disk / target
    folder = output if target == "scores" else tiny_disk / "scores.parquet.parts"
    result = case.run(output)
    assert result.exit_code == 1
    assert "No space left on device" in result.stderr
    assert f"are kept in {folder}" in result.stderr
    kept = parts_of(folder)
    assert 0 < len(kept) < 15
    assert not list(folder.glob(".*"))
    assert not (tiny_disk / "scores.parquet").exists()
    filler.unlink()
    assert case.run(output).exit_code == 0
    case.check(output)


@pytest.mark.parametrize("fails", ["write", "fsync", "replace"])
def test_writes_that_fail(case, monkeypatch, fails):
    """At the ninth file: the plan and seven parts are written, the eighth part is not."""
    count = 0

    def failing(original):
        def wrapped(*arguments, **options):
            nonlocal count
            count += 1
            if count > 8:
                raise OSError(5, "Input/output error")
            return original(*arguments, **options)

        return wrapped

    target = {"write": (Path, "open"), "fsync": (os, "fsync"), "replace": (Path, "replace")}[fails]
    with monkeypatch.context() as patched:
        original = getattr(*target)
        broken = failing(original)
        if fails == "write":
            # files for writing only
            patched.setattr(
                *target, lambda path, mode="r", **more: (broken if mode == "wb" else original)(path, mode, **more)
            )
        else:
            patched.setattr(*target, broken)
        result = case.run(case.folder / "scores")
    assert result.exit_code == 1, result.output
    assert "Input/output error" in result.stderr
    assert "Traceback" not in result.stderr
    assert 0 < len(parts_of(case.folder / "scores")) < 15
    assert not list((case.folder / "scores").glob(".*"))
    assert case.run(case.folder / "scores").exit_code == 0
    case.check(case.folder / "scores")


def test_a_folder_that_vanishes(case):
    folder = case.folder / "scores"
    process = case.start(folder)
    wait_for_parts(folder, process)
    shutil.rmtree(folder)
    said = process.communicate()[1]
    assert process.returncode == 1
    assert "cannot be written or read: No such file or directory" in said
    assert "Traceback" not in said


def test_what_is_no_number_is_no_score(case, tmp_path):
    own = tmp_path / "broken"
    shutil.copytree(case.model, own)
    weights = load_file(own / "weights.safetensors")
    name = next(name for name in weights if name.endswith("_heads.human.0.weight"))
    weights[name][3] = float("nan")
    save_file(weights, own / "weights.safetensors")
    result = case.run(case.folder / "scores.parquet", "--weights", own / "weights.safetensors")
    assert result.exit_code == 1
    assert re.search(r"z:4000 \w+ \w+: the network gave nan for track H003", result.stderr)
    assert not list(case.folder.glob("scores*"))
    debugged = case.run(case.folder / "scores.parquet", "--weights", own / "weights.safetensors", "--debug")
    assert isinstance(debugged.exception, ScoreError)


def test_a_stream_goes_on_too(case):
    output = case.folder / "piped.parquet"
    command = [sys.executable, "-c", "from varscore.cli import main; main()", *case.arguments(output)]
    command[4] = "-"
    vcf = (case.folder / "in.vcf").read_text()
    first = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ONE_THREAD)
    assert first.stdin is not None
    first.stdin.write(vcf)
    first.stdin.close()
    wait_for_parts(case.folder / "piped.parquet.parts", first)
    first.kill()
    first.wait()
    done = subprocess.run(command, input=vcf, capture_output=True, text=True, check=False, env=ONE_THREAD)
    assert done.returncode == 0, done.stderr
    assert "of these alleles were there already" in done.stderr
    case.check(output)


def test_out_of_memory_on_the_device_is_said(case, monkeypatch):
    def cramped(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("varscore.engine.difference_scorer.DifferenceScorer.score", cramped)
    result = case.run(case.folder / "scores.parquet")
    assert result.exit_code == 1
    assert "cpu is out of memory: use another device" in result.stderr
    assert not list(case.folder.glob("scores*"))
