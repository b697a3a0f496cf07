"""Downloads from a server on loopback that answers as the Hugging Face hub does, and misbehaves when told to."""

import hashlib
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from varscore.errors import DownloadError, ModelError, TrackError, WeightsError
from varscore.network.download import (
    fetch_track_table,
    fetch_weights,
    sha256_of,
    track_table_path,
    verify,
    weights_path,
)
from varscore.network.zoo import ModelSpec, TrackTable, WeightsSource

REPO, REVISION, FILENAME = "lab/enformer", "a" * 40, "weights.bin"
WEIGHTS_URL = f"/{REPO}/resolve/{REVISION}/{FILENAME}"
TABLE_URL = "/tables/targets_human.txt"
WEIGHTS = hashlib.shake_256(b"weights").digest(300_000)
TABLE = b"index\tidentifier\tdescription\n" + b"".join(b"%d\tT%d\tDNASE:cell %d\n" % (i, i, i) for i in range(2000))
CHUNK = 1 << 14


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


class Hub(ThreadingHTTPServer):
    """Serves `files`; the next GETs break off after `cuts` bytes each; `status` answers for them.

    When `silent`, requests for them are accepted and never answered.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = {WEIGHTS_URL: WEIGHTS, TABLE_URL: TABLE}
        self.cuts: list[int] = []
        self.status = 200
        self.silent = False
        self.log: list[tuple[str, str, str | None]] = []
        self.closing = threading.Event()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def ranges(self) -> list[str | None]:
        """The Range header of each GET so far."""
        return [wanted for method, _, wanted in self.log if method == "GET"]


class Handler(BaseHTTPRequestHandler):
    server: Hub  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def answer(self) -> None:
        wanted = self.headers.get("Range")
        self.server.log.append((self.command, self.path, wanted))
        if self.server.silent and self.path in self.server.files:
            self.server.closing.wait()
            return
        body = self.server.files.get(self.path)
        if body is None or self.server.status != 200:
            self.send_response(404 if body is None else self.server.status)
            self.send_header("X-Error-Code", "EntryNotFound" if body is None else "")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        self.send_response(206 if wanted else 200)
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.send_header("ETag", f'"{digest(WEIGHTS)}"')
        self.send_header("X-Repo-Commit", REVISION)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        if self.command == "GET":
            rest = body[start:]
            self.wfile.write(rest[: self.server.cuts.pop(0)] if self.server.cuts else rest)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield server
        server.closing.set()
        server.shutdown()


@pytest.fixture(autouse=True)
def _on_loopback(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of the person's own set-up, small chunks, and retries without the waiting."""
    from huggingface_hub import constants

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("VARSCORE_CACHE", str(tmp_path / "tables"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", CHUNK)
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _: None)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "hub"


@pytest.fixture
def spec(tmp_path: Path, hub: Hub) -> ModelSpec:
    return ModelSpec(
        name="toy",
        title="toy",
        folder=tmp_path / "toy",
        window=1024,
        bin_size=8,
        bins_out=64,
        architecture={"stem_channels": 6, "tower_channels": [6, 12], "heads": 2, "key_size": 4, "layers": 1},
        weights=WeightsSource(FILENAME, len(WEIGHTS), digest(WEIGHTS), repo=REPO, revision=REVISION),
        track_tables={"human": TrackTable("human", 2000, digest(TABLE), url=hub.address + TABLE_URL)},
        licence="none",
        citation="none",
        source="none",
    )


def shipped(spec: ModelSpec) -> ModelSpec:
    """The same model with its files in its folder."""
    spec.folder.mkdir()
    (spec.folder / "w.bin").write_bytes(WEIGHTS)
    (spec.folder / "t.tsv").write_bytes(TABLE)
    table = TrackTable("human", 2000, digest(TABLE), filename="t.tsv")
    return replace(spec, weights=WeightsSource("w.bin", len(WEIGHTS), digest(WEIGHTS)), track_tables={"human": table})


def files_in(folder: Path) -> list[str]:
    """Files with contents and links, except the hub library's own bookkeeping."""
    found = [path for path in folder.rglob("*") if path.is_symlink() or path.is_file()]
    return sorted(p.name for p in found if p.suffix != ".lock" and p.name not in ("CACHEDIR.TAG", ".gitignore"))


def unplug(hub: Hub) -> None:
    hub.shutdown()
    hub.server_close()


def run_python(code: str, **environment: str) -> str:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment = {**inherited, "NO_PROXY": "127.0.0.1", **environment}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


# --- weights -----------------------------------------------------------------------------------------------------


def test_weights_are_fetched_once(hub: Hub, spec: ModelSpec, cache: Path) -> None:
    assert weights_path(spec, cache_dir=cache) is None
    path = fetch_weights(spec, endpoint=hub.address, cache_dir=cache)
    assert path.read_bytes() == WEIGHTS
    assert hub.ranges == [None]
    unplug(hub)
    assert fetch_weights(spec, endpoint=hub.address, cache_dir=cache) == path == weights_path(spec, cache_dir=cache)


def test_the_hubs_environment_variables_hold(hub: Hub, tmp_path: Path, spec: ModelSpec) -> None:
    spec.folder.mkdir()
    (spec.folder / "model.toml").write_text(
        f"""name = "toy"\ntitle = "t"\nlicence = "l"\ncitation = "c"\nsource = "s"
        window = 1024\nbin_size = 8\nbins_out = 64
        architecture = {{stem_channels = 6, tower_channels = [6, 12], heads = 2, key_size = 4, layers = 1}}
        [weights]\nrepo = "{REPO}"\nrevision = "{REVISION}"\nfilename = "{FILENAME}"
        size = {len(WEIGHTS)}\nsha256 = "{digest(WEIGHTS)}"
        [track_tables.human]\ntracks = 2000\nfilename = "t"\nsha256 = "{digest(TABLE)}"
        """
    )
    code = (
        "from varscore.network.download import fetch_weights\nfrom varscore.network.zoo import get_model\n"
        f"try: print(fetch_weights(get_model({str(spec.folder)!r})))\nexcept Exception as e: print(repr(e))"
    )
    home = {"HF_HOME": str(tmp_path / "home"), "HF_ENDPOINT": hub.address}
    offline = run_python(code, HF_HUB_OFFLINE="1", **home)
    assert offline.startswith("DownloadError")
    assert "HF_HUB_OFFLINE" in offline
    assert [url for _, url, _ in hub.log if url == WEIGHTS_URL] == []
    fetched = run_python(code, HF_HUB_OFFLINE="0", **home)
    assert Path(fetched.strip()).is_relative_to(tmp_path / "home" / "hub")
    assert run_python(code, HF_HUB_OFFLINE="1", **home) == fetched


def test_a_dropped_connection_is_resumed_where_it_broke(hub: Hub, spec: ModelSpec, cache: Path) -> None:
    hub.cuts = [100_000, 50_000]
    for _ in (1, 2):  # the hub library goes on within the call or, in some versions, in the next one
        with suppress(DownloadError):
            fetch_weights(spec, endpoint=hub.address, cache_dir=cache)
    path = fetch_weights(spec, endpoint=hub.address, cache_dir=cache)
    assert sha256_of(path) == spec.weights.sha256
    first, second, third = (int((wanted or "bytes=0-")[6:-1]) for wanted in hub.ranges)
    assert 0 == first < second <= 100_000
    assert second < third <= 150_000


def test_a_download_that_cannot_be_finished_is_never_accepted(hub: Hub, spec: ModelSpec, cache: Path) -> None:
    hub.cuts = [100_000, *100 * [0]]  # more than the hub library tries
    with pytest.raises(DownloadError, match=f"could not fetch the weights of toy: .*\n.*{digest(WEIGHTS)}"):
        fetch_weights(spec, endpoint=hub.address, cache_dir=cache)
    assert 0 < len(hub.cuts) < 101
    assert weights_path(spec, cache_dir=cache) is None
    assert [name for name in files_in(cache) if not name.endswith(".incomplete")] == []
    hub.cuts = []
    assert fetch_weights(spec, endpoint=hub.address, cache_dir=cache).read_bytes() == WEIGHTS


def test_a_broken_part_of_a_download_does_not_outlast_the_next_try(hub: Hub, spec: ModelSpec, cache: Path) -> None:
    hub.files[WEIGHTS_URL] = bytes(len(WEIGHTS))
    hub.cuts = [100_000, *100 * [0]]
    with pytest.raises(DownloadError):
        fetch_weights(spec, endpoint=hub.address, cache_dir=cache)
    hub.files[WEIGHTS_URL], hub.cuts = WEIGHTS, []
    with suppress(DownloadError):  # a version that goes on where it broke finds the wrong digest
        fetch_weights(spec, endpoint=hub.address, cache_dir=cache)
    assert fetch_weights(spec, endpoint=hub.address, cache_dir=cache).read_bytes() == WEIGHTS


@pytest.mark.parametrize("bad", [WEIGHTS[:-1] + b"?", WEIGHTS[:1000], b""], ids=["corrupted", "truncated", "empty"])
def test_wrong_weights_are_removed_and_the_next_try_is_clean(
    hub: Hub, spec: ModelSpec, cache: Path, bad: bytes
) -> None:
    hub.files[WEIGHTS_URL] = bad
    with pytest.raises(DownloadError) as caught:
        fetch_weights(spec, endpoint=hub.address, cache_dir=cache)
    assert f"sha256 {digest(bad)} and {len(bad):,} bytes, expected {digest(WEIGHTS)} and 300,000" in str(caught.value)
    assert files_in(cache) == []
    hub.files[WEIGHTS_URL] = WEIGHTS
    assert fetch_weights(spec, endpoint=hub.address, cache_dir=cache).read_bytes() == WEIGHTS


def test_weights_damaged_in_the_cache_are_fetched_anew(hub: Hub, spec: ModelSpec, cache: Path) -> None:
    path = fetch_weights(spec, endpoint=hub.address, cache_dir=cache)
    path.write_bytes(b"damaged")
    assert fetch_weights(spec, endpoint=hub.address, cache_dir=cache).read_bytes() == WEIGHTS
    assert hub.ranges == [None, None]
    path.write_bytes(b"damaged")
    unplug(hub)
    with pytest.raises(DownloadError, match="could not fetch"):
        fetch_weights(spec, endpoint=hub.address, cache_dir=cache)


def test_every_link_to_a_damaged_file_in_the_cache_is_removed(hub: Hub, spec: ModelSpec, cache: Path) -> None:
    path = fetch_weights(spec, endpoint=hub.address, cache_dir=cache)
    blob, shared = path.resolve(), cache / "blobs" / "ab" / "abc"
    shared.parent.mkdir(parents=True)
    shared.write_bytes(b"damaged")  # the hub library keeps some blobs once for all repositories, and links to them
    blob.unlink()
    blob.symlink_to(os.path.relpath(shared, blob.parent))
    assert fetch_weights(spec, endpoint=hub.address, cache_dir=cache).read_bytes() == WEIGHTS
    assert not shared.exists()


def test_a_file_that_a_link_in_the_cache_leads_to_outside_is_left_alone(
    hub: Hub, spec: ModelSpec, cache: Path, tmp_path: Path
) -> None:
    path = fetch_weights(spec, endpoint=hub.address, cache_dir=cache)
    (tmp_path / "own.bin").write_bytes(b"mine")
    path.unlink()
    path.symlink_to(tmp_path / "own.bin")
    assert fetch_weights(spec, endpoint=hub.address, cache_dir=cache).read_bytes() == WEIGHTS
    assert (tmp_path / "own.bin").read_bytes() == b"mine"


def assert_says_how_to_go_on(message: str) -> None:
    assert f"{FILENAME}, 300,000 bytes, sha256 {digest(WEIGHTS)}" in message
    assert f"https://huggingface.co{WEIGHTS_URL}" in message
    assert "--weights FILE" in message
    assert "--model enformer-tiny" in message


@pytest.mark.parametrize(("status", "reason"), [(404, "404"), (401, "401"), (503, "503")])
def test_a_refusal_is_one_message(
    hub: Hub, spec: ModelSpec, cache: Path, status: int, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("CRITICAL")
    hub.status = status
    if status == 404:
        hub.files.clear()
    with pytest.raises(DownloadError, match=f"could not fetch the weights of toy: .*{reason}") as caught:
        fetch_weights(spec, endpoint=hub.address, cache_dir=cache)
    assert_says_how_to_go_on(str(caught.value))


def test_no_network_is_one_message(hub: Hub, spec: ModelSpec, cache: Path) -> None:
    unplug(hub)
    with pytest.raises(DownloadError, match=r"could not fetch the weights of toy: .*refused") as caught:
        fetch_weights(spec, endpoint=hub.address, cache_dir=cache)
    assert_says_how_to_go_on(str(caught.value))


CALL = f"""
from varscore.network import download, zoo
spec = zoo.get_model("enformer")
source = zoo.WeightsSource({FILENAME!r}, {len(WEIGHTS)}, {digest(WEIGHTS)!r}, repo={REPO!r}, revision={REVISION!r})
object.__setattr__(spec, "weights", source)
try:
    print(download.fetch_weights(spec))
except Exception as error:
    print(type(error).__name__, error)
"""


def test_a_server_that_never_answers_is_asked_once(hub: Hub, tmp_path: Path) -> None:
    hub.silent = True
    said = run_python(CALL, HF_HOME=str(tmp_path), HF_ENDPOINT=hub.address, HF_HUB_ETAG_TIMEOUT="1")
    assert said.startswith("DownloadError could not fetch the weights of enformer: ")
    assert_says_how_to_go_on(said)
    assert [method for method, url, _ in hub.log if url == WEIGHTS_URL] == ["HEAD"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_a_full_disk_is_one_message(hub: Hub, tmp_path: Path) -> None:
    limit = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
    said = run_python(limit + CALL, HF_HOME=str(tmp_path), HF_ENDPOINT=hub.address)
    assert re.match(r"DownloadError could not fetch .*\nMake room, or let HF_HOME", said)
    assert_says_how_to_go_on(said)
    with_room = run_python(CALL, HF_HOME=str(tmp_path), HF_ENDPOINT=hub.address)
    assert Path(with_room.strip()).read_bytes() == WEIGHTS


def test_given_and_shipped_weights_need_no_network(hub: Hub, spec: ModelSpec, tmp_path: Path) -> None:
    spec = shipped(spec)
    assert fetch_weights(spec) == weights_path(spec) == spec.folder / "w.bin"
    given = tmp_path / "fine_tuned.bin"
    with pytest.raises(WeightsError, match=f"{given}: no such weights file"):
        weights_path(spec, given)
    given.write_bytes(b"fine-tuned")
    assert weights_path(spec, str(given)) == given
    (spec.folder / "w.bin").write_bytes(b"damaged")
    with pytest.raises(WeightsError, match=f"{digest(b'damaged')}, expected {digest(WEIGHTS)}"):
        fetch_weights(spec)
    assert (spec.folder / "w.bin").exists()
    (spec.folder / "w.bin").unlink()
    assert weights_path(spec) is None
    with pytest.raises(WeightsError, match=r"w\.bin: no such file, though model toy should come with it"):
        fetch_weights(spec)
    assert hub.log == []


# --- track tables ------------------------------------------------------------------------------------------------


def test_a_track_table_is_fetched_once(hub: Hub, spec: ModelSpec, tmp_path: Path) -> None:
    assert track_table_path(spec, "human") is None
    path = fetch_track_table(spec, "human")
    assert path.read_bytes() == TABLE
    assert path == tmp_path / "tables" / f"{digest(TABLE)[:12]}-targets_human.txt" == track_table_path(spec, "human")
    unplug(hub)
    assert fetch_track_table(spec, "human") == path


def test_a_track_table_put_where_the_error_says_is_taken(hub: Hub, spec: ModelSpec) -> None:
    unplug(hub)
    with pytest.raises(DownloadError, match="could not fetch the human track table of toy: ") as caught:
        fetch_track_table(spec, "human")
    message = str(caught.value)
    assert hub.address + TABLE_URL in message
    assert digest(TABLE) in message
    assert "--track-table FILE" in message
    place = Path(message.rpartition("put it at ")[2])
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(TABLE)
    assert fetch_track_table(spec, "human") == place


def test_a_wrong_track_table_is_never_kept(hub: Hub, spec: ModelSpec, tmp_path: Path) -> None:
    hub.files[TABLE_URL] = bad = TABLE[:-2] + b"?\n"
    with pytest.raises(DownloadError) as caught:
        fetch_track_table(spec, "human")
    assert digest(bad) in str(caught.value)
    assert digest(TABLE) in str(caught.value)
    hub.files[TABLE_URL] = TABLE
    hub.cuts = [1000]
    with pytest.raises(DownloadError, match="could not fetch"):
        fetch_track_table(spec, "human")
    del hub.files[TABLE_URL]
    with pytest.raises(DownloadError, match="404"):
        fetch_track_table(spec, "human")
    assert files_in(tmp_path / "tables") == []
    hub.files[TABLE_URL] = TABLE
    path = fetch_track_table(spec, "human")
    path.write_bytes(b"damaged")
    assert fetch_track_table(spec, "human").read_bytes() == TABLE


def test_given_and_shipped_track_tables_need_no_network(hub: Hub, spec: ModelSpec, tmp_path: Path) -> None:
    spec = shipped(spec)
    assert fetch_track_table(spec, "human") == spec.folder / "t.tsv"
    given = tmp_path / "own.tsv"
    with pytest.raises(TrackError, match=f"{given}: no such track table"):
        fetch_track_table(spec, "human", table=given)
    given.write_bytes(b"own")
    assert fetch_track_table(spec, "human", table=given) == given
    with pytest.raises(ModelError, match="no organism 'mouse'"):
        fetch_track_table(spec, "mouse", table=given)
    (spec.folder / "t.tsv").write_bytes(b"damaged")
    with pytest.raises(TrackError, match="is not the file that model toy names"):
        fetch_track_table(spec, "human")
    assert hub.log == []


# --- verify ------------------------------------------------------------------------------------------------------


def test_verify(hub: Hub, spec: ModelSpec, cache: Path, tmp_path: Path) -> None:
    def seen(**arguments: Path) -> list[tuple[str, str, str | None]]:
        return [(check.name, check.status, check.found) for check in verify(spec, cache_dir=cache, **arguments)]

    names = [FILENAME, "targets_human.txt"]
    assert seen() == [(name, "missing", None) for name in names]
    assert hub.log == []
    path = fetch_weights(spec, endpoint=hub.address, cache_dir=cache)
    fetch_track_table(spec, "human")
    assert seen() == [(names[0], "ok", digest(WEIGHTS)), (names[1], "ok", digest(TABLE))]
    path.write_bytes(b"damaged")
    assert seen()[0] == (FILENAME, "wrong digest", digest(b"damaged"))
    assert verify(spec, cache_dir=cache)[0].path == path
    (tmp_path / "copy").write_bytes(WEIGHTS)
    assert seen(weights=tmp_path / "copy")[0] == (FILENAME, "ok", digest(WEIGHTS))
