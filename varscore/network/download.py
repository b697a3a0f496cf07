"""Weights and track tables: found on disk, or fetched once and checked against the digests in the model's description.

Weights live in the ordinary Hugging Face cache (`HF_HOME`, `HF_ENDPOINT`, `HF_HUB_OFFLINE` and the rest apply); track
tables live in varscore's own (`VARSCORE_CACHE`, else the system's cache folder). A file whose digest is wrong is never
handed out. The download libraries are imported where they are used, because they are slow to import.
"""

import errno
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from varscore.errors import DownloadError, TrackError, WeightsError
from varscore.network.zoo import ModelSpec, TrackTable


@dataclass(frozen=True)
class FileCheck:
    """What `verify` found of one file. `found` is its SHA-256, None where the file is missing."""

    name: str
    path: Path | None
    status: Literal["ok", "missing", "wrong digest"]
    expected: str
    found: str | None


def sha256_of(path: Path | str) -> str:
    """The SHA-256 of a file, in lower-case hexadecimal.

    Raises:
        OSError: it cannot be read.
    """
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def weights_path(
    spec: ModelSpec, weights: Path | str | None = None, *, cache_dir: Path | str | None = None
) -> Path | None:
    """Where the model's weights are on this machine, without using the network. The digest is not checked.

    Args:
        spec: the model.
        weights: a file to use instead of the published one, for example fine-tuned weights.
        cache_dir: the Hugging Face cache to look in, if not the usual one.

    Returns:
        `weights`, the file shipped in the model's folder, or that in the Hugging Face cache; None if not there.

    Raises:
        WeightsError: `weights` is not a file.
    """
    if weights is not None:
        if not (given := Path(weights)).is_file():
            raise WeightsError(f"{given}: no such weights file")
        return given
    source = spec.weights
    if source.repo is None:
        shipped = spec.folder / source.filename
        return shipped if shipped.is_file() else None
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(source.repo, source.filename, cache_dir=cache_dir, revision=source.revision)
    return Path(cached) if isinstance(cached, str) else None


def fetch_weights(spec: ModelSpec, *, endpoint: str | None = None, cache_dir: Path | str | None = None) -> Path:
    """The model's weights, checked: from this machine if they are here, else from the Hugging Face hub.

    A download that breaks off is resumed as the hub library does it: some versions go on within the call, some in the
    next one. A file in the cache whose digest is wrong is removed and fetched anew. Hashing the published 1 GB takes
    about a second.

    Args:
        spec: the model.
        endpoint: the hub's address, if not `HF_ENDPOINT` or the public one.
        cache_dir: the Hugging Face cache to use, if not the usual one.

    Raises:
        DownloadError: the file could not be fetched, or what came is not what was published.
        WeightsError: the file shipped with the model is missing or damaged, or the cached one cannot be read.
    """
    source = spec.weights
    path = weights_path(spec, cache_dir=cache_dir)
    if source.repo is None:
        return _checked_shipped(spec, path, source.filename, source.sha256, WeightsError)
    if path is not None:
        if _digest(path, WeightsError) == source.sha256:
            return path
        _discard(path, spec)
    path = _download_from_hub(spec, source.repo, endpoint, cache_dir)
    size = path.stat().st_size
    if (found := _digest(path, WeightsError)) != source.sha256:
        _discard(path, spec)
        came = f"what came has sha256 {found} and {size:,} bytes, expected {source.sha256} and {source.size:,} bytes"
        raise DownloadError(f"{came}. It was removed.\n{_weights_advice(spec)}")
    return path


def _download_from_hub(spec: ModelSpec, repo: str, endpoint: str | None, cache_dir: Path | str | None) -> Path:
    from huggingface_hub import constants, get_session, hf_hub_download, hf_hub_url
    from huggingface_hub.errors import LocalEntryNotFoundError

    filename, revision = spec.weights.filename, spec.weights.revision
    # The errors that reach us are those of the hub library's transport, which differs between its versions
    # (requests, httpx), so every Exception is caught; none of our own code runs inside.
    try:
        # Where no server answers, hf_hub_download retries for minutes: ask once first. Any answer will do, a refusal
        # too; what to make of it is left to hf_hub_download.
        url = hf_hub_url(repo, filename, revision=revision, endpoint=endpoint)
        get_session().head(url, timeout=constants.HF_HUB_ETAG_TIMEOUT)
        return Path(hf_hub_download(repo, filename, revision=revision, endpoint=endpoint, cache_dir=cache_dir))
    except Exception as error:
        # LocalEntryNotFoundError says only that there is no connection; what happened is its cause
        cause = error.__cause__ if isinstance(error, LocalEntryNotFoundError) and error.__cause__ else error
        message = f"could not fetch the weights of {spec.name}: {_reason(cause)}"
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            message += "\nMake room, or let HF_HOME name a folder on a larger disk."
        raise DownloadError(f"{message}\n{_weights_advice(spec)}") from error


def _weights_advice(spec: ModelSpec) -> str:
    source = spec.weights
    return (
        f"The file is {source.filename}, {source.size:,} bytes, sha256 {source.sha256}:\n  {source.url}\n"
        "Try again, or fetch it where there is a network and give it with --weights FILE. "
        "--model enformer-tiny runs without any download."
    )


def track_table_path(spec: ModelSpec, organism: str, table: Path | str | None = None) -> Path | None:
    """Where the track table of an organism is on this machine, without using the network; None if not there.

    Raises:
        ModelError: the model has no such organism.
        TrackError: `table` is given and is not a file.
    """
    entry = spec.track_table(organism)
    if table is not None:
        if not (given := Path(table)).is_file():
            raise TrackError(f"{given}: no such track table")
        return given
    path = spec.folder / entry.filename if entry.filename is not None else _cached_table(entry)
    return path if path.is_file() else None


def fetch_track_table(spec: ModelSpec, organism: str, *, table: Path | str | None = None) -> Path:
    """The track table of an organism: `table` as it is, else the shipped, cached or downloaded one, checked.

    Raises:
        ModelError: the model has no such organism.
        TrackError: `table` is not a file, or the table shipped with the model is missing or damaged.
        DownloadError: it could not be fetched, or what came is not what was published.
    """
    entry = spec.track_table(organism)
    path = track_table_path(spec, organism, table)
    if table is not None and path is not None:
        return path
    if entry.filename is not None:
        return _checked_shipped(spec, path, entry.filename, entry.sha256, TrackError)
    import pooch

    pooch.get_logger().setLevel("WARNING")  # its one INFO line would mix with the command line's own messages
    cached, url = _cached_table(entry), str(entry.url)
    try:  # pooch hashes a cached file too, and writes under a temporary name
        return Path(pooch.retrieve(url, f"sha256:{entry.sha256}", fname=cached.name, path=cached.parent))
    except (OSError, ValueError) as error:  # ValueError: the digest is wrong; requests' errors are OSErrors
        raise DownloadError(
            f"could not fetch the {organism} track table of {spec.name}: {_reason(error)}\n"
            f"The file is {url}\n  sha256 {entry.sha256}\n"
            f"Where there is a network, fetch it and give it with --track-table FILE, or put it at {cached}"
        ) from error


def _cached_table(entry: TrackTable) -> Path:
    import pooch

    folder = Path(os.environ.get("VARSCORE_CACHE") or pooch.os_cache("varscore"))
    return folder.expanduser() / f"{entry.sha256[:12]}-{entry.basename}"  # same name, other contents: another file


def verify(
    spec: ModelSpec, *, weights: Path | str | None = None, cache_dir: Path | str | None = None
) -> list[FileCheck]:
    """Hash the model's files that are on this machine; nothing is fetched, removed or repaired.

    Args:
        spec: the model.
        weights: a file to hold against the published digest instead of the one found.
        cache_dir: the Hugging Face cache to look in, if not the usual one.

    Returns:
        One check for the weights, then one for each organism's track table.

    Raises:
        WeightsError: `weights` is not a file, or the weights cannot be read.
        TrackError: a track table cannot be read.
    """
    source = spec.weights
    path = weights_path(spec, weights, cache_dir=cache_dir)
    checks = [_check(source.filename, path, source.sha256, WeightsError)]
    for organism, entry in spec.track_tables.items():
        checks.append(_check(entry.basename, track_table_path(spec, organism), entry.sha256, TrackError))
    return checks


def _check(name: str, path: Path | None, expected: str, kind: type[WeightsError | TrackError]) -> FileCheck:
    if path is None:
        return FileCheck(name, None, "missing", expected, None)
    found = _digest(path, kind)
    return FileCheck(name, path, "ok" if found == expected else "wrong digest", expected, found)


def _digest(path: Path, kind: type[WeightsError | TrackError]) -> str:
    try:
        return sha256_of(path)
    except OSError as error:
        raise kind(f"{path}: {error.strerror or error}") from error


def _checked_shipped(
    spec: ModelSpec, path: Path | None, filename: str, expected: str, kind: type[WeightsError | TrackError]
) -> Path:
    if path is None:
        raise kind(f"{spec.folder / filename}: no such file, though model {spec.name} should come with it")
    if (found := _digest(path, kind)) != expected:
        raise kind(
            f"{path} is not the file that model {spec.name} names: sha256 {found}, expected {expected}. "
            "Restore the file, or correct model.toml if it was changed on purpose."
        )
    return path


def _discard(path: Path, spec: ModelSpec) -> None:
    """Remove a broken file from the Hugging Face cache: the snapshot's link and the blob (or blobs) it leads to."""
    cache = next(parent for parent in path.parents if parent.name == "snapshots").parents[1].resolve()
    try:
        while path.parent.resolve().is_relative_to(cache):  # a link that leads out of the cache leads to another's file
            following = path.parent / path.readlink() if path.is_symlink() else None
            path.unlink(missing_ok=True)
            if following is None:
                return
            path = following
    except OSError as error:
        raise DownloadError(
            f"{path} is damaged and cannot be removed: {error.strerror or error}. Remove it yourself, or let HF_HOME "
            f"name a folder that can be written.\n{_weights_advice(spec)}"
        ) from error


def _reason(error: BaseException) -> str:
    """What went wrong, on one line; of a requests error, the urllib3 error inside it, without its wrappings."""
    inner = error.args[0] if error.args and isinstance(error.args[0], Exception) else error
    text = " ".join(str(getattr(inner, "reason", inner)).split()) or type(error).__name__
    return text if len(text) <= 400 else f"{text[:400]}…"
