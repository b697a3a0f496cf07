"""Which variants are positives and which are negatives, in each tissue: from lists, or from fine-mapping."""

# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportReturnType=false, reportCallIssue=false
# pyright: reportAssignmentType=false, reportGeneralTypeIssues=false
# pandas' own annotations are unions of all that an index could give

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from varscore.analysis.join import allele_keys, gene_key
from varscore.analysis.variant_table import VARIANT, read_variant_table
from varscore.errors import OptionError, TableError

log = logging.getLogger("varscore")

ALL = "all"
"""The tissue of variants that have none."""


@dataclass(frozen=True)
class Criteria:
    """How variants of a fine-mapped table become positives and negatives, and which negatives are taken.

    Attributes:
        positive_pip: a positive's posterior inclusion probability (PIP) is above this.
        negative_pip: a negative's is below this, for every gene of the tissue.
        negative_z: a negative's |z| is at least this, so that it is associated but not causal; None: any.
        match: columns that negatives are to resemble the positives in. In those of text (gene_id) they are to be equal
            where that is possible; in those of numbers (maf, distance) as near as possible, counted in ranks.
        per_positive: how many negatives for each positive; None: with `match` one, without it all there are.
        seed: of the draws.
    """

    positive_pip: float = 0.9
    negative_pip: float = 0.01
    negative_z: float | None = None
    match: tuple[str, ...] = ()
    per_positive: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.negative_pip <= self.positive_pip <= 1:
            raise OptionError(
                f"PIPs below {self.negative_pip} for negatives and above {self.positive_pip} for positives: expected "
                "0 ≤ negative ≤ positive ≤ 1"
            )


def sets_from_lists(
    positives: Mapping[str, str | os.PathLike[str]],
    negatives: Mapping[str, str | os.PathLike[str]],
    criteria: Criteria,
    *,
    columns: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Positives and negatives of one VCF or table each, for every tissue.

    Args:
        positives: tissue → file. A table under `ALL` may have a column tissue.
        negatives: the same tissues.
        criteria: of which the PIPs play no part.
        columns: as of `read_variant_table`.

    Returns:
        As `sets_from_table`.

    Raises:
        OptionError: the tissues of the two are not the same.
        TableError, VcfError: a file cannot be read or has none of the columns to match by.
    """
    if unpaired := sorted(set(positives) ^ set(negatives)):
        raise OptionError(f"no positives or no negatives of {', '.join(unpaired)}: give both for each tissue")
    frames = []
    for is_positive, files in ((True, positives), (False, negatives)):
        for tissue, path in files.items():
            frame = read_variant_table(path, criteria.match, ("tissue",), columns=columns)
            if "tissue" not in frame or tissue != ALL:
                frame["tissue"] = tissue
            frames.append(frame.assign(positive=is_positive))
    return _choose(pd.concat(frames, ignore_index=True), criteria)


def sets_from_table(
    path: str | os.PathLike[str], criteria: Criteria, *, columns: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Positives and negatives of a table with a label (1 or 0), or of a fine-mapped one with a PIP.

    Several rows of a variant in one tissue, such as for several genes, count as one, that of the highest PIP.

    Args:
        path: the table; a column tissue, if there is one, makes a set for each tissue.
        criteria: what positives and negatives are.
        columns: as of `read_variant_table`.

    Returns:
        chrom, pos (1-based), ref, alt, tissue, positive (bool) and the columns to match by; each variant once in a
        tissue.

    Raises:
        TableError: it cannot be read, has neither label nor PIP, or holds no positives or no negatives.
    """
    further = ("tissue", "label", "pip", "z")
    frame = read_variant_table(path, criteria.match, further, columns=columns)
    if "label" in frame:
        frame["positive"] = _labels(frame["label"], path)
    elif "pip" in frame:
        frame = frame.dropna(subset=["pip"]).sort_values("pip", ascending=False, kind="stable")
    else:
        raise TableError(f"{path} has neither a label (1 and 0) nor a PIP: name its column, as in --column pip=NAME")
    if criteria.negative_z is not None and "z" not in frame:
        raise TableError(f"{path} has no z to ask |z| ≥ {criteria.negative_z} of negatives: name its column, as in "
                         "--column z=NAME")  # fmt: skip
    frame["tissue"] = frame["tissue"].fillna(ALL) if "tissue" in frame else ALL
    return _choose(frame, criteria, of=f"{path}: ")


def _labels(labels: pd.Series, path: str | os.PathLike[str]) -> pd.Series:
    meaning = {"1": True, "0": False, "true": True, "false": False, "1.0": True, "0.0": False}
    known = labels.astype(str).str.strip().str.lower().map(meaning)
    if (bad := known.isna()).any():
        raise TableError(f"{path}, line {int(bad.argmax()) + 2}: label is {labels[bad].iloc[0]!r}, expected 1 or 0")
    return known.astype(bool)


def _choose(frame: pd.DataFrame, criteria: Criteria, of: str = "") -> pd.DataFrame:
    """One row for each variant of a tissue, positives and the negatives that are taken.

    frame: with positive (bool), or with pip, the highest first.
    """
    labelled = "positive" in frame
    frame = _once(frame, of)
    asked = ""
    if not labelled:
        positive, negative = frame["pip"] > criteria.positive_pip, frame["pip"] < criteria.negative_pip
        asked = f"; asked for are PIPs above {criteria.positive_pip} and below {criteria.negative_pip}"
        if criteria.negative_z is not None:
            negative &= frame["z"].abs() >= criteria.negative_z
            asked += f" with |z| ≥ {criteria.negative_z}"
        frame = frame[positive | negative].assign(positive=positive)
    chosen = []
    for tissue, group in frame.groupby("tissue", sort=True):
        positives, negatives = group[group["positive"]], group[~group["positive"]]
        if positives.empty or negatives.empty:
            log.warning("%s%s is left out: %d positives, %d negatives", of, tissue, len(positives), len(negatives))
            continue
        chosen += [positives, negatives.iloc[_take_negatives(positives, negatives, criteria)]]
    if not chosen:
        raise TableError(f"{of}no tissue has both positives and negatives{asked}")
    return pd.concat(chosen, ignore_index=True)[[*VARIANT, "tissue", "positive", *criteria.match]]


def _once(frame: pd.DataFrame, of: str) -> pd.DataFrame:
    """Each variant of a tissue once: its first row, or one that says it is a positive."""
    keys = allele_keys(frame)
    names = keys["chrom"] + ":" + keys["start"].astype(str) + ":" + keys["ref"] + ":" + keys["alt"]
    frame = frame.assign(key=names)
    if "positive" not in frame:
        return frame.drop_duplicates(["tissue", "key"])
    kinds = frame.groupby(["tissue", "key"])["positive"].nunique()
    if unlike := int((kinds > 1).sum()):
        log.warning("%s%d variants are among positives and negatives of a tissue: they count as positives", of, unlike)
    return frame.sort_values("positive", ascending=False, kind="stable").drop_duplicates(["tissue", "key"])


def _take_negatives(positives: pd.DataFrame, negatives: pd.DataFrame, criteria: Criteria) -> np.ndarray:
    """Positions of the negatives that are taken."""
    rng = np.random.default_rng(criteria.seed)
    if criteria.match:
        times = criteria.per_positive or 1
        return match_negatives(positives[[*criteria.match]], negatives[[*criteria.match]], times, rng)
    wanted = len(negatives) if criteria.per_positive is None else criteria.per_positive * len(positives)
    if wanted >= len(negatives):
        return np.arange(len(negatives))
    return np.sort(rng.choice(len(negatives), wanted, replace=False))


def match_negatives(
    positives: pd.DataFrame, negatives: pd.DataFrame, times: int, rng: np.random.Generator
) -> np.ndarray:
    """For each positive in random order the nearest negatives that are still free.

    Args:
        positives: [positives, columns] to match by.
        negatives: [negatives, columns], the same.
        times: how many for each positive, as long as there are negatives.
        rng: draws the order.

    Returns:
        Positions of negatives, rising, each once.

    Numbers are compared by their rank among all, in units of the whole range, so that columns weigh alike. A text
    that differs weighs more than all numbers together.
    """
    numeric = [name for name in positives if pd.api.types.is_numeric_dtype(negatives[name])]
    both = pd.concat([positives, negatives], ignore_index=True)
    ranks = both[numeric].rank(pct=True).fillna(0.5).to_numpy(np.float32)
    codes = [
        pd.factorize(gene_key(both[name]) if name == "gene_id" else both[name])[0]
        for name in both
        if name not in numeric
    ]
    texts = np.stack(codes, axis=1) if codes else np.empty((len(both), 0), int)
    here, there = len(positives), slice(len(positives), None)
    free = np.ones(len(negatives), bool)
    for _ in range(times):
        for one in rng.permutation(here):
            if not free.any():
                break
            cost = np.abs(ranks[there] - ranks[one]).sum(axis=1)
            cost += (len(numeric) + 1) * (texts[there] != texts[one]).sum(axis=1)
            cost[~free] = np.inf
            free[int(cost.argmin())] = False
    return np.flatnonzero(~free)


def chosen_table(chosen: pd.DataFrame) -> pd.DataFrame:
    """What was chosen, as a table that `sets_from_table` reads: with a label of 1 or 0."""
    return chosen.drop(columns="positive").assign(label=chosen["positive"].astype(int))


def chosen_vcf(chosen: pd.DataFrame) -> str:
    """The variants that were chosen, each once, as the text of a VCF to be scored."""
    alleles = chosen[list(VARIANT)].drop_duplicates()
    order = sorted(alleles["chrom"].unique(), key=_contig_order)
    alleles = alleles.assign(rank=alleles["chrom"].map(order.index)).sort_values(["rank", "pos", "ref", "alt"])
    lines = ["##fileformat=VCFv4.2", *(f"##contig=<ID={name}>" for name in order)]
    lines.append("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO")
    lines += [f"{v.chrom}\t{v.pos}\t.\t{v.ref}\t{v.alt}\t.\t.\t." for v in alleles.itertuples()]
    return "\n".join(lines) + "\n"


def _contig_order(name: str) -> tuple[int, str]:
    bare = name.removeprefix("chr")
    return (int(bare) if bare.isdecimal() else 1000, name)
