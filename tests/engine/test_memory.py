"""What the engine needs of a GPU's memory, from full-size tensors that have no content."""

import weakref
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from varscore.engine.difference_scorer import DifferenceScorer
from varscore.engine.memory import AT_MOST, FIXED_BYTES, alternative_bytes, batch_size_for
from varscore.engine.precision import Precision
from varscore.engine.windows import Job, Sequence
from varscore.genome.contigs import Stretch
from varscore.genome.variant import Edit
from varscore.network.enformer import Enformer, EnformerConfig


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of CUDA tensors, fake ones too, that are alive."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._alive: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(found):
            if isinstance(tensor, Tensor) and tensor.device.type == "cuda":
                self._count(tensor.untyped_storage())
        return found

    def _count(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key not in self._alive:
            self._alive.add(key)
            weakref.finalize(storage, self._forget, key, size)
            self.now += size
            self.peak = max(self.peak, self.now)

    def _forget(self, key: int, size: int) -> None:
        self._alive.remove(key)
        self.now -= size


def peak_bytes(network: Enformer, alternatives: int, precision: Precision, *, indels: bool) -> int:
    """Of one shared window, without the weights."""
    codes = np.random.default_rng(0).integers(0, 4, 400_000).astype(np.uint8)
    places = [150_000 + 7 * i for i in range(alternatives)]
    edits = [Edit(place, "A", "CC" if indels else "C", place) for place in places]
    stretch = Stretch("z", 0, 400_000, whole=True)
    jobs = [Job(stretch, edit, 50_000) for edit in edits]
    with LiveBytes() as live:
        scorer = DifferenceScorer(network, "human", precision=precision, batch_size=alternatives)
        # whether digits were lost depends on values
        scorer._settled = lambda _views, batch, found, of_genes, _lost: (batch.indices, found, of_genes)
        scorer._sequence = lambda _reference, _jobs: Sequence(codes, 0)
        views = scorer._views(None, jobs)
        assert [len(some) for some, _, _ in scorer._batches(views, jobs)] == [alternatives]
    return live.peak


@pytest.mark.usefixtures("fake_cuda")
def test_a_batch_needs_what_is_reckoned():
    config = EnformerConfig()
    with torch.device("cuda"):
        network = Enformer(config).eval()
    for precision, indels in ((Precision.TF32, False), (Precision.BF16, True)):
        peaks = {n: peak_bytes(network, n, precision, indels=indels) for n in (1, 16, 48)}
        print(
            precision.value, "indels" if indels else "SNVs", {n: f"{peak / 2**30:.2f} GiB" for n, peak in peaks.items()}
        )
        added = (peaks[48] - peaks[16]) / 32
        assert 0.6 * alternative_bytes(config) < added < alternative_bytes(config)
        for alternatives, peak in peaks.items():
            assert peak < FIXED_BYTES + alternatives * alternative_bytes(config)


def test_batch_size_follows_free_memory():
    config = EnformerConfig()
    sizes = [batch_size_for(config, gigabytes * 2**30) for gigabytes in (1, 3, 4, 5, 6, 22, 78)]
    assert sizes == sorted(sizes)
    assert sizes[0] == 1
    assert 8 < sizes[2] < 40
    assert sizes[-1] == sizes[-2] == AT_MOST
