"""Score tables whose truth is known."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from varscore.store.scores import ROW_FIELDS, TableWriter
from varscore.store.table import ScoreTable


def write_scores(
    path: Path,
    alleles: pd.DataFrame,
    scores: np.ndarray,
    model: str = "drawn",
    statistics: Sequence[str] = ("SAD",),
    tracks: Sequence[str] | None = None,
) -> ScoreTable:
    """A score table, of genes where the alleles have a gene_id. scores: [alleles, statistics · tracks]; NaN is null."""
    count = scores.shape[1] // len(statistics)
    tracks = tracks or [f"T{i}" for i in range(count)]
    frame = alleles.assign(status="scored") if "gene_id" not in alleles else alleles
    own = {field.name: field for field in ROW_FIELDS}
    rows = [own.get(name, pa.field(name, pa.string())) for name in frame]
    fields = []
    for statistic in statistics:
        prefix = f"{statistic}:" if len(statistics) > 1 else ""
        for i, track in enumerate(tracks):
            metadata = {"description": f"CAGE:cell {i}", "statistic": statistic}
            fields.append(pa.field(f"{prefix}{track}", pa.float32(), metadata=metadata))
    schema = pa.schema([*rows, *fields])
    columns = [pa.array(frame[field.name], field.type) for field in rows]
    columns += [pa.array(column, mask=np.isnan(column)) for column in scores.T.astype(np.float32)]
    with TableWriter(path, schema, {"model": model, "statistics": list(statistics)}) as writer:
        writer.write(pa.Table.from_arrays(columns, schema=schema))
    return ScoreTable(path)


def snvs(count: int, chrom: str = "chr1", apart: int = 20_000) -> pd.DataFrame:
    """SNVs A>G, so far apart that none share a block."""
    pos = 1 + apart * np.arange(count)
    return pd.DataFrame({"chrom": chrom, "pos": pos, "ref": "A", "alt": "G"})
