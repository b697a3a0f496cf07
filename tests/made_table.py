"""Score tables of any content, without a network."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from varscore.store.scores import TableWriter, score_schema, score_table

RUN = {"model": "enformer", "statistics": ["SAD"], "organism": "human", "definitions": {"SAD": "a sum"}}


def made_table(
    path: Path, rows: Sequence[tuple[Any, ...]], tracks: Sequence[tuple[str, str]], scores: np.ndarray, **run: Any
) -> Path:
    """Write rows of (chrom, pos, id, ref, alt, status) and the scores of those that are scored [scored, tracks].

    tracks: (column, description); a column such as SAD_quantile:T0 has that statistic.
    """
    schema = score_schema(tracks)
    for i, (name, _) in enumerate(tracks):
        if ":" in name:
            at = len(schema) - len(tracks) + i
            field = schema.field(at)
            metadata = {**(field.metadata or {}), b"statistic": name.partition(":")[0].encode()}
            schema = schema.set(at, field.with_metadata(metadata))
    scored = np.array([row[5] == "scored" for row in rows], bool)
    full = [(*row, row[1] - 100 if ok else None, 99 if ok else None) for row, ok in zip(rows, scored, strict=True)]
    with TableWriter(path, schema, {**RUN, **run}) as writer:
        writer.write(score_table(schema, full, np.asarray(scores, np.float32), scored))
    return path


def add_gene_columns(source: Path, target: Path, genes: Sequence[str]) -> Path:
    """A table as `varscore score` writes it for genes: no status, but a gene in each row."""
    import pyarrow.parquet as pq

    table = pq.read_table(source)
    run = pq.read_metadata(source).metadata[b"varscore"]
    kept = table.drop_columns(["status", "window_start", "window_index"])
    kept = kept.add_column(5, pa.field("gene_id", pa.string()), pa.array([f"ENSG{gene}" for gene in genes]))
    kept = kept.add_column(6, pa.field("gene_name", pa.string()), pa.array(genes))
    pq.write_table(kept.replace_schema_metadata({b"varscore": run}), target)
    return target
