"""Deciding, for each variant, where on the reference it stands and whether it can be scored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from varscore.errors import VcfError
from varscore.genome.contigs import Stretch
from varscore.genome.encoding import decode, encode
from varscore.genome.reference import Reference
from varscore.genome.variant import Edit, Status, Variant, alt_status, minimal_edit
from varscore.genome.window import WindowPolicy, fits

OnRefMismatch = Literal["skip", "error", "swap"]


@dataclass(frozen=True, slots=True)
class Placed:
    """A variant with its status; `stretch` and `edit` are there if the status is SCORED, and only then.

    swapped: the reference carries the file's ALT, so the edit leads from ALT to REF: a signed score of the edit must be
    negated to be ALT - REF of the file.
    """

    variant: Variant
    status: Status
    stretch: Stretch | None = None
    edit: Edit | None = None
    swapped: bool = False


def place(
    variant: Variant,
    reference: Reference,
    policy: WindowPolicy,
    *,
    max_shift: int = 0,
    on_ref_mismatch: OnRefMismatch = "skip",
) -> Placed:
    """Find the variant's stretch and minimal edit, or the first reason against it, in the order of these checks.

    ALT missing, star, symbolic, other letters than ACGT; contig unknown; outside the contig; REF not the reference's
    (in either case of letters; an N is a mismatch); too long for a window shifted by up to `max_shift` bases.

    A mismatching REF is skipped; or raises VcfError ("error"); or, where the reference carries ALT instead, is swapped
    with it ("swap"), and skipped otherwise. Raises FastaError if the reference cannot be read.
    """
    reason = alt_status(variant.ref, variant.alt)
    if reason:
        return Placed(variant, reason)
    start = variant.pos - 1
    stretch = reference.stretch(variant.chrom, start)
    if stretch is None:
        return Placed(variant, Status.UNKNOWN_CONTIG)
    if start < stretch.offset or start + len(variant.ref) > stretch.end:
        return Placed(variant, Status.OUT_OF_RANGE)

    ref, alt, swapped = variant.ref, variant.alt, False
    if not _carries(reference, stretch, start, ref):
        if on_ref_mismatch == "error":
            raise VcfError(_mismatch_message(variant, reference, stretch))
        if on_ref_mismatch == "skip" or not _carries(reference, stretch, start, alt):
            return Placed(variant, Status.REF_MISMATCH)
        ref, alt, swapped = alt, ref, True

    edit = minimal_edit(variant.pos, ref, alt)
    if not fits(edit, policy, max_shift):
        return Placed(variant, Status.TOO_LONG)
    return Placed(variant, Status.SCORED, stretch, edit, swapped)


def _carries(reference: Reference, stretch: Stretch, start: int, allele: str) -> bool:
    return reference.codes(stretch, start, start + len(allele)).tobytes() == encode(allele).tobytes()


def _mismatch_message(variant: Variant, reference: Reference, stretch: Stretch) -> str:
    start = variant.pos - 1
    found = decode(reference.codes(stretch, start, start + len(variant.ref)))
    return (
        f"{variant.chrom}:{variant.pos}: REF is {_brief(variant.ref)} in the VCF, but the reference has "
        f"{_brief(found)} there (contig {stretch.name}); "
        "give the reference of the genome build that the variants were called on"
    )


def _brief(allele: str, limit: int = 20) -> str:
    return allele if len(allele) <= limit else f"{allele[:limit]}... ({len(allele)} bases)"
