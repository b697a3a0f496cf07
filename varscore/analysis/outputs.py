"""Writing results as tables of text: whole or not at all, and never over what is there by mistake."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pandas as pd

from varscore.errors import OutputError
from varscore.store.folder import whole_file
from varscore.store.scores import check_new_file


def check_outputs(*places: str | os.PathLike[str] | None, overwrite: bool) -> None:
    """Say before the work that an output cannot be written.

    Args:
        places: paths, and None for outputs that are not asked for.
        overwrite: whether files that are there may be replaced.

    Raises:
        OutputError: one is there already, or cannot be made, or two are the same.
    """
    paths = [Path(place) for place in places if place is not None]
    for path in paths:
        check_new_file(path, overwrite=overwrite)
    if twice := [path for path in paths if paths.count(path) > 1]:
        raise OutputError(f"output {twice[0]} is named twice: give each output its own file")


def write_text(place: str | os.PathLike[str], text: str) -> None:
    """Write a file, compressed where its name ends in .gz."""
    data = text.encode()
    with whole_file(place) as file:
        file.write(gzip.compress(data, mtime=0) if os.fspath(place).endswith(".gz") else data)


def as_text(frame: pd.DataFrame) -> str:
    """A table with a header, separated by tabs; numbers with six digits, what is missing as NA."""
    return frame.to_csv(sep="\t", index=False, float_format="%.6g", na_rep="NA", lineterminator="\n")
