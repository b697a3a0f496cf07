"""Score tables whose every number is given, as `varscore score` would have written them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from varscore.store.scores import ROW_FIELDS, TableWriter

RUN = {
    "model": "toy",
    "weights": {"sha256": "0" * 64},
    "organism": "human",
    "statistics": ["SAD"],
    "window": {"length": 4096, "policy": "centered", "index": 2047, "grid": 1, "shifts": [0]},
    "bins": {"size": 128, "predicted": 20},
    "reverse_complement": True,
    "plan": "digest",
    "definitions": {"SAD": "sum of alt - ref"},
}

Allele = tuple[str, int, str | None, str, str] | tuple[str, int, str | None, str, str, str]
"""chrom, pos, id, ref, alt, and status where it is not `scored`."""


def write_table(
    path: Path,
    alleles: Sequence[Allele],
    scores: np.ndarray,
    columns: Sequence[tuple[str, str | None]] = (("T0", None), ("T1", None)),
    **run: object,
) -> Path:
    """A table of one row for each allele; columns: name, and statistic where the column says it."""
    rows = [(*allele, "scored")[:6] for allele in alleles]
    arrays = [pa.array([row[i] for row in rows], field.type) for i, field in enumerate(ROW_FIELDS[:6])]
    arrays += [pa.array([None] * len(rows), pa.int32())] * 2
    unscored = np.array([row[5] != "scored" for row in rows], bool)
    fields = list(ROW_FIELDS)
    for i, (name, statistic) in enumerate(columns):
        metadata = {"description": f"DNASE:{name}"} | ({} if statistic is None else {"statistic": statistic})
        fields.append(pa.field(name, pa.float32(), metadata=metadata))
        arrays.append(pa.array(np.asarray(scores, np.float32)[:, i], mask=unscored))
    schema = pa.schema(fields)
    with TableWriter(str(path), schema, RUN | run) as writer:
        writer.write(pa.Table.from_arrays(arrays, schema=schema))
    return path


def gene_table(path: Path) -> Path:
    """One row: an allele and a gene."""
    row = {"chrom": "1", "pos": 5, "id": "rs1", "ref": "A", "alt": "G", "gene_id": "E1", "gene_name": "G", "tss": 9}
    table = pa.table({name: [value] for name, value in row.items()})
    table = table.append_column(pa.field("T0", pa.float32(), metadata={"description": "DNASE:T0"}), [np.float32([1])])
    with TableWriter(str(path), table.schema, RUN) as writer:
        writer.write(table)
    return path
