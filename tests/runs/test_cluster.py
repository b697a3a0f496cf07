"""Parts computed by Dask workers: the same scores, whatever becomes of a worker."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.runs.cases import ONE_THREAD, PART, parts_of, wait_for_parts
from varscore import score_vcf
from varscore.cluster.dask import DaskRunner
from varscore.cluster.where import open_cluster
from varscore.errors import ClusterError

pytest.importorskip("distributed")
psutil = pytest.importorskip("psutil")


def workers_of(process: subprocess.Popen[str]) -> list[Any]:
    """Dask's worker processes: what is not multiprocessing's own."""
    children = psutil.Process(process.pid).children(recursive=True)
    return [child for child in children if "resource_tracker" not in " ".join(child.cmdline())]


def test_a_worker_is_lost_and_nothing_with_it(case):
    folder = case.folder / "scores"
    process = case.start(folder, "--dask", "local", "--workers", "2")
    wait_for_parts(folder, process)
    workers = workers_of(process)
    assert len(workers) == 2, [worker.cmdline() for worker in workers]
    workers[0].kill()
    assert len(parts_of(folder)) < 15
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 0, said
    case.check(folder)


def test_a_scheduler_that_runs_is_used_and_a_part_that_fails_is_told_of(case):
    """One REF that is not the genome's, in the middle of part 7."""
    lines = (case.folder / "in.vcf").read_text().splitlines()
    wrong = lines[3 + 74].split("\t")
    assert wrong[2] == "rs74"
    lines[3 + 74] = "\t".join([*wrong[:3], "ACGT"[("ACGT".index(wrong[3]) + 2) % 4], *wrong[4:]])
    (case.folder / "in.vcf").write_text("\n".join(lines) + "\n")
    with open_cluster("local", 1, attempts=3) as client:
        address = client.scheduler.address
        result = case.run(case.folder / "scores", "--dask", address, "--on-ref-mismatch", "error")
        assert result.exit_code == 1, result.output
        assert "1 of 15 parts could not be computed" in result.stderr
        assert re.search(r"part-00007\.parquet \(10 alleles, z:4,490 to z:4,553\): z:4518: REF is", result.stderr)
        assert "14) are kept in" in result.stderr
        done = parts_of(case.folder / "scores")
        assert len(done) == 14
        again = case.run(case.folder / "scores", "--dask", address, "--on-ref-mismatch", "error")
        assert "1 of 1 parts could not be computed" in again.stderr
        assert done == parts_of(case.folder / "scores")


def test_a_scheduler_that_is_lost_is_said(case, tmp_path):
    file, dask = tmp_path / "scheduler.json", [sys.executable, "-m", "dask.__main__"]
    scheduler = subprocess.Popen(
        [*dask, "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", file],
        stderr=subprocess.DEVNULL,
    )
    while not file.exists():
        time.sleep(0.05)
    worker = subprocess.Popen(
        [*dask, "worker", "--scheduler-file", file, "--nthreads", "1", "--no-dashboard", "--no-nanny",
         "--local-directory", tmp_path],
        stderr=subprocess.DEVNULL, env=ONE_THREAD,
    )  # fmt: skip
    process = case.start(case.folder / "scores", "--dask", file)
    wait_for_parts(case.folder / "scores", process)
    worker.send_signal(signal.SIGSTOP)  # so that parts are left to do
    scheduler.kill()
    said = process.communicate(timeout=120)[1]
    worker.kill()
    assert process.returncode == 1, said
    assert "the Dask scheduler was lost" in said, said
    assert "the same command goes on" in said
    assert case.run(case.folder / "scores").exit_code == 0
    case.check(case.folder / "scores")


def test_one_file_comes_of_it(case):
    with DaskRunner("local", 1) as runner:
        summary = score_vcf(
            case.folder / "in.vcf", case.folder / "genome.fa", case.folder / "out.parquet",
            model=str(case.model), window="shared", part_size=PART, runner=runner,
        )  # fmt: skip
    assert (summary.alleles, summary.newly_scored) == (150, 150)
    case.check(case.folder / "out.parquet")


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("nowhere", "expected local, a scheduler's address"),
        ("missing.json", "no such scheduler file"),
        ("missing.yaml", "cannot be read"),
        ("wrong.yaml", "expected system, jobs and options"),
        ("unknown.yaml", "system is one of slurm, pbs, sge, lsf"),
        ("tcp://127.0.0.1:9", "cannot be reached or started"),
    ],
)
def test_no_such_cluster(where, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("wrong.yaml").write_text("- slurm\n")
    Path("unknown.yaml").write_text("system: torque\njobs: 2\n")
    import dask.config

    with dask.config.set({"distributed.comm.timeouts.connect": "2s"}), pytest.raises(ClusterError, match=said):
        DaskRunner(where)


def test_without_dask_the_way_to_install_it_is_said(case, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    result = case.run(case.folder / "out.parquet", "--dask", "local")
    assert result.exit_code == 1
    assert "pip install 'varscore[cluster]'" in result.stderr


def test_a_device_is_looked_for_where_parts_are_computed():
    with DaskRunner("local", 1) as runner:
        assert runner.resolve("auto").type == "cpu"
        with pytest.raises(Exception, match="no device cuda:7"):
            runner.resolve("cuda:7")
