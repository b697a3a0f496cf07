"""Scores written to an object store, against a server of S3's interface on this machine."""

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pysam
import pytest
from click.testing import CliRunner
from pyarrow import fs

from varscore import score_vcf
from varscore.cli import main
from varscore.errors import FastaError, OutputError
from varscore.parts import Worker
from varscore.store.folder import Folder, whole_file

pytest.importorskip("moto")


@contextmanager
def serving(module: str, *options: str, path: str = "") -> Iterator[str]:
    """A server of this machine, `python -m module` in a process of its own: its host and port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", module, *(option.replace("PORT", str(port)) for option in options)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(200):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=1).close()
            break
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    yield f"127.0.0.1:{port}"
    process.terminate()
    process.wait()


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving("moto.server", "-H", "127.0.0.1", "-p", "PORT", path="moto-api/") as address:
        yield address


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> tuple[fs.S3FileSystem, str]:
    """A bucket, and the options of its address."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    urllib.request.urlopen(urllib.request.Request(f"http://{server}/moto-api/reset", method="POST"), timeout=5).close()
    system = fs.S3FileSystem(endpoint_override=server, scheme="http", region="us-east-1", allow_bucket_creation=True)
    system.create_dir("bucket")
    return system, f"?endpoint_override={server}&scheme=http&region=us-east-1"


def names(system: fs.S3FileSystem) -> set[str]:
    return {one.path for one in system.get_file_info(fs.FileSelector("bucket", recursive=True)) if one.is_file}


def test_a_folder_and_a_file_of_an_object_store(case, bucket, monkeypatch):
    system, options = bucket
    folder, file = f"s3://bucket/run/scores{options}", f"s3://bucket/run/scores.parquet{options}"
    for shard in ("1/2", "2/2"):
        result = case.run(folder, "--shard", shard)
        assert result.exit_code == 0, result.output
    assert "key" not in result.stderr
    found = pq.read_table("bucket/run/scores", filesystem=system).to_pandas()
    pd.testing.assert_frame_equal(found, case.expected, check_exact=True)
    assert CliRunner().invoke(main, ["merge", folder, "-o", file]).exit_code == 0
    assert CliRunner().invoke(main, ["merge", folder, "-o", file]).exit_code == 1
    found = pq.read_table("bucket/run/scores.parquet", filesystem=system).to_pandas()
    pd.testing.assert_frame_equal(found, case.expected, check_exact=True)
    with monkeypatch.context() as patched:
        patched.setattr(Worker, "__init__", lambda *_: pytest.fail("a network was loaded"))
        assert "complete already" in case.run(file).stderr
    assert "reverse_complement: True there, False now" in case.run(file, "--no-rc").stderr
    assert "reverse_complement: True there, False now" in case.run(folder, "--no-rc").stderr


def test_a_run_that_was_ended_goes_on(case, bucket, monkeypatch):
    system, options = bucket
    file, compute, counted = f"s3://bucket/scores.parquet{options}", Worker.compute, []

    def ended(worker, part, done):
        counted.append(part.name)
        if len(counted) == 6:
            raise KeyboardInterrupt
        return compute(worker, part, done)

    monkeypatch.setattr(Worker, "compute", ended)
    result = case.run(file)
    assert result.exit_code == 130
    assert "(5) are kept in s3://bucket/scores.parquet.parts" in result.stderr
    assert len(names(system)) == 6
    result = case.run(file)
    assert result.exit_code == 0, result.output
    assert len(counted) == 6 + 10
    assert names(system) == {"bucket/scores.parquet"}
    found = pq.read_table("bucket/scores.parquet", filesystem=system).to_pandas()
    pd.testing.assert_frame_equal(found, case.expected, check_exact=True)


def test_an_upload_that_fails_leaves_nothing(bucket):
    system, options = bucket

    def fail() -> None:
        with whole_file(f"s3://bucket/half{options}") as stream:
            stream.write(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert names(system) == set()


def test_addresses_that_lead_nowhere(bucket):
    options = bucket[1]
    with pytest.raises(OutputError, match="there is no bucket nobucket"):
        Folder.at(f"s3://nobucket/scores{options}").make()
    with pytest.raises(OutputError, match=r"expected a path, s3://BUCKET"):
        Folder.at("gopher://bucket/scores").make()


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the address at which a server of this machine shows it."""
    folder = tmp_path / "web"
    folder.mkdir()
    with serving("http.server", "PORT", "--bind", "127.0.0.1", "--directory", str(folder)) as address:
        yield folder, f"http://{address}"


def test_variants_at_an_address(case, bucket, web):
    """On the web and in an object store, as text and bgzipped: the scores of the file."""
    system, options = bucket
    folder, address = web
    text = (case.folder / "in.vcf").read_bytes()
    pysam.tabix_compress(str(case.folder / "in.vcf"), str(folder / "in.vcf.gz"))
    (folder / "in.vcf").write_bytes(text)
    with system.open_output_stream("bucket/in.vcf.gz") as stream:
        stream.write((folder / "in.vcf.gz").read_bytes())
    places = f"{address}/in.vcf", f"{address}/in.vcf.gz", f"s3://bucket/in.vcf.gz{options}"
    for i, place in enumerate(places):
        output = case.folder / f"{i}.parquet"
        result = CliRunner().invoke(main, [*case.arguments(output)[:1], place, *case.arguments(output)[2:]])
        assert result.exit_code == 0, result.output
        case.check(output)
    (folder / "cut.vcf.gz").write_bytes((folder / "in.vcf.gz").read_bytes()[:-40])
    for place, message in {
        f"{address}/cut.vcf.gz": "truncated",
        f"{address}/none.vcf": "cannot be fetched",
        f"s3://bucket/none.vcf{options}": "error: s3://bucket/none.vcf: cannot be fetched",
        "gopher://127.0.0.1/in.vcf": "cannot be fetched",
    }.items():
        output = case.folder / "none.parquet"
        result = CliRunner().invoke(main, [*case.arguments(output)[:1], place, *case.arguments(output)[2:]])
        assert result.exit_code == 1
        assert message in result.stderr
        assert "key" not in result.stderr
        assert not output.exists()


def test_a_reference_at_an_address_is_refused(case):
    with pytest.raises(FastaError, match="copy it first"):
        score_vcf(case.folder / "in.vcf", "https://example.org/hg38.fa", case.folder / "o.parquet")
