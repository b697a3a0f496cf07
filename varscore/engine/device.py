"""Which device computes."""

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
