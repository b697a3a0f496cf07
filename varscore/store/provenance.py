"""What a reader needs to repeat a run, as plain values for the file's metadata."""

import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

DEFINITIONS = {
    "indels": "left flank fixed, right end of the alternative filled from, or trimmed to, the reference",
    "encoding": "A, C, G, T; any other letter, and what lies outside the contig, is all zeros",
    "pos": "1-based, as in the VCF",
    "window_start": "0-based coordinate of the window's first base; negative before the contig's first base",
    "window_index": "0-based index in the window of the variant's first base, for indels of the base before",
}


def describe_software() -> dict[str, str]:
    """Versions of what computed the scores, and when it began (UTC)."""
    packages = {name: version(name) for name in ("varscore", "torch", "numpy", "pyarrow", "pysam")}
    started = datetime.now(UTC).isoformat(timespec="seconds")
    return {"python": platform.python_version(), **packages, "started": started}


def describe_run(command: str | None, definitions: Mapping[str, str], **settings: Any) -> dict[str, Any]:
    """The run's settings with the software's versions and the definitions of what is in the file.

    definitions: of the statistics, by name.
    """
    described = {**definitions, **DEFINITIONS}
    return {"software": describe_software(), "command": command, **settings, "definitions": described}
