"""Where parts are kept: a folder of this machine, or a prefix of an object store. What stands there is whole."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import struct
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import fs

from varscore.errors import OutputError

_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}


def is_remote(place: str | os.PathLike[str]) -> bool:
    """Whether a place is an address such as `s3://bucket/scores`, not a path."""
    return "://" in os.fspath(place)


def split_address(place: str | os.PathLike[str]) -> tuple[str, str]:
    """A place without its connection's options, and those: `s3://bucket/x` and `?region=…`."""
    address, mark, query = os.fspath(place).partition("?") if is_remote(place) else (os.fspath(place), "", "")
    return address.rstrip("/") or address, mark + query


@contextlib.contextmanager
def os_errors(place: object) -> Iterator[None]:
    """Turn the operating system's and Arrow's errors into OutputError."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise OutputError(f"{place} cannot be written or read: {reason}") from error


class Folder(ABC):
    """Files by name, each either whole or not there.

    Raises OutputError from all methods where the place cannot be read or written.
    """

    @staticmethod
    def at(place: str | os.PathLike[str]) -> Folder:
        """The folder of a path, or of an address that pyarrow knows (s3://, gs://)."""
        return RemoteFolder(os.fspath(place)) if is_remote(place) else LocalFolder(Path(place))

    @staticmethod
    def above(place: str | os.PathLike[str]) -> tuple[Folder, str]:
        """The folder that a file is in, and its name."""
        address, query = split_address(place)
        if not is_remote(place):
            return LocalFolder(Path(address).parent), Path(address).name
        folder, _, name = address.rpartition("/")
        return RemoteFolder(folder + query), name

    @abstractmethod
    def make(self) -> None:
        """Make the folder, if it is not there; its parent must be."""

    @abstractmethod
    def names(self) -> set[str]:
        """What files are there; none where there is no folder."""

    @abstractmethod
    def open(self, name: str) -> Any:
        """A file for reading, as pyarrow takes it. FileNotFoundError if it is not there."""

    @abstractmethod
    def put(self, name: str, data: Any, *, new: bool = False) -> None:
        """Write a file so that it is whole once it is there. new: FileExistsError if it is there already."""

    @abstractmethod
    def remove(self, names: set[str]) -> None:
        """Remove files."""

    @abstractmethod
    def remove_folder(self) -> None:
        """Remove the folder, if nothing is left in it."""

    @abstractmethod
    def lock(self, name: str, numbers: Sequence[int]) -> contextlib.AbstractContextManager[None]:
        """Hold these numbers of a file that is there, until the block ends or the process dies, however it dies.

        Raises:
            BlockingIOError: another process holds one of them.
        """


class LocalFolder(Folder):
    """A folder of a file system that this machine has mounted."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[type[LocalFolder], tuple[Path]]:
        # another process may be elsewhere
        return LocalFolder, (self.path.absolute(),)

    def __str__(self) -> str:
        return str(self.path)

    def make(self) -> None:
        """Make the folder; its parent must be there and open to writing."""
        parent = self.path.parent
        if not parent.is_dir():
            raise OutputError(f"output {self.path} cannot be written: there is no folder {parent}; make it first")
        try:
            self.path.mkdir(exist_ok=True)
        except OSError as error:
            raise OutputError(f"output {self.path} cannot be written: {error.strerror}") from error
        if not os.access(self.path, os.W_OK):
            raise OutputError(f"output {self.path} cannot be written: the folder is not writable for you")

    def names(self) -> set[str]:
        """Files; unfinished ones of processes that were killed among them."""
        try:
            with os_errors(self.path):
                return {entry.name for entry in os.scandir(self.path) if entry.is_file()}
        except OutputError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return set()
            raise

    def open(self, name: str) -> Any:
        """Opened by pyarrow."""
        return pa.OSFile(str(self.path / name))

    def put(self, name: str, data: Any, *, new: bool = False) -> None:
        """Written under a hidden name, flushed to disk, renamed."""
        target = self.path / name
        temporary = self.path / f".{name}.{socket.gethostname()}.{os.getpid()}.tmp"
        try:
            with os_errors(target):
                with temporary.open("wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                if not new:
                    temporary.replace(target)
            if new:
                self._link(temporary, target)
            with contextlib.suppress(OSError):  # not every file system lets a folder be flushed
                self._flush_folder()
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)

    def _link(self, temporary: Path, target: Path) -> None:
        try:
            os.link(temporary, target)
        except FileExistsError:
            raise
        except OSError:  # a file system without links
            if target.exists():
                raise FileExistsError(target) from None
            with os_errors(target):
                temporary.replace(target)

    def _flush_folder(self) -> None:
        folder = os.open(self.path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def remove(self, names: set[str]) -> None:
        """Remove files that are there."""
        with os_errors(self.path):
            for name in names:
                (self.path / name).unlink(missing_ok=True)

    def remove_folder(self) -> None:
        """Other people's files keep it where it is."""
        with contextlib.suppress(OSError):
            self.path.rmdir()

    @contextlib.contextmanager
    def lock(self, name: str, numbers: Sequence[int]) -> Iterator[None]:
        """Each number is a byte that is locked, as network file systems know it too.

        A file system without locks gives none, and nobody is kept out.
        """
        with os_errors(self.path / name):
            descriptor = os.open(self.path / name, os.O_RDWR)
        try:
            for first, length in _ranges(numbers):
                try:
                    _lock_bytes(descriptor, first, length)
                except OSError as error:
                    if error.errno in (errno.EAGAIN, errno.EACCES):
                        raise BlockingIOError(error.errno, "locked by another process", str(self)) from error
                    if error.errno not in _NO_LOCKS:
                        raise
            yield
        finally:
            os.close(descriptor)


def _ranges(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Rising numbers as (first, how many) of those that follow each other."""
    for _, run in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0]):
        some = [number for _, number in run]
        yield some[0], len(some)


def _lock_bytes(descriptor: int, first: int, length: int) -> None:
    if not hasattr(fcntl, "F_OFD_SETLK"):
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, length, first)
        return
    # an open file's lock; lockf's is the process's, and goes when any file of that name is closed
    request = struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, first, length, 0)
    fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, request)


class RemoteFolder(Folder):
    """A prefix of an object store, where an object appears when its upload has ended. There are no locks."""

    def __init__(self, address: str) -> None:
        self.address = "".join(split_address(address))
        self._system, self._path = None, ""

    def __str__(self) -> str:
        return split_address(self.address)[0]

    def __getstate__(self) -> dict[str, Any]:
        return {"address": self.address, "_system": None, "_path": ""}

    def _connect(self) -> fs.FileSystem:
        if self._system is None:
            try:
                self._system, self._path = fs.FileSystem.from_uri(self.address)
            except (OSError, ValueError, NotImplementedError, pa.ArrowException) as error:
                message = f"output {self} cannot be written: {error}; expected a path, s3://BUCKET/… or gs://BUCKET/…"
                raise OutputError(message) from error
        return self._system

    def _at(self, name: str) -> str:
        return f"{self._path}/{name}"

    def make(self) -> None:
        """Nothing is to be made; that the bucket is there and readable is seen."""
        self.names()

    def names(self) -> set[str]:
        """Objects under the prefix, not those under longer ones."""
        system = self._connect()
        with os_errors(self):
            found = system.get_file_info(fs.FileSelector(self._path, allow_not_found=True))
            bucket = system.get_file_info(self._path.split("/", 1)[0])
        if bucket.type == fs.FileType.NotFound:
            raise OutputError(f"output {self} cannot be written: there is no bucket {bucket.path}")
        return {one.base_name for one in found if one.type == fs.FileType.File}

    def open(self, name: str) -> Any:
        """Opened by pyarrow."""
        return self._connect().open_input_file(self._at(name))

    def put(self, name: str, data: Any, *, new: bool = False) -> None:
        """One upload."""
        if new and name in self.names():
            raise FileExistsError(self._at(name))
        with self.upload(name) as stream:
            stream.write(data)

    @contextlib.contextmanager
    def upload(self, name: str) -> Iterator[Any]:
        """A stream whose object appears at its end, and is taken away again where that was an error."""
        system = self._connect()
        with os_errors(f"{self}/{name}"):
            stream = system.open_output_stream(self._at(name))
            try:
                yield stream
            except BaseException:
                # pyarrow can only end an upload as if it were whole
                with contextlib.suppress(OSError):
                    stream.close()
                    system.delete_file(self._at(name))
                raise
            stream.close()

    def remove(self, names: set[str]) -> None:
        """Remove objects that are there."""
        system = self._connect()
        with os_errors(self):
            for name in names & self.names():
                system.delete_file(self._at(name))

    def remove_folder(self) -> None:
        """Remove the empty object that stands for a folder, if the store keeps one."""
        system = self._connect()
        with contextlib.suppress(OSError):
            if not system.get_file_info(fs.FileSelector(self._path, allow_not_found=True)):
                system.delete_dir(self._path)

    @contextlib.contextmanager
    def lock(self, name: str, numbers: Sequence[int]) -> Iterator[None]:  # noqa: ARG002
        """An object store has none."""
        yield


@contextlib.contextmanager
def whole_file(place: str | os.PathLike[str]) -> Iterator[Any]:
    """Open a file for writing that is there when the block has ended without an error, and not before.

    Raises:
        OutputError: it cannot be written, for instance on a full disk.
    """
    folder, name = Folder.above(place)
    if isinstance(folder, RemoteFolder):
        with folder.upload(name) as stream:
            yield stream
        return
    path = Path(place)
    temporary = path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}.tmp")
    try:
        with os_errors(path):
            with temporary.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
