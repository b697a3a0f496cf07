"""The simulated genome that enformer-tiny was trained on, and what is true in it.

DNA is drawn base by base, and instances of motifs are planted in it. What a track shows is then a function of the
sequence alone (`tracks_of`), so the true effect of any variant can be computed. Nothing here is biology: the motifs are
named after transcription factors whose consensus they resemble, and that is all.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

BASES = "ACGT"
BIN, BINS, BINS_OUT = 128, 1536, 896
WINDOW = BIN * BINS
CORE, FLANK = 0.97, 0.70
"""Probability of the consensus base at a core position (upper case) and at a flanking one (lower case)."""
STEEPNESS, CONSENSUS_LOGIT = 0.8, 2.5
"""Occupancy is a logistic function of the log-odds score; this is its slope, and its logit at the consensus."""
SPREAD = 100.0
"""Standard deviation, in base pairs, of the signal around an occupied site."""
BASELINE, SITE = 0.05, 20.0
"""Coverage of an empty bin, and summed coverage of one fully occupied site."""


@dataclass(frozen=True)
class Motif:
    """A motif's name, consensus (core upper case, flanks lower), and expected plantings in a window."""

    name: str
    consensus: str
    planted: float

    @property
    def probabilities(self) -> np.ndarray:
        """[width, 4]."""
        rows = []
        for letter in self.consensus:
            p = CORE if letter.isupper() else FLANK
            rows.append([p if base == letter.upper() else (1 - p) / 3 for base in BASES])
        return np.array(rows)


MOTIFS = (
    Motif("CTCF", "cCACcAGGgGGCg", 25),
    Motif("GATA1", "caGATAAGg", 25),
    Motif("AP-1", "aTGAGTCAt", 25),
    Motif("GABPA", "aCCGGAAGTg", 25),
    Motif("HNF4A", "gCAAAGTCCa", 12),
    Motif("NRF1", "tGCGCATGCGCa", 8),
)
NAMES = [motif.name for motif in MOTIFS]
ENHANCER, PROMOTER = NAMES.index("HNF4A"), NAMES.index("NRF1")

ACCESSIBILITY = {
    "human": [0.6, 1.0, 1.0, 0.7, 0.8, 0.5],
    "mouse": [0.6, 0.3, 1.4, 0.7, 1.2, 0.5],
}
"""Weight of each motif's sites in the accessibility track."""
DECAY = {"human": 20_000.0, "mouse": 8_000.0}
"""Base pairs over which an enhancer's influence on a promoter falls to 1/e."""
BASAL, ENHANCED = 0.3, 1.0
"""A promoter's activity without enhancers, and what an enhancer site beside it adds, in units of `SITE`."""

TRACKS = {
    organism: ["DNASE:accessibility", *(f"CHIP:{name}" for name in NAMES), "CAGE:promoter activity, enhanced from afar"]
    for organism in ("human", "mouse")
}
IDENTIFIERS = ["DNASE", *NAMES, "CAGE"]
MOTIF_TRACKS = range(7)
DISTAL_TRACK = 7


def one_hot(codes: np.ndarray) -> Tensor:
    """Base codes [..., L] (A0 C1 G2 T3, unknown 4) to [..., L, 4] float32."""
    return torch.from_numpy(np.eye(5, 4, dtype=np.float32)[codes])


def occupancy(codes: np.ndarray) -> Tensor:
    """How fully each motif's sites are bound, both strands added: codes [L] to [motifs, L], at the site's middle."""
    x = one_hot(codes).T[None]
    rows = []
    for motif in MOTIFS:
        log_odds = torch.tensor(np.log(motif.probabilities / 0.25), dtype=torch.float32)
        best = log_odds.amax(dim=1).sum()
        kernels = torch.stack([log_odds.T, log_odds.flip(0, 1).T])
        width = log_odds.shape[0]
        score = F.conv1d(F.pad(x, (width // 2, (width - 1) // 2)), kernels)[0]
        rows.append(torch.sigmoid(STEEPNESS * (score - best) + CONSENSUS_LOGIT).sum(dim=0))
    return torch.stack(rows)


def binned(signal: Tensor) -> Tensor:
    """Spread each site over its neighbourhood and sum by bin: [motifs, L] to [motifs, L / 128]; sums are kept."""
    step = 16
    reach = int(4 * SPREAD / step)
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) * step / SPREAD) ** 2)
    coarse = F.avg_pool1d(signal[:, None], step) * step
    spread = F.conv1d(coarse, (kernel / kernel.sum())[None, None], padding=reach)
    return F.avg_pool1d(spread, BIN // step)[:, 0] * (BIN // step)


def tracks_of(codes: np.ndarray, bins_out: int = BINS_OUT) -> dict[str, Tensor]:
    """The expected coverage of a window's central bins: codes [196,608] to {organism: [896, 8]}."""
    sites = binned(occupancy(codes))
    bins = sites.shape[1]
    distance = (torch.arange(bins)[:, None] - torch.arange(bins)).abs() * float(BIN)
    crop = slice((bins - bins_out) // 2, (bins + bins_out) // 2)
    tracks = {}
    for organism in TRACKS:
        accessible = torch.tensor(ACCESSIBILITY[organism]) @ sites
        enhancement = torch.exp(-distance / DECAY[organism]) @ sites[ENHANCER]
        activity = sites[PROMOTER] * (BASAL + ENHANCED * enhancement)
        coverage = torch.cat([accessible[None], sites, activity[None]])
        tracks[organism] = (BASELINE + SITE * coverage).T[crop]
    return tracks


def draw_instance(motif: Motif, rng: np.random.Generator) -> np.ndarray:
    """Codes of one site drawn from the motif, on either strand."""
    codes = (rng.random((len(motif.consensus), 1)) > motif.probabilities.cumsum(axis=1)[:, :3]).sum(axis=1)
    return codes if rng.random() < 0.5 else 3 - codes[::-1]


def draw_sequence(
    length: int, rng: np.random.Generator, density: float = 1.0
) -> tuple[np.ndarray, list[tuple[int, int, int]]]:
    """Draw DNA with planted sites, `density` times as many as the motifs ask for.

    Returns:
        codes [length] (uint8), and the sites as (motif, start, end), 0-based and half open.
    """
    gc = np.clip(rng.normal(0.42, 0.04), 0.3, 0.6)
    codes = rng.choice(4, size=length, p=[(1 - gc) / 2, gc / 2, gc / 2, (1 - gc) / 2]).astype(np.uint8)
    sites = []
    for index, motif in enumerate(MOTIFS):
        for _ in range(rng.poisson(density * motif.planted * length / WINDOW)):
            instance = draw_instance(motif, rng)
            start = int(rng.integers(0, length - len(instance)))
            codes[start : start + len(instance)] = instance
            sites.append((index, start, start + len(instance)))
    return codes, sorted(sites, key=lambda site: site[1])


def draw_variants(
    codes: np.ndarray, sites: list[tuple[int, int, int]], per_motif: int, rng: np.random.Generator
) -> list[tuple[int, str, str, int]]:
    """Variants in and around planted sites: of every motif, half SNVs, then deletions, insertions and new sites.

    Returns:
        (0-based position, REF, ALT, motif), indels with their anchor base, sorted by position. All are at least half a
        window from the ends.
    """
    text = "".join(BASES[c] for c in codes)
    variants: dict[int, tuple[int, str, str, int]] = {}
    for index, motif in enumerate(MOTIFS):
        eligible = [s for s in sites if s[0] == index and WINDOW // 2 + 200 < s[1] < len(codes) - WINDOW // 2 - 200]
        for number in range(per_motif):
            _, start, end = eligible[rng.integers(len(eligible))]
            position = int(rng.integers(start, end))
            kind = ("snv", "snv", "snv", "deletion", "insertion", "new site")[number % 6]
            if kind == "snv":
                ref, alt = text[position], BASES[(codes[position] + rng.integers(1, 4)) % 4]
            elif kind == "deletion":
                ref, alt = text[position : position + 1 + rng.integers(1, 7)], text[position]
            elif kind == "insertion":
                ref, alt = text[position], text[position] + "".join(rng.choice(list(BASES), rng.integers(1, 6)))
            else:
                position = int(rng.integers(WINDOW // 2, len(codes) - WINDOW // 2))
                ref, alt = text[position], text[position] + "".join(BASES[c] for c in draw_instance(motif, rng))
            variants[position] = (position, ref, alt, index)
    return [variants[position] for position in sorted(variants)]
