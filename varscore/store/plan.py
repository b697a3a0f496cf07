"""The plan of a run, fixed before work starts: what is scored, how, and in which parts."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

from varscore.genome.variant import Variant

PLAN_FILE = "_plan.parquet"
"""Holds the plan as metadata of a table without rows, so that a folder of parts still reads as one table."""


@dataclass(frozen=True)
class Survey:
    """What one pass over a VCF found: alleles by contig, their digest, and that of each part's."""

    contigs: Counter[str]
    digest: str
    parts: list[str]

    @property
    def alleles(self) -> int:
        """How many there are."""
        return self.contigs.total()


def survey(variants: Iterable[Variant], part_size: int) -> Survey:
    """Count alleles, and digest them by parts of `part_size`. Without alleles there is one empty part."""
    contigs, whole, parts = Counter[str](), hashlib.sha256(), []
    for part in cut(iter(variants), part_size):
        contigs.update(variant.chrom for variant in part)
        text = _spelled(part)
        whole.update(text)
        parts.append(_digest(text))
    return Survey(contigs, whole.hexdigest(), parts or [digest_of([])])


def cut(variants: Iterator[Variant], part_size: int) -> Iterator[list[Variant]]:
    """Parts, in order."""
    while part := list(islice(variants, part_size)):
        yield part


def digest_of(variants: Iterable[Variant]) -> str:
    """Of their spelling: 16 bytes in hexadecimal."""
    return _digest(_spelled(variants))


def _spelled(variants: Iterable[Variant]) -> bytes:
    # no field of a VCF holds a tab or the end of a line
    return "".join(f"{v.chrom}\t{v.pos}\t{v.id or '.'}\t{v.ref}\t{v.alt}\n" for v in variants).encode()


def _digest(text: bytes) -> str:
    return hashlib.blake2b(text, digest_size=16).hexdigest()


@dataclass(frozen=True)
class Plan:
    """A run's parts.

    settings: all that shapes the scores, as plain values, by names that a person knows. part_size: alleles in each part
    but the last. parts: the digest of each part's alleles.
    """

    settings: Mapping[str, Any]
    part_size: int
    parts: tuple[str, ...]

    @cached_property
    def digest(self) -> str:
        """Of everything."""
        return hashlib.sha256(self.as_json().encode()).hexdigest()

    def as_json(self) -> str:
        """Always the same text for the same plan."""
        values = {"settings": self.settings, "part_size": self.part_size, "parts": self.parts}
        return json.dumps(values, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """The other way round. Raises ValueError, KeyError or TypeError if it is not a plan."""
        values = json.loads(text)
        return cls(dict(values["settings"]), int(values["part_size"]), tuple(values["parts"]))

    def name(self, index: int) -> str:
        """A part's file, such that names sort as parts do."""
        return f"part-{index:0{max(5, len(str(len(self.parts) - 1)))}}.parquet"

    def rows(self, index: int) -> int:
        """How many alleles a part has."""
        alleles = self.settings["variants"]["alleles"]
        return min(self.part_size, alleles - index * self.part_size)

    def shard(self, number: int, count: int) -> range:
        """The parts of shard `number` of `count`, counted from 1: every count-th, so that all are alike in work."""
        return range(number - 1, len(self.parts), count)


def differences(there: Mapping[str, Any], now: Mapping[str, Any], show: Callable[[Any], str] = str) -> list[str]:
    """What differs between two runs' settings, as `name: it was …, it is …`, the inner names joined by a dot."""
    found = []
    for name in sorted({*there, *now}):
        before, after = there.get(name), now.get(name)
        if before == after:
            continue
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            found += [f"{name}.{inner}" for inner in differences(before, after, show)]
        else:
            found.append(f"{name}: {show(before)} there, {show(after)} now")
    return found
