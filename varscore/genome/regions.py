"""Regions of the genome: on the command line, in files, and as a filter of positions."""

from __future__ import annotations

import gzip
import os
import re
import sys
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from varscore.errors import RegionError
from varscore.genome.contigs import canonical_name

_REGION = re.compile(r"(?:\{(?P<braced>.+)\}|(?P<plain>[^\s{}:]+))(?::(?P<first>[\d,]+)(?P<dash>-(?P<last>[\d,]*))?)?")


@dataclass(frozen=True, slots=True)
class Region:
    """A 0-based half-open interval of a contig, by default all of it. Raises RegionError if it is empty."""

    chrom: str
    start: int = 0
    end: int = sys.maxsize

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end:
            raise RegionError(f"{self.chrom}:{self.start + 1}-{self.end}: the first base is 1, the last not before it")


def parse_region(text: str) -> Region:
    """A region as bcftools writes it: `chr22`, `chr22:100` (one base), `chr22:100-` or `chr22:20,000,001-20,100,000`.

    1-based, both ends included. A contig with a colon in its name goes in braces: `{22:1-100}:5-10`.
    Raises RegionError.
    """
    match = _REGION.fullmatch(text.strip())
    if not match:
        raise RegionError(
            f"'{text}' is no region; write chr22, chr22:100, chr22:100- or chr22:20,000,001-20,100,000 "
            "(a contig with a colon in its name in braces)"
        )
    chrom = match["braced"] or match["plain"]
    if match["first"] is None:
        return Region(chrom)
    try:
        first = _number(match["first"])
        last = _number(match["last"]) if match["last"] else sys.maxsize if match["dash"] else first
        return Region(chrom, first - 1, last)
    except (ValueError, RegionError) as error:
        raise RegionError(f"'{text}' is no region: {error}") from error


def read_regions_file(path: str | os.PathLike[str]) -> list[Region]:
    """The regions of a BED (`.bed`, `.bed.gz`: 0-based, half-open) or, as in bcftools, of CHROM POS [END] (1-based).

    Raises RegionError, with file and line, on a line that is neither, and if there is no region at all.
    """
    path = Path(path)
    is_bed = path.name.endswith((".bed", ".bed.gz"))
    parse_fields = _bed_region if is_bed else _position_region
    regions = []
    number = 0
    try:
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
            for number, line in enumerate(lines, 1):
                fields = line.split()
                if not fields or line.startswith("#") or (is_bed and fields[0] in ("track", "browser")):
                    continue
                try:
                    regions.append(parse_fields(fields))
                except (IndexError, ValueError, RegionError) as error:
                    expected = "CHROM START END (0-based)" if is_bed else "CHROM POS [END] (1-based)"
                    raise RegionError(f"{path}:{number}: '{line.rstrip()[:80]}' is not {expected}") from error
    except UnicodeDecodeError as error:
        raise RegionError(f"{path}:{number + 1}: not text; give a BED, or a table of CHROM POS [END]") from error
    except (OSError, EOFError) as error:
        raise RegionError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    if not regions:
        raise RegionError(f"{path}: holds no region")
    return regions


def _bed_region(fields: list[str]) -> Region:
    return Region(fields[0], int(fields[1]), int(fields[2]))


def _position_region(fields: list[str]) -> Region:
    first = _number(fields[1])
    return Region(fields[0], first - 1, _number(fields[2]) if len(fields) > 2 else first)


def _number(text: str) -> int:
    return int(text.replace(",", ""))


class RegionFilter:
    """Whether a position lies in any of many regions; `chr1` and `1` are the same contig."""

    def __init__(self, regions: Iterable[Region]) -> None:
        intervals: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for region in regions:
            intervals[canonical_name(region.chrom)].append((region.start, region.end))
        self._merged = {chrom: _merge(pieces) for chrom, pieces in intervals.items()}

    def holds(self, chrom: str, position: int) -> bool:
        """Whether the 0-based `position` lies in a region."""
        starts, ends = self._merged.get(canonical_name(chrom), ((), ()))
        last = bisect_right(starts, position) - 1
        return last >= 0 and position < ends[last]


def _merge(intervals: list[tuple[int, int]]) -> tuple[list[int], list[int]]:
    starts: list[int] = []
    ends: list[int] = []
    for start, end in sorted(intervals):
        if ends and start <= ends[-1]:
            ends[-1] = max(ends[-1], end)
        else:
            starts.append(start)
            ends.append(end)
    return starts, ends
