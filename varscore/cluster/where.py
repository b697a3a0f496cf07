"""Which Dask cluster: one of this machine, one that runs, or one to be started through a batch system."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, cast

import torch

from varscore.errors import ClusterError

INSTALL = "install it with: pip install 'varscore[cluster]'"
SYSTEMS = {"slurm": "SLURMCluster", "pbs": "PBSCluster", "sge": "SGECluster", "lsf": "LSFCluster"}


@contextmanager
def open_cluster(where: str, workers: int | None, *, attempts: int) -> Iterator[Any]:
    """A Dask client, and the cluster that it needs until the block ends.

    Args:
        where: `local`; a scheduler's address (tcp://HOST:8786) or file (.json); or a file (.yaml) with `system` (slurm,
            pbs, sge or lsf), `jobs` (how many to keep running) and, under `options`, what dask-jobqueue's cluster of
            that system takes.
        workers: of a local cluster, by default one per GPU, or one where there is none.
        attempts: how many workers a part may cost before it is given up.

    Raises:
        ClusterError: Dask is not installed, or there is no such cluster.
    """
    try:
        import dask.config
        import distributed
    except ImportError as error:
        raise ClusterError(f"--dask needs Dask: {INSTALL}") from error
    # what is lost is said once, by varscore
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with ExitStack() as resources:
        resources.enter_context(dask.config.set({"distributed.scheduler.allowed-failures": attempts - 1}))
        try:
            if where == "local":
                target: Any = {"address": resources.enter_context(_local(workers))}
            elif where.endswith((".yaml", ".yml")):
                target = {"address": resources.enter_context(_batch_system(Path(where)))}
            elif where.endswith(".json"):
                if not Path(where).is_file():
                    raise ClusterError(f"--dask {where}: no such scheduler file; `dask scheduler` writes one")
                target = {"scheduler_file": where}
            elif "://" in where:
                target = {"address": where}
            else:
                raise ClusterError(
                    f"--dask {where}: expected local, a scheduler's address such as tcp://HOST:8786, its file (.json) "
                    "or a file that describes a cluster (.yaml)"
                )
            client = resources.enter_context(distributed.Client(**target, set_as_default=False))
        except (OSError, TimeoutError, ValueError, TypeError, RuntimeError) as error:
            raise ClusterError(f"--dask {where}: cannot be reached or started: {error}") from error
        yield client


def _local(workers: int | None) -> Any:
    if torch.cuda.is_available():
        try:
            from dask_cuda import LocalCUDACluster  # pyright: ignore[reportMissingImports]
        except ImportError as error:
            raise ClusterError("--dask local on GPUs needs dask-cuda: pip install dask-cuda") from error
        return LocalCUDACluster(n_workers=workers, threads_per_worker=1, dashboard_address=None)
    from distributed import LocalCluster

    count = workers or 1
    threads = max(1, torch.get_num_threads() // count)  # of all cores, or of OMP_NUM_THREADS
    # the annotations of LocalCluster know less than it takes
    return cast(Any, LocalCluster)(
        n_workers=count, threads_per_worker=threads, dashboard_address=None, silence_logs=logging.ERROR
    )


def _batch_system(path: Path) -> Any:
    try:
        import dask_jobqueue
    except ImportError as error:
        raise ClusterError(f"--dask {path} needs dask-jobqueue: {INSTALL}") from error
    import yaml

    try:
        described = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ClusterError(f"--dask {path}: cannot be read: {error}") from error
    advice = "expected system, jobs and options, as in examples/cluster/slurm.yaml"
    if not isinstance(described, dict) or set(described) - {"system", "jobs", "options"}:
        raise ClusterError(f"--dask {path}: {advice}")
    system, jobs, options = described.get("system"), described.get("jobs", 1), described.get("options", {})
    if system not in SYSTEMS or not isinstance(jobs, int) or jobs < 1 or not isinstance(options, dict):
        raise ClusterError(f"--dask {path}: {advice}; system is one of {', '.join(SYSTEMS)}, jobs a number from 1 on")
    cluster = getattr(dask_jobqueue, SYSTEMS[system])(**options)
    # adapting, unlike scaling, sends a new job for one that was lost
    cluster.adapt(minimum_jobs=jobs, maximum_jobs=jobs)
    return cluster
