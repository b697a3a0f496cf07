"""One alternative allele of a VCF record, what can become of it, and the edit that it makes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from varscore.errors import VcfError

_SPELLED = re.compile(r"(?P<chrom>\S+)[:-](?P<pos>[\d,]+)[:-]?(?P<ref>[A-Za-z]+)[:>-](?P<alt>[A-Za-z]+)")


class Status(StrEnum):
    """What became of an allele: scored, or the reason why not. `explanation` says it to a person."""

    explanation: str

    def __new__(cls, value: str, explanation: str) -> Status:
        """Make the member `value` with its explanation."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.explanation = explanation
        return member

    SCORED = "scored", "scored"
    REF_MISMATCH = "ref_mismatch", "REF differs from the reference sequence (another genome build?)"
    SYMBOLIC = "symbolic", "symbolic allele or breakend: no sequence is given"
    STAR_ALLELE = "star_allele", "'*': the base is deleted by another record"
    MISSING_ALT = "missing_alt", "no alternative allele ('.')"
    NON_ACGT = "non_acgt", "REF or ALT holds something other than A, C, G and T"
    UNKNOWN_CONTIG = "unknown_contig", "the reference has no such contig"
    OUT_OF_RANGE = "out_of_range", "the position or the end of REF lies outside the reference's contig"
    TOO_LONG = "too_long", "the allele does not fit in the window right of the variant's index"


@dataclass(frozen=True, slots=True)
class Variant:
    """One ALT of one VCF record, spelled as in the file. `pos` is 1-based; `alt` is "." where the record has none."""

    chrom: str
    pos: int
    id: str | None
    ref: str
    alt: str

    @property
    def name(self) -> str:
        """How `parse_variant` reads it: chr22:20112513:T:TG."""
        return f"{self.chrom}:{self.pos}:{self.ref}:{self.alt}"


def parse_variant(text: str) -> Variant:
    """A variant as people write it: `chr22:20112513:T:TG`, `chr22-20112513-T-TG`, `chr22:20,112,513T>TG`; or a VCF's
    line with one ALT, its fields separated by any white space.

    Raises VcfError.
    """
    fields = text.split()
    if len(fields) >= 5 and fields[1].isdecimal():
        chrom, pos, name, ref, alt = fields[:5]
        if "," in alt:
            raise VcfError(f"'{chrom} {pos} {ref} {alt}' has several ALT alleles: write it with one")
        return Variant(chrom, int(pos), None if name == "." else name, ref, alt)
    match = _SPELLED.fullmatch(text.strip())
    if not match:
        raise VcfError(f"'{text}' is no variant; write chr22:20112513:T:TG (position, REF and ALT as in a VCF)")
    return Variant(match["chrom"], int(match["pos"].replace(",", "")), None, match["ref"], match["alt"])


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace `ref` by `alt` (upper case, either may be empty) from 0-based `start` on.

    `anchor` is the 0-based base that stands at the window's variant index; -1 for an indel before the contig's first.
    """

    start: int
    ref: str
    alt: str
    anchor: int


def minimal_edit(pos: int, ref: str, alt: str) -> Edit:
    """Trim the common suffix, then the common prefix, of a record at 1-based `pos`: one edit for all its spellings.

    The anchor is the first replaced base; for a pure insertion or deletion it is the base before, VCF's own anchor.
    Indels are not moved along repeats. Equal alleles give an empty edit at the record's own position.
    """
    ref, alt = ref.upper(), alt.upper()
    shorter = min(len(ref), len(alt))
    suffix = 0
    while suffix < shorter and ref[-1 - suffix] == alt[-1 - suffix]:
        suffix += 1
    ref, alt = ref[: len(ref) - suffix], alt[: len(alt) - suffix]
    prefix = 0
    while prefix < shorter - suffix and ref[prefix] == alt[prefix]:
        prefix += 1
    ref, alt = ref[prefix:], alt[prefix:]
    start = pos - 1 + prefix
    is_pure_indel = bool(ref) != bool(alt)
    return Edit(start, ref, alt, anchor=start - is_pure_indel)


def alt_status(ref: str, alt: str) -> Status | None:
    """The reason why these alleles cannot be scored on any reference, or None."""
    if alt in (".", ""):
        return Status.MISSING_ALT
    if alt == "*":
        return Status.STAR_ALLELE
    if alt[0] in "<." or alt[-1] == "." or "[" in alt or "]" in alt:  # "A." and ".A" are single breakends
        return Status.SYMBOLIC
    if not ref or ref.strip("ACGTacgt") or alt.strip("ACGTacgt"):
        return Status.NON_ACGT
    return None
