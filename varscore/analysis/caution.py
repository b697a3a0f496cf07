"""What has to be said beside every conclusion from scores of a model that knows no biology."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SIMULATED = "enformer-tiny"


def caution(run: Mapping[str, Any]) -> str | None:
    """A sentence for results of `enformer-tiny`, None for those of other models. run: `ScoreTable.run`."""
    if run.get("model") != SIMULATED:
        return None
    return f"{SIMULATED} was trained on a simulation and carries no biology: nothing here is a finding"
