"""Which device computes, and how it is fed."""

import contextlib
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from varscore.errors import DeviceError


def resolve_device(name: str) -> torch.device:
    """`auto` (CUDA where there is one, else the CPU), `cpu`, `cuda` or `cuda:i`.

    Raises:
        DeviceError: no such device on this machine.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(f"no device is called {name!r}: expected auto, cpu, cuda or cuda:0, cuda:1, …") from error
    if device.type == "cuda":
        found = torch.cuda.device_count()
        if (device.index or 0) >= found:
            raise DeviceError(
                f"no device {name}: torch {torch.__version__} sees {found} CUDA device(s) here; use --device cpu, "
                "or install a CUDA build of torch"
            )
    elif device.type != "cpu":
        raise DeviceError(f"device {name} is not supported: expected auto, cpu, cuda or cuda:0, cuda:1, …")
    return device


def upload(array: np.ndarray, device: torch.device) -> Tensor:
    """An array on the device; on a GPU the copy runs while the host goes on."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


@contextlib.contextmanager
def steady_math() -> Iterator[None]:
    """Settings of a CPU under which scores are computed. To be entered before torch starts its threads.

    Numbers below 1e-38 are zero: attention has many, and their products take 100 times longer. Threads take the setting
    over from the one that starts them.

    And the vector functions of MKL, which torch calls, have been called once. They choose their code for the processor
    at the first call. Where that comes from two threads at once, one may compute by other code, and what it computes
    differs in the last bits, in some processes and not in others.
    """
    for dtype in (torch.float32, torch.float64):
        one = torch.ones(1, dtype=dtype)
        for function in (torch.exp, torch.expm1, torch.log, torch.log1p, torch.sigmoid, torch.lgamma, torch.sqrt):
            function(one)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
