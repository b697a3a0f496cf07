"""The engine on a GPU, as far as that goes without one; and on one, where there is."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensor

from tests.conftest import randomise
from varscore.engine.difference_scorer import DifferenceScorer
from varscore.engine.plain import PlainScorer
from varscore.engine.precision import Precision
from varscore.engine.statistics import FORMULAS, Statistic
from varscore.engine.windows import Job
from varscore.genome.contigs import Stretch
from varscore.genome.reference import Reference
from varscore.genome.variant import Edit
from varscore.network.enformer import Enformer

BASES = "ACGTTGCAAC" * 900
EDITS = [Edit(4_000, "A", "C", 4_000), Edit(4_010, "A", "CCC", 4_010), Edit(4_100, "AC", "", 4_100)]


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    path = tmp_path_factory.mktemp("genome") / "genome.fa"
    path.write_text(f">z\n{BASES}\n")
    with Reference(path) as opened:
        yield opened


def jobs(reference: Reference) -> list[Job]:
    stretch = reference.stretch("z", 0)
    assert isinstance(stretch, Stretch)
    return [Job(stretch, edit, start) for edit in EDITS for start in (1_950, edit.anchor - 2_047)]


@pytest.mark.parametrize("precision", list(Precision))
@pytest.mark.usefixtures("fake_cuda")
def test_every_tensor_is_on_the_device(small_config, reference, precision):
    """Fake CUDA tensors have no values, but mixing them with the host's is an error."""
    some = [replace(job, genes=((0,), (3, 4, 19))) for job in jobs(reference)]
    statistics = [Statistic(name, width) for name in FORMULAS for width in (None, 501)]
    with torch.device("cuda"):
        network = Enformer(small_config).eval()
    scorer = DifferenceScorer(network, "human", precision=precision, batch_size=2, statistics=statistics)
    # whether digits were lost depends on values
    scorer._settled = lambda _views, batch, found, of_genes, _lost: (batch.indices, found, of_genes)
    scored = []
    for indices, found, of_genes in scorer._batches(scorer._views(reference, some), some):
        assert isinstance(found, FakeTensor)
        assert (found.device.type, found.dtype, found.shape) == ("cuda", torch.float64, (len(indices), 20, 7))
        assert (of_genes.device.type, of_genes.shape) == ("cuda", (len(indices), 2, 10, 7))
        scored += indices
    assert sorted(scored) == list(range(len(some)))
    x = torch.zeros(small_config.bins, small_config.dim, device="cuda")
    _, carefully, _ = scorer.transformer(x, torch.zeros(2, *x.shape, device="cuda"), careful=True)
    assert (carefully.device.type, carefully.shape) == ("cuda", (2, 20, 24))


@pytest.mark.usefixtures("fake_cuda")
def test_a_weight_on_the_wrong_device_is_found(small_config):
    """So the test above can fail."""
    with torch.device("cuda"):
        network = Enformer(small_config)
    network.layers[1].expand = torch.nn.Linear(24, 48)
    scorer = DifferenceScorer(network, "human", batch_size=2)
    x = torch.zeros(small_config.bins, small_config.dim, device="cuda")
    with pytest.raises(RuntimeError, match="device"):
        scorer.transformer(x, torch.zeros(2, *x.shape, device="cuda"))


def test_out_of_memory_halves_the_batch_and_loses_nothing(small_config, reference, caplog):
    network = Enformer(small_config)
    randomise(network)
    edits = [Edit(p, "A", "T", p) for p in range(4_000, 4_050, 5)]
    some = [Job(reference.stretch("z", 0), edit, 1_950) for edit in edits]
    expected = DifferenceScorer(network, "human").score(reference, some).alleles
    scorer = DifferenceScorer(network, "human")
    inner, sizes = scorer.transformer, []

    def cramped(x, d, spans=None, *, careful=False):
        sizes.append(len(d))
        if len(d) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return inner(x, d, spans, careful=careful)

    scorer.transformer = cramped
    progress = []
    found = scorer.score(reference, some, progress.append).alleles
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    assert sizes == [10, 5, *[2] * 10]
    assert "batches of 5" in caplog.text
    assert "batches of 2" in caplog.text
    assert sum(progress) == len(some)
    scorer.transformer = lambda *_, **__: (_ for _ in ()).throw(torch.OutOfMemoryError("CUDA out of memory"))
    with pytest.raises(torch.OutOfMemoryError):
        scorer.score(reference, some)


@pytest.mark.cuda
@pytest.mark.parametrize(("precision", "bound"), [("fp32", 1e-4), ("tf32", 0.05), ("bf16", 0.2)])
def test_a_gpu_scores_as_the_cpu(small_config, reference, precision, bound):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    network = Enformer(small_config).double()
    randomise(network, gain=0.7)
    exact = PlainScorer(network, "human").score(reference, jobs(reference)).alleles
    scorer = DifferenceScorer(network.float().cuda(), "human", precision=Precision(precision))
    found = scorer.score(reference, jobs(reference)).alleles
    assert np.sqrt(((found - exact) ** 2).mean() / (exact**2).mean()) < bound
