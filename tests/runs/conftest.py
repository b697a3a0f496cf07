from pathlib import Path

import pandas as pd
import pytest
import torch

from tests.runs.cases import BASES, PART, Case, write_vcf
from varscore import score_vcf


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """As in the other processes, so that scores are the same to the last bit."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def case(tmp_path: Path, unbroken: pd.DataFrame, small_model: Path) -> Case:
    (tmp_path / "genome.fa").write_text(f">z\n{BASES}\n")
    write_vcf(tmp_path / "in.vcf")
    return Case(tmp_path, small_model, unbroken)


@pytest.fixture(scope="module")
def unbroken(_one_thread: None, small_model: Path, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    folder = tmp_path_factory.mktemp("unbroken")
    (folder / "genome.fa").write_text(f">z\n{BASES}\n")
    write_vcf(folder / "in.vcf")
    score_vcf(
        folder / "in.vcf",
        folder / "genome.fa",
        folder / "out.parquet",
        model=str(small_model),
        window="shared",
        part_size=PART,
    )
    return pd.read_parquet(folder / "out.parquet")
