"""Tables of variants as people have them: fine-mapped eQTLs, effect sizes, or just a VCF.

Text with a header, separated by tabs, commas or blanks, plain or compressed with gzip or bgzip. The variant stands in
columns chrom, pos (1-based), ref and alt, or in one such as `chr1_13550_G_A_b38`, as GTEx and the eQTL Catalogue have
it. Column names are found in any case, and under the names that the field uses for them.
"""

# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportReturnType=false, reportCallIssue=false
# pyright: reportAssignmentType=false, reportGeneralTypeIssues=false
# pandas' own annotations are unions of all that an index could give

from __future__ import annotations

import gzip
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from varscore.errors import TableError
from varscore.genome.vcf import read_variants

VARIANT = ("chrom", "pos", "ref", "alt")
NAMES: dict[str, tuple[str, ...]] = {
    "chrom": ("chrom", "chr", "chromosome", "chromosome_name"),
    "pos": ("pos", "position", "bp", "variant_pos"),
    "ref": ("ref", "reference", "ref_allele", "reference_allele"),
    "alt": ("alt", "alternate", "alternative", "alt_allele", "alternative_allele"),
    "variant": ("variant_id", "variant_hg38", "variant"),
    "tissue": ("tissue", "tissue_label", "qtl_group", "tissue_name"),
    "gene_id": ("gene_id", "gene", "phenotype_id", "molecular_trait_id", "ensembl_id"),
    "pip": ("pip", "posterior_probability", "probability", "variant_pip"),
    "effect": ("beta", "slope", "effect", "effect_size", "beta_posterior", "beta_marginal", "log_afc", "log2_afc"),
    "z": ("z", "zscore", "z_score"),
    "label": ("label", "positive"),
}
"""What a column is, and the names under which it is looked for, the first one first."""

NUMBERS = ("pip", "effect", "z")
_ID = r"^(?P<chrom>.+?)[:_](?P<pos>[0-9]+)[:_](?P<ref>[A-Za-z*]+)[:_/>](?P<alt>[A-Za-z*]+)(?:[:_].*)?$"
_VCF = (".vcf", ".vcf.gz", ".vcf.bgz", ".bcf")


def read_variant_table(
    path: str | os.PathLike[str],
    required: Sequence[str] = (),
    optional: Sequence[str] = (),
    *,
    columns: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Read a table of variants, or a VCF (a row for each ALT, and no other columns).

    Args:
        path: the file. A name that ends in .vcf, .vcf.gz or .bcf is a VCF.
        required: further columns that must be there, as keys of `NAMES` or by their own names.
        optional: those that are taken if they are there.
        columns: what a column is → its name in this file, where it is not found by itself.

    Returns:
        chrom as spelled, pos (1-based), ref, alt in upper case, and the columns asked for under the names asked for.

    Raises:
        TableError: no such file, not a table, a column is missing, or a value is no number.
        VcfError: a VCF that is not one.
    """
    if os.fspath(path).endswith(_VCF):
        if required:
            raise TableError(f"{path} is a VCF and has no {_listed(required)}: give a table with a header")
        rows = [(v.chrom, v.pos, v.ref.upper(), v.alt.upper()) for v in read_variants(path)]
        return pd.DataFrame(rows, columns=list(VARIANT))
    columns = columns or {}
    separator, header = _header(path)
    found = {what: name for what in NAMES if (name := _find(header, what, columns, path))}
    for what in (*required, *optional):
        if what not in found and (name := _find(header, what, columns, path)):
            found[what] = name
    where = ["variant"] if not set(VARIANT) <= set(found) else list(VARIANT)
    if where == ["variant"] and "variant" not in found:
        missing = [what for what in VARIANT if what not in found]
        raise TableError(
            f"{path} has no column for {_listed(missing)}: its columns are {', '.join(header)}; expected chrom, pos, "
            "ref and alt, or variant_id as chr1_13550_G_A"
        )
    if missing := [what for what in required if what not in found]:
        raise TableError(f"{path} has no column for {_listed(missing)}: its columns are {', '.join(header)}; "
                         f"name the right one, as in --column {missing[0]}={header[-1]}")  # fmt: skip
    wanted = [*where, *(what for what in dict.fromkeys((*required, *optional)) if what in found)]
    frame = _read(path, separator, {found[what]: what for what in wanted})
    if where == ["variant"]:
        frame = _split_ids(frame, path)
    frame["pos"] = _numbers(frame["pos"], "pos", path)
    _refuse_missing(frame, path)
    frame["pos"] = frame["pos"].astype("int64")
    for what in set(NUMBERS) & set(frame):
        frame[what] = _numbers(frame[what], what, path)
    for allele in ("ref", "alt"):
        frame[allele] = frame[allele].str.upper()
    return frame[[*VARIANT, *(name for name in frame if name not in VARIANT)]]


def _header(path: str | os.PathLike[str]) -> tuple[str, list[str]]:
    """The separator and the names of the columns."""
    if not Path(path).is_file():
        raise TableError(f"{path}: no such file; give a table of variants or a VCF")
    try:
        with gzip.open(path, "rt") if _is_gzip(path) else Path(path).open(encoding="utf-8") as file:
            line, second = (file.readline().rstrip("\r\n") for _ in range(2))
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise TableError(f"{path} cannot be read as text: {error}") from error
    separator = next((mark for mark in "\t," if mark in line), None)
    names, values = line.split(separator), second.split(separator)
    if len(names) < 2:
        raise TableError(f"{path} has no header of columns: its first line is {line[:60]!r}")
    if len(values) > len(names):
        raise TableError(f"{path}, line 2: {len(values)} columns, and the header names {len(names)}")
    return separator or r"\s+", names


def _is_gzip(path: str | os.PathLike[str]) -> bool:
    with Path(path).open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _find(header: Sequence[str], what: str, columns: Mapping[str, str], path: str | os.PathLike[str]) -> str | None:
    if what in columns:
        if columns[what] not in header:
            raise TableError(f"{path} has no column {columns[what]!r}: its columns are {', '.join(header)}")
        return columns[what]
    bare = {name.strip().lstrip("#").lower(): name for name in reversed(header)}
    return next((bare[name] for name in NAMES.get(what, (what.lower(),)) if name in bare), None)


def _read(path: str | os.PathLike[str], separator: str, names: Mapping[str, str]) -> pd.DataFrame:
    text = {name: str for name, what in names.items() if what not in NUMBERS and what in NAMES}
    try:
        frame = pd.read_csv(
            path,
            sep=separator,
            usecols=list(names),
            dtype=text,
            compression="gzip" if _is_gzip(path) else None,
            low_memory=False,
        )
    except (OSError, EOFError, ValueError, pd.errors.ParserError) as error:
        raise TableError(f"{path} cannot be read as a table: {error}") from error
    if frame.empty:
        raise TableError(f"{path} has a header and no rows")
    return frame.rename(columns=dict(names)).reset_index(drop=True)  # R may write names of rows


def _split_ids(frame: pd.DataFrame, path: str | os.PathLike[str]) -> pd.DataFrame:
    parts = frame["variant"].str.extract(_ID)
    if (bad := parts["chrom"].isna()).any():
        raise TableError(
            f"{path}, line {int(bad.argmax()) + 2}: {frame['variant'][bad].iloc[0]!r} names no variant; "
            "expected chromosome, position, REF and ALT, as in chr1_13550_G_A"
        )
    return pd.concat([parts, frame.drop(columns="variant")], axis=1)


def _numbers(values: pd.Series, what: str, path: str | os.PathLike[str]) -> pd.Series:
    numbers = pd.to_numeric(values, errors="coerce")
    if (bad := numbers.isna() & values.notna()).any():
        raise TableError(f"{path}, line {int(bad.argmax()) + 2}: {what} is {values[bad].iloc[0]!r}, not a number")
    return numbers


def _refuse_missing(frame: pd.DataFrame, path: str | os.PathLike[str]) -> None:
    for what in VARIANT:
        if (bad := frame[what].isna()).any():
            raise TableError(f"{path}, line {int(bad.argmax()) + 2}: {what} is missing")


def _listed(names: Sequence[str]) -> str:
    return " and ".join((", ".join(names[:-1]), names[-1]) if len(names) > 1 else names)
