"""Which device computes, and in what arithmetic."""

import contextlib
from collections.abc import Iterator

import torch

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


@contextlib.contextmanager
def full_float32() -> Iterator[None]:
    """Compute float32 convolutions and matrix products in float32.

    On CUDA torch lets convolutions use TF32, ten bits of mantissa, unless told otherwise; that is enough for a
    prediction and not for a difference of two.
    """
    matmul, cudnn = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = matmul, cudnn
