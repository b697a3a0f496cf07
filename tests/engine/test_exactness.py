"""The difference engine against four plain forwards, in float64: the same scores, whatever is drawn."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.conftest import randomise
from varscore.engine import difference_scorer
from varscore.engine.attention import Blocks
from varscore.engine.difference import DifferenceTransformer
from varscore.engine.difference_scorer import DifferenceScorer
from varscore.engine.plain import PlainScorer
from varscore.engine.precision import Precision, Products, round_to_tf32
from varscore.engine.statistics import FORMULAS, Statistic
from varscore.engine.trunk import LocalTrunk, Run
from varscore.engine.windows import Job
from varscore.genome.reference import Reference
from varscore.genome.variant import Edit
from varscore.network.enformer import Enformer

LENGTH = 9_000
WINDOW = 4_096


@pytest.fixture(scope="module")
def network(small_config) -> Enformer:
    network = Enformer(small_config).double()
    randomise(network)
    return network


@pytest.fixture(scope="module")
def reference(tmp_path_factory) -> Iterator[Reference]:
    """A contig little longer than two windows, with Ns in it: many windows reach over its ends."""
    rng = np.random.default_rng(1)
    text = "".join(rng.choice(list("ACGTacgtN"), LENGTH, p=[0.2, 0.2, 0.2, 0.2, 0.04, 0.04, 0.04, 0.04, 0.04]))
    path: Path = tmp_path_factory.mktemp("genome") / "genome.fa"
    path.write_text(f">z\n{text}\n")
    with Reference(path) as opened:
        yield opened


alleles = st.one_of(st.just(""), st.text("ACGT", min_size=1, max_size=4), st.text("ACGT", min_size=120, max_size=400))


@st.composite
def jobs(draw: st.DrawFn, reference: Reference) -> list[Job]:
    """Edits of every kind, some in one window, some at windows' ends, some at the contig's."""
    stretch = reference.stretch("z", 0)
    assert stretch is not None
    drawn = []
    for _ in range(draw(st.integers(1, 6))):
        near = st.integers(4_000, 4_300)
        position = draw(st.one_of(near, near, st.integers(0, LENGTH - 1)))
        deleted = draw(st.one_of(st.sampled_from([0, 1, 1, 1, 2, 3]), st.integers(100, 300)))
        alt = draw(st.one_of(st.text("ACGT", min_size=deleted, max_size=deleted), alleles)) if deleted < 9 else ""
        ref = "A" * min(deleted, LENGTH - position)  # its letters do not enter
        index = draw(
            st.one_of(st.just(WINDOW // 2 - 1), st.integers(0, WINDOW - 420), st.sampled_from([0, 1, 127, 386]))
        )
        start = position - index if draw(st.booleans()) else (position - index) // 256 * 256
        if start <= position and position - start + max(len(ref), len(alt)) <= WINDOW:
            drawn.append(Job(stretch, Edit(position, ref, alt, position), start))
    return drawn


def genes_of(job: Job) -> tuple[tuple[int, ...], ...]:
    """Two genes, by the window alone: one in one bin, one in several up to the prediction's end."""
    first = job.start % 17
    return (first,), (0, first + 1, 19)


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(found - expected).max() / max(1e-6, np.abs(expected).max()))


@settings(
    max_examples=60,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_every_path_scores_as_the_plain_engine(data, network, reference):
    drawn = data.draw(jobs(reference))
    rc = data.draw(st.booleans())
    first, end = network.config.crop * 128, (network.config.crop + network.config.bins_out) * 128
    masked = all(first <= job.edit.anchor - job.start < end for job in drawn)
    statistics = [Statistic(name, width) for name in FORMULAS for width in ([None, 501] if masked else [None])]
    scorer = DifferenceScorer(network, "human", rc=rc, batch_size=data.draw(st.integers(1, 4)), statistics=statistics)
    scorer.trunk._chunk = data.draw(st.sampled_from([1, 5, 128]))
    blocks = Blocks(data.draw(st.sampled_from([3, 8, 256])), data.draw(st.integers(1, 3)))
    scorer.transformer = DifferenceTransformer(network, Products(), blocks)
    scorer.readout.blocks = blocks
    scorer.readout.track_block = data.draw(st.sampled_from([2, 512]))
    if not drawn:
        return
    drawn = [replace(job, genes=genes_of(job)) for job in drawn]
    expected = PlainScorer(network, "human", rc=rc, statistics=statistics).score(reference, drawn)
    found = scorer.score(reference, drawn)
    for one_found, one_expected in zip(found.alleles, expected.alleles, strict=True):
        # what the plain network loses by subtracting two predictions, where they hardly differ
        rounding = 1e-14 * one_expected[statistics.index(Statistic("REF"))].max()
        for statistic, a, b in zip(statistics, one_found, one_expected, strict=True):
            if statistic.formula == "JS":
                # where almost nothing is left of a profile, r + d is no more exact than r is
                alt, ref = (statistics.index(Statistic(name, statistic.width)) for name in ("ALT", "REF"))
                kept = one_expected[alt] > 1e-4 * one_expected[ref]
                np.testing.assert_allclose(a[kept], b[kept], rtol=0, atol=1e-6)
            else:
                assert np.abs(a - b).max() < 1e-9 * max(1e-6, np.abs(b).max()) + rounding, statistic
    for a, b in zip(found.genes, expected.genes, strict=True):
        assert a.shape == b.shape == (2, len(FORMULAS), 7)
        assert np.isfinite(b).all()
        js, others = list(FORMULAS).index("JS"), [i for i, name in enumerate(FORMULAS) if name != "JS"]
        np.testing.assert_allclose(a[:, others], b[:, others], rtol=1e-6, atol=1e-6 * np.abs(b).max())
        np.testing.assert_allclose(a[0, js], 0, atol=1e-12)  # of one bin


@pytest.mark.parametrize("organism", ["human", "mouse"])
def test_groups_batches_and_neighbours_change_nothing(organism, network, reference, monkeypatch):
    stretch = reference.stretch("z", 0)
    edits = [Edit(p, "A", "ACG"[p % 3 :], p) for p in range(3_990, 4_110, 5)] + [
        Edit(4_050, "A", b, 4_050) for b in "CGT"
    ]
    some = [Job(stretch, edit, edit.anchor - 2_047) for edit in edits]
    scorer = DifferenceScorer(network, organism)
    together = scorer.score(reference, some).alleles
    alone = np.concatenate([scorer.score(reference, [job]).alleles for job in some])
    monkeypatch.setattr(difference_scorer, "GROUP_BYTES", 5 * 32 * 24 * 8)
    assert len(list(scorer._groups(some))) > 5
    grouped = scorer.score(reference, some[::-1]).alleles[::-1]
    plain = PlainScorer(network, organism, batch_size=6).score(reference, some).alleles
    for other in (alone, grouped, plain):
        assert relative_error(other, together) < 1e-9


def test_an_edit_that_changes_nothing_scores_zero(network, reference):
    stretch = reference.stretch("z", 0)
    base = "ACGT"[reference.codes(stretch, 4_000, 4_001)[0] % 4]
    scores = (
        DifferenceScorer(network, "human")
        .score(reference, [Job(stretch, Edit(4_000, base, base, 4_000), 2_000)])
        .alleles
    )
    np.testing.assert_array_equal(scores, 0)


def test_attention_that_turns_over_is_noticed_and_recomputed(network, reference):
    """Attention logits made so large that an edit moves all weight from one key to another."""
    wild = Enformer(network.config).double()
    wild.load_state_dict(network.state_dict())
    wild.eval().requires_grad_(False)
    for layer in wild.layers:
        layer.attention.query.weight.mul_(60)
    stretch = reference.stretch("z", 0)
    some = [Job(stretch, Edit(4_000, "A" * 300, "", 4_000), 1_900), Job(stretch, Edit(4_000, "A", "C", 4_000), 1_900)]
    scorer = DifferenceScorer(wild, "human", rc=False)
    calls = []
    inner = scorer.transformer.__call__
    scorer.transformer = lambda x, d, spans=None, careful=False: (
        calls.append(careful) or inner(x, d, spans, careful=careful)
    )
    found = scorer.score(reference, some).alleles
    assert calls == [False, False, True, True]  # the indel apart, each settled when the next has begun
    expected = PlainScorer(wild, "human", rc=False).score(reference, some).alleles
    assert relative_error(found, expected) < 1e-8


def test_runs_of_bins_are_those_of_whole_windows(network):
    codes = torch.from_numpy(np.random.default_rng(2).integers(0, 5, 9_000).astype(np.uint8))
    trunk = LocalTrunk(network, Products())
    assert (trunk.reach, trunk.halo) == (259, 3)
    trunk._chunk = 7
    starts = [0, 1, 5, 64, 128, 129, 1_000, 1_027, 4_001]
    computed = trunk.bins(codes, 50, [Run(50 + start + 3 * 128, 26) for start in starts])
    for start, bins in zip(starts, computed, strict=True):
        whole = trunk.slice(codes[None, start : start + WINDOW])[0, 3:-3]
        assert (whole - bins).abs().max() < 1e-12 * whole.abs().max()


def test_float32_keeps_the_digits_that_subtraction_loses(small_config, reference):
    network = Enformer(small_config).double()
    randomise(network, gain=0.7)
    stretch = reference.stretch("z", 0)
    some = [Job(stretch, Edit(p, "A", "C", p), p - 2_047) for p in range(3_500, 4_500, 100)]
    exact = PlainScorer(network, "human").score(reference, some).alleles
    single = Enformer(small_config)
    single.load_state_dict(network.state_dict())
    single.eval().requires_grad_(False)

    def error(scores: np.ndarray) -> float:
        return float(np.sqrt(((scores - exact) ** 2).mean() / (exact**2).mean()))

    plain = error(PlainScorer(single, "human").score(reference, some).alleles)
    kept = error(DifferenceScorer(single, "human").score(reference, some).alleles)
    assert kept < 1e-4
    assert kept < plain / 3
    errors = {
        p: error(DifferenceScorer(single, "human", precision=p).score(reference, some).alleles) for p in Precision
    }
    assert errors[Precision.FP32] < errors[Precision.TF32] < errors[Precision.BF16] < 0.2


def test_tf32_keeps_ten_bits_of_mantissa():
    x = torch.tensor([1.0, 1 + 2**-10, 1 + 2**-12, -(1 + 2**-11 + 2**-20), 3.14159])
    expected = torch.tensor([1.0, 1 + 2**-10, 1.0, -(1 + 2**-10), 3.140625])
    torch.testing.assert_close(round_to_tf32(x), expected, rtol=0, atol=0)
