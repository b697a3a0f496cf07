"""The full-size network against what DeepMind's TensorFlow implementation predicts on the same weights."""

import importlib.util

import numpy as np
import pytest
import torch

from varscore.engine.difference_scorer import DifferenceScorer
from varscore.engine.statistics import FORMULAS
from varscore.engine.trunk import one_hot
from varscore.engine.windows import Job
from varscore.genome.encoding import reverse_complement
from varscore.genome.reference import Reference
from varscore.genome.variant import minimal_edit
from varscore.genome.window import WindowPolicy, build_window
from varscore.network.checkpoint import load_enformer

CASES = {"snv": (300_024, "T", "C"), "del": (429_882, "GACTA", "G")}
BINS = 896


@pytest.fixture(scope="module")
def golden(shared):
    return np.load(shared / "golden/tf_reference.npz")


@pytest.fixture(scope="module")
def network(shared):
    spec = importlib.util.spec_from_file_location("seeded_weights", shared / "golden/seeded_weights.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return load_enformer(module.seeded_state_dict())


@pytest.mark.full_size
@pytest.mark.parametrize("case", CASES)
def test_predictions_and_sad_are_those_of_tensorflow(case, golden, network, shared):
    with Reference(shared / "data/kgp_chr20/region.fa.gz") as reference:
        edit = minimal_edit(*CASES[case])
        stretch = reference.stretch("z", edit.anchor)
        window = build_window(reference, stretch, edit, WindowPolicy(index=98_304))
    predicted = {}
    for allele, codes in (("ref", window.ref), ("alt", window.alt)):
        for strand in ("fwd", "rc"):
            read = codes if strand == "fwd" else reverse_complement(codes)
            with torch.inference_mode():
                tracks = network(one_hot(torch.from_numpy(read))[None])
            for organism, prediction in tracks.items():
                if strand == "rc":
                    prediction = prediction.flip(1)
                predicted[allele, strand, organism] = prediction
                expected = golden[f"{case}.{allele}.{organism}.{strand}_sum"]
                mean_per_bin = prediction[0].double().sum(dim=0).numpy() / BINS
                np.testing.assert_allclose(mean_per_bin, expected / BINS, rtol=0, atol=2e-3)
            corner = golden[f"{case}.{allele}.human.{strand}_corner"]
            found = predicted[allele, strand, "human"][0, :8, :32].numpy()
            np.testing.assert_allclose(found, corner, rtol=0, atol=2e-3)
    for organism in ("human", "mouse"):
        for strand in ("fwd", "rc"):
            ref, alt = (predicted[allele, strand, organism].double() for allele in ("ref", "alt"))
            found = FORMULAS["SAD"].compute(ref[0], alt - ref)[0].numpy()
            sums = [golden[f"{case}.{allele}.{organism}.{strand}_sum"] for allele in ("ref", "alt")]
            expected = sums[1] - sums[0]
            assert np.abs(found - expected).max() <= 1e-3 * np.abs(expected).max()
            assert np.corrcoef(found, expected)[0, 1] >= 0.999999


@pytest.mark.full_size
def test_the_engine_scores_what_tensorflow_predicts(golden, network, shared):
    with Reference(shared / "data/kgp_chr20/region.fa.gz") as reference:
        edits = [minimal_edit(*CASES[case]) for case in CASES]
        jobs = [Job(reference.stretch("z", edit.anchor), edit, edit.anchor - 98_304) for edit in edits]
        scores = DifferenceScorer(network, "human").score(reference, jobs).alleles[:, 0]
    for case, found in zip(CASES, scores, strict=True):
        strands = [
            golden[f"{case}.alt.human.{strand}_sum"] - golden[f"{case}.ref.human.{strand}_sum"]
            for strand in ("fwd", "rc")
        ]
        expected = np.mean(strands, axis=0)
        assert np.abs(found - expected).max() <= 1e-3 * np.abs(expected).max()
        assert np.corrcoef(found, expected)[0, 1] >= 0.999999
