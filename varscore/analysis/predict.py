"""What the network predicts for one variant, bin by bin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from varscore.engine.device import resolve_device, steady_math
from varscore.engine.precision import Products
from varscore.engine.trunk import one_hot
from varscore.errors import OptionError, ScoreError, VcfError
from varscore.genome.encoding import reverse_complement
from varscore.genome.planning import place
from varscore.genome.reference import Reference
from varscore.genome.variant import Variant
from varscore.genome.window import WindowPolicy, build_window
from varscore.network.checkpoint import load_enformer
from varscore.network.download import fetch_track_table, fetch_weights, weights_path
from varscore.network.enformer import EnformerConfig
from varscore.network.tracks import Track, load_tracks, select_tracks
from varscore.network.zoo import get_model


@dataclass(frozen=True, eq=False)
class VariantPrediction:
    """Predicted coverage with the reference and the alternative allele.

    start: 0-based coordinate of the first predicted bin's first base. ref, alt: float32 [bins, tracks], the mean of
    both strands, bins in the order of the forward strand. Right of an indel, a bin of `alt` holds other bases than that
    of `ref`: the network sees the alternative's own sequence.
    """

    variant: Variant
    model: str
    organism: str
    tracks: tuple[Track, ...]
    start: int
    bin_size: int
    ref: np.ndarray
    alt: np.ndarray

    @property
    def end(self) -> int:
        """0-based coordinate after the last predicted bin."""
        return self.start + self.bin_size * len(self.ref)

    @property
    def difference(self) -> np.ndarray:
        """alt − ref, float64 [bins, tracks]. Its sum over bins is SAD."""
        return self.alt.astype(np.float64) - self.ref


@torch.inference_mode()
def predict_variant(
    variant: Variant,
    fasta: Path | str,
    tracks: Sequence[str],
    *,
    model: str = "enformer",
    weights: Path | str | None = None,
    track_table: Path | str | None = None,
    organism: str = "human",
    rc: bool = True,
    device: str = "auto",
    most_tracks: int | None = None,
) -> VariantPrediction:
    """Predict both alleles of a variant in its centred window: two forwards of the network on each strand, in float32.

    Args:
        variant: its REF must be the reference's.
        fasta: the reference, plain or bgzipped; its index is made where missing.
        tracks: selectors, as of `score_vcf`.
        model: a model's name, or the folder of one's own.
        weights: a file to use instead of the model's own.
        track_table: a file to use instead of the model's own for this organism.
        organism: whose tracks.
        rc: average the predictions of both strands.
        device: `auto`, `cpu`, `cuda` or `cuda:i`.
        most_tracks: refuse to predict more than these, before anything is loaded.

    Raises:
        VarscoreError: anything the caller can mend: VcfError where the variant cannot be predicted, OptionError for too
            many tracks, ScoreError where the network gives no numbers.
    """
    spec = get_model(model)
    known = load_tracks(fetch_track_table(spec, organism, table=track_table), spec.track_table(organism).tracks)
    chosen = tuple(known[i] for i in select_tracks(known, tracks))
    if most_tracks is not None and len(chosen) > most_tracks:
        raise OptionError(
            f"{len(chosen):,} tracks are selected, and there is room for {most_tracks}: name them more narrowly "
            f"(the first are {', '.join(track.identifier for track in chosen[:3])})"
        )
    policy = WindowPolicy(spec.window, spec.window // 2 - 1)
    with Reference(fasta) as reference:
        placed = place(variant, reference, policy, on_ref_mismatch="error")
        if placed.stretch is None or placed.edit is None:
            raise VcfError(f"{variant.name} cannot be predicted: {placed.status.explanation}")
        window = build_window(reference, placed.stretch, placed.edit, policy)
    file = fetch_weights(spec) if weights is None else weights_path(spec, weights)
    assert file is not None
    config = EnformerConfig(**spec.architecture)
    with steady_math(), Products().active():
        network = load_enformer(file, resolve_device(device), config=config)
        network.keep_tracks(organism, [track.index for track in chosen])

        def predict(codes: np.ndarray) -> np.ndarray:
            batch = torch.from_numpy(np.ascontiguousarray(codes[None])).to(network.final.conv.weight.device)
            return network(one_hot(batch), organisms=[organism])[organism][0].cpu().numpy()

        alleles = [
            (predict(codes) + predict(reverse_complement(codes))[::-1]) / 2 if rc else predict(codes)
            for codes in (window.ref, window.alt)
        ]
    if not all(np.isfinite(allele).all() for allele in alleles):
        raise ScoreError(f"the network gave values that are no numbers; are the weights {file} damaged?")
    start = window.start + config.crop * config.bin_size
    return VariantPrediction(variant, spec.name, organism, chosen, start, config.bin_size, *alleles)
