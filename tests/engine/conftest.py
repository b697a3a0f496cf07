import ctypes
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode


@pytest.fixture
def fake_cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """CUDA tensors without values or a GPU.

    A build of torch without CUDA has nothing that enters and leaves a CUDA device, which even fake tensors ask for; the
    CPU's, which does nothing, serves.
    """
    if not torch.backends.cuda.is_built():
        library = ctypes.CDLL(str(next((Path(torch.__file__).parent / "lib").glob("libc10.*"))))
        guards = (ctypes.c_void_p * 2).in_dll(library, "_ZN3c104impl26device_guard_impl_registryE")
        guards[1] = guards[1] or guards[0]
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: self)
    with torch.no_grad(), FakeTensorMode(allow_non_fake_inputs=True):
        yield
