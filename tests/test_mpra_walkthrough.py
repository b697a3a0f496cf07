"""The walk-through of examples/mpra, on the real data."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.test_examples import same_line

FOLDER = Path(__file__).resolve().parents[1] / "examples" / "mpra"


@pytest.fixture(scope="module")
def walked(shared, tmp_path_factory) -> tuple[Path, str]:
    """The folder that it filled, and what it printed."""
    folder = tmp_path_factory.mktemp("walk")
    table = shared / "data/kircher/elements.tsv.gz"
    run = subprocess.run(
        [sys.executable, str(FOLDER / "walkthrough.py"), str(table), "mpra"], cwd=folder, capture_output=True,
        text=True, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return folder / "mpra", run.stdout


def test_it_prints_what_its_readme_shows(walked):
    [shown] = re.findall(r"^```text\n\$ python .*\n((?:.*\n)*?)```$", (FOLDER / "README.md").read_text(), re.MULTILINE)
    expected, printed = (text.strip().splitlines() for text in (shown, walked[1]))
    assert len(expected) == len(printed) > 20
    for one, other in zip(expected, printed, strict=True):
        assert same_line(one, other), (one, other)


def test_its_files_hold_what_it_says(walked):
    folder, _ = walked
    scores = pd.read_parquet(folder / "scores.parquet")
    assert len(scores) == 446
    assert set(scores["status"]) == {"scored"}
    results = pd.read_csv(folder / "results.tsv", sep="\t").set_index(["element", "method"])
    assert {element for element, _ in results.index} == {"HBB", "TERT-GBM", "TERT-HEK"}
    assert len(results) == 12
    # the TERT promoter is the same in both kinds of cells, so the track that agrees best should be, too
    assert results.loc[("TERT-GBM", "best_track"), "track"] == results.loc[("TERT-HEK", "best_track"), "track"]
    for name in ("correlations.png", "scatter.png"):
        assert (folder / name).read_bytes()[:4] == b"\x89PNG"


def test_it_is_short_and_cites_its_data():
    assert len((FOLDER / "walkthrough.py").read_text().splitlines()) <= 100
    assert "10, 3583 (2019)" in (FOLDER / "README.md").read_text().replace("**", "")
