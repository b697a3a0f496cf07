"""Score tables made by hand, with any statistics, for tests that need no network."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from varscore.store.scores import ROW_FIELDS, TableWriter

TRACKS = {"A1": "DNASE:liver", "B-2": 'CAGE:"liver", adult', "C3": "CHIP:CTCF:K562"}
GENE_FIELDS = (
    *ROW_FIELDS[:5],
    pa.field("gene_id", pa.string()),
    pa.field("gene_name", pa.string()),
    pa.field("strand", pa.string()),
    pa.field("tss", pa.int32()),
    pa.field("distance", pa.int32()),
)


def write_table(
    path: Path,
    rows: Sequence[Sequence[object]],
    scores: Mapping[str, np.ndarray],
    tracks: Mapping[str, str] = TRACKS,
    fields: Sequence[pa.Field] = ROW_FIELDS,
    **run: object,
) -> Path:
    """A table of these rows; scores: statistic to [rows, tracks], NaN where there are none."""
    prefix = len(scores) > 1
    columns = {
        pa.field(
            f"{statistic}:{track}" if prefix else track,
            pa.float32(),
            metadata={"description": description, "statistic": statistic},
        ): values[:, i]
        for statistic, values in scores.items()
        for i, (track, description) in enumerate(tracks.items())
    }
    schema = pa.schema([*fields, *columns])
    arrays = [pa.array([row[i] for row in rows], field.type) for i, field in enumerate(fields)]
    arrays += [pa.array(values, pa.float32(), from_pandas=True) for values in columns.values()]
    with TableWriter(path, schema, {"model": "small", "statistics": list(scores), **run}) as writer:
        writer.write(pa.Table.from_arrays(arrays, schema=schema))
    return path


def allele(chrom: str, pos: int, name: str | None, ref: str, alt: str, status: str = "scored") -> tuple[object, ...]:
    """A row of a table of alleles."""
    return chrom, pos, name, ref, alt, status, pos - 100, 99
