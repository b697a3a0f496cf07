"""Every statistic against a slow and obvious version in NumPy, and against cases that are arithmetic on paper."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from varscore.engine.readout import Reducer
from varscore.engine.statistics import (
    FORMULAS,
    SAD,
    Statistic,
    exchanged,
    mask,
    parse_statistics,
    with_counterparts,
)
from varscore.engine.windows import Job
from varscore.errors import OptionError
from varscore.genome.contigs import Stretch
from varscore.genome.variant import Edit

CROP, BINS, SIZE = 4, 20, 128


def obvious(name: str, ref: np.ndarray, alt: np.ndarray) -> float:
    """Of two profiles of one track, straight from the definition."""
    if name == "SAD":
        return sum(alt) - sum(ref)
    if name == "SADM":
        return sum(alt) / len(alt) - sum(ref) / len(ref)
    if name == "SAR":
        return sum(math.log2(1 + a) - math.log2(1 + r) for r, a in zip(ref, alt, strict=True))
    if name == "logSAD":
        return math.log2(1 + sum(alt)) - math.log2(1 + sum(ref))
    if name == "SAX":
        return max((a - r for r, a in zip(ref, alt, strict=True)), key=abs)
    if name == "D1":
        return sum(abs(a - r) for r, a in zip(ref, alt, strict=True))
    if name == "D2":
        return math.sqrt(sum((a - r) ** 2 for r, a in zip(ref, alt, strict=True)))
    if name == "JS":
        return float(jensenshannon(ref, alt, base=2)) ** 2
    return {"REF": sum(ref), "ALT": sum(alt)}[name]


def profiles(seed: int, bins: int = BINS, tracks: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    ref = rng.gamma(0.7, 3, (bins, tracks))
    return ref, ref * np.exp(rng.normal(0, rng.choice([0.01, 1.0]), ref.shape))


def job(index: int) -> Job:
    """A job whose variant stands at `index` from the first predicted bin's first base."""
    start = 1_000
    place = start + CROP * SIZE + index
    return Job(Stretch("z", 0, 100_000, whole=True), Edit(place, "A", "C", place), start)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**20),
    index=st.one_of(st.integers(0, BINS * SIZE - 1), st.sampled_from([0, 127, 128, BINS * SIZE - 1])),
    width=st.sampled_from([None, 1, 128, 129, 501, 2_001, 100_000]),
)
def test_every_statistic_is_what_its_definition_says(seed, index, width):
    ref, alt = profiles(seed)
    asked = [Statistic(name, width) for name in FORMULAS]
    r, d = torch.from_numpy(ref), torch.from_numpy(alt - ref)[None]
    found = Reducer(asked, CROP, SIZE).alleles(r, d, [job(index)])[0]
    # the mask, bin by bin: those of ceil(width / 128) around the variant's
    count = math.ceil((width or 10**9) / SIZE)
    left = index // SIZE - count // 2
    chosen = [b for b in range(BINS) if width is None or left <= b < left + count]
    assert index // SIZE in chosen or width is None
    for statistic, values in zip(asked, found, strict=True):
        for track in range(ref.shape[1]):
            expected = obvious(statistic.formula, ref[chosen, track], alt[chosen, track])
            assert float(values[track]) == pytest.approx(expected, rel=1e-8, abs=1e-10), statistic


def test_cases_on_paper():
    r = torch.tensor([[1.0], [3.0], [0.0]], dtype=torch.float64)
    a = torch.tensor([[1.0], [1.0], [1.0]], dtype=torch.float64)
    by_hand = {
        "SAD": -1, "SADM": -1 / 3, "SAR": -1 + 1, "logSAD": 2 - math.log2(5), "SAX": -2, "D1": 3, "D2": math.sqrt(5),
        "REF": 4, "ALT": 3,
        # p = (1/4, 3/4, 0), q = (1/3, 1/3, 1/3), m = (7/24, 13/24, 4/24)
        "JS": 0.5 * (0.25 * math.log2(6 / 7) + 0.75 * math.log2(18 / 13))
        + (math.log2(8 / 7) + math.log2(8 / 13) + math.log2(2)) / 6,
    }  # fmt: skip
    assert by_hand.keys() == FORMULAS.keys()
    for name, expected in by_hand.items():
        assert float(FORMULAS[name].compute(r, (a - r)[None])) == pytest.approx(expected, abs=1e-12), name


def test_nothing_in_common_is_one_bit():
    r, a = torch.tensor([[5.0], [0.0]]), torch.tensor([[0.0], [2.0]])
    assert float(FORMULAS["JS"].compute(r, (a - r)[None])) == pytest.approx(1, abs=1e-5)
    assert float(FORMULAS["JS"].compute(r, torch.zeros(1, 2, 1))) == 0


@pytest.mark.parametrize("name", FORMULAS)
def test_small_differences_keep_their_digits_in_float32(name):
    """Where the exact difference is at hand; subtracting two statistics in float32 would leave two digits of it."""
    rng = np.random.default_rng(3)
    ref = rng.gamma(2, 50, (896, 5)).astype(np.float32)
    d = (rng.normal(0, 1e-3, ref.shape)).astype(np.float32)
    exact = [FORMULAS[name].compute(torch.from_numpy(ref).to(t), torch.from_numpy(d).to(t)[None]) for t in
             (torch.float64, torch.float32)]  # fmt: skip
    assert float((exact[1] - exact[0]).abs().max() / exact[0].abs().max()) < 2e-6


def test_exchanging_ref_and_alt_does_to_each_what_is_said():
    ref, alt = (torch.from_numpy(x) for x in profiles(1))
    asked = with_counterparts([Statistic("REF"), SAD, Statistic("JS", 501), Statistic("ALT", 501), Statistic("SAX")])
    assert [str(one) for one in asked] == ["REF", "SAD", "JS@501", "ALT@501", "SAX", "ALT", "REF@501"]
    reducer = Reducer(asked, CROP, SIZE)
    found = reducer.alleles(ref, (alt - ref)[None], [job(1_000)]).numpy()
    other = reducer.alleles(alt, (ref - alt)[None], [job(1_000)]).numpy()
    np.testing.assert_allclose(exchanged(asked, found), other, rtol=1e-12)


def test_masks_are_those_of_centre_masks():
    """Of 501 bp four bins, two of them left of the variant's; what lies outside the prediction is left out."""
    assert mask(10 * 128 + 5, 501, 896, 128) == (8, 12)
    assert mask(10 * 128, 129, 896, 128) == (9, 11)
    assert mask(10 * 128 + 127, 1, 896, 128) == (10, 11)
    assert mask(0, 501, 896, 128) == (0, 2)
    assert mask(896 * 128 - 1, 501, 896, 128) == (893, 896)
    assert mask(5, None, 896, 128) == (0, 896)


def test_names():
    assert [str(one) for one in parse_statistics(["SAD,logSAD@2001", "SAD", "JS"])] == ["SAD", "logSAD@2001", "JS"]
    for wrong in ("sad", "SAD@", "SAD@0", "SAD@-5", "", "SAD,"):
        with pytest.raises(OptionError, match="no statistic is called"):
            parse_statistics([wrong])
    assert Statistic("D2", 501).definition == (
        "√ Σ (a − r)², over the bins of a mask of 501 bp; r, a: predictions for REF and ALT "
        "(baskerville; AlphaGenome's L2_DIFF)"
    )


def test_a_profile_that_vanishes_is_no_number_too_large():
    r = torch.tensor([[50.0], [20.0]], dtype=torch.float64)
    for a in ([[0.0], [0.0]], [[1e-30], [0.0]], [[1e-16], [1e-16]]):
        found = {name: float(FORMULAS[name].compute(r, (torch.tensor(a) - r)[None])) for name in FORMULAS}
        assert all(map(math.isfinite, found.values()))
        assert 0 <= found["JS"] <= 1
