"""What is in the figure."""

import re

import numpy as np
import pytest

from varscore.analysis.eqtl import FALSE_POSITIVE_RATES, TissueResult
from varscore.errors import OutputError
from varscore.plots.roc import check_format, draw_roc


def result(tissue: str, auroc: float) -> TissueResult:
    curve = FALSE_POSITIVE_RATES ** (1 / auroc - 1)  # whose area is the AUROC
    return TissueResult(tissue, 120, 240, auroc, 0.02, 0.01, curve, np.full(256, 0.03), np.ones(3) / 3)


def texts(path) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", path.read_text())


def test_one_tissue(tmp_path):
    draw_roc([result("liver", 0.75)], tmp_path / "roc.svg", note="the note")
    assert {"liver: AUROC 0.75 ± 0.02", "chance", "false positive rate", "true positive rate", "the note"} <= set(
        texts(tmp_path / "roc.svg")
    )
    assert "AUROC ± standard error" not in (tmp_path / "roc.svg").read_text()


def test_the_best_tissue_comes_first_and_has_its_counts_beside(tmp_path):
    draw_roc([result("liver", 0.6), result("blood", 0.7)], tmp_path / "roc.svg")
    shown = texts(tmp_path / "roc.svg")
    assert shown.index("blood (120 / 240)") < shown.index("liver (120 / 240)")
    assert "AUROC ± standard error" in shown


def test_many_tissues_are_all_named(tmp_path):
    draw_roc([result(f"tissue {i}", 0.5 + i / 100) for i in range(48)], tmp_path / "roc.svg")
    shown = texts(tmp_path / "roc.svg")
    assert sum(text.endswith("(120 / 240)") for text in shown) == 48


@pytest.mark.parametrize(("name", "start"), [("a.png", b"\x89PNG"), ("a.PDF", b"%PDF"), ("a.svg", b"<?xml")])
def test_formats(tmp_path, name, start):
    draw_roc([result("liver", 0.75)], tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(start)


@pytest.mark.parametrize("name", ["roc", "roc.gif", "roc.tsv"])
def test_other_formats_are_refused(tmp_path, name):
    with pytest.raises(OutputError, match=r"ends in \.png, \.pdf or \.svg"):
        check_format(tmp_path / name)
