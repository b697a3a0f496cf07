"""A runner that hands parts to Dask workers. Each loads the model once, and writes its parts itself."""

from __future__ import annotations

import ctypes
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from itertools import islice
from typing import Any

import torch

from varscore.cluster.where import open_cluster
from varscore.engine.device import resolve_device
from varscore.errors import ClusterError, DeviceError
from varscore.genome.variant import Status
from varscore.parts import Done, Finished, Part, Work, Worker

ATTEMPTS = 3
"""How often a part is tried, whether it fails or its worker is lost."""
AHEAD = 2
"""Parts that are given out for each worker: one to compute, one to go on with."""
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
KEPT_BYTES = 2**30
"""Of memory that is free, at most."""
LARGEST_REUSED = 32 * 2**20
"""The largest block that glibc reuses by default."""
LOST = "the Dask scheduler was lost, or has let go of this run"


class DaskRunner:
    """Computes parts on a Dask cluster; a context manager.

    Args:
        where: `local`, the address of a scheduler (tcp://HOST:8786), its file (.json), or a file (.yaml) that describes
            a cluster to start, see `open_cluster`.
        workers: of a local cluster, by default one per GPU, or one where there is none.

    Raises:
        ClusterError: Dask is not installed, or there is no such cluster.
    """

    def __init__(self, where: str, workers: int | None = None) -> None:
        self._resources = ExitStack()
        self.client = self._resources.enter_context(open_cluster(where, workers, attempts=ATTEMPTS))

    def __enter__(self) -> DaskRunner:
        return self

    def __exit__(self, *error: object) -> None:
        self._resources.__exit__(*error)  # type: ignore[arg-type]

    def resolve(self, device: str) -> torch.device:
        """On a worker: the process that asks may have no GPU."""
        self.client.wait_for_workers(1)
        name = self.client.submit(_resolve, device, pure=False).result()
        if isinstance(name, DeviceError):
            raise name
        return torch.device(name)

    def run(self, work: Work, parts: Iterable[Part], done: Done) -> Iterator[Finished]:
        """As workers finish them. A part that fails three times is told of, and the others go on."""
        from distributed import as_completed
        from distributed.comm.core import CommClosedError

        waiting = iter(parts)
        given: dict[Any, Part] = {}

        def give(count: int) -> list[Any]:
            futures = []
            for part in islice(waiting, count):
                # not scattered once: that would be lost with the workers that hold it
                future = self.client.submit(_compute, work, part, pure=False, retries=ATTEMPTS - 1)
                given[future] = part
                futures.append(future)
            return futures

        done(0)
        try:
            going = as_completed(give(self._room()), loop=self.client.loop)
            for future in going:
                part = given.pop(future)
                problem = future.exception()
                if isinstance(problem, CancelledError) or future.cancelled():
                    raise ClusterError(LOST)
                yield Finished(part, problem=_say(problem)) if problem else Finished(part, future.result())
                future.release()
                going.update(give(max(1, self._room() - len(given))))
        except (CancelledError, CommClosedError) as error:
            raise ClusterError(LOST) from error

    def _room(self) -> int:
        return AHEAD * max(1, len(self.client.scheduler_info(n_workers=-1)["workers"]))


def _say(problem: BaseException) -> str:
    if type(problem).__name__ == "KilledWorker":
        return f"its worker was lost {ATTEMPTS} times"
    return str(problem) or type(problem).__name__


def _resolve(device: str) -> str | DeviceError:
    try:
        return str(resolve_device(device))
    except DeviceError as error:
        return error


def _compute(work: Work, part: Part) -> Counter[Status]:
    """On a Dask worker: compute a part, one at a time, with what the last part of the same run had loaded."""
    from distributed import get_worker

    worker: Any = get_worker()
    if not hasattr(worker, "varscore_thread"):
        # one thread for all parts: torch keeps its threads and settings for each that calls it
        keep_freed_memory()
        worker.varscore_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="varscore")
        worker.varscore_loaded = None
    return worker.varscore_thread.submit(_compute_here, worker, work, part).result()


def keep_freed_memory() -> None:
    """Let the C library keep what tensors free for the next ones, as it does without Dask.

    Dask starts workers with MALLOC_TRIM_THRESHOLD_=65536: each large tensor is then given back to the system and
    fetched from it anew, page by page, which takes more time than what is computed.
    """
    with suppress(OSError, AttributeError):  # another system than Linux with glibc
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)
        libc.mallopt(_M_MMAP_THRESHOLD, LARGEST_REUSED)


def _compute_here(worker: Any, work: Work, part: Part) -> Counter[Status]:
    torch.set_num_threads(worker.state.nthreads)
    loaded = worker.varscore_loaded
    if loaded is None or loaded.work.run["plan"] != work.run["plan"]:
        if loaded is not None:
            loaded.close()
        loaded = worker.varscore_loaded = Worker(work)
    return loaded.compute(part, lambda _: None)
