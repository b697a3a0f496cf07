"""What `varscore bench` measures is plausible and complete; how long things take is not tested."""

import json
import math

import pytest
import torch
from click.testing import CliRunner

from varscore.bench.cases import SPEED_CASES
from varscore.bench.run import run_bench, seeded_weights
from varscore.bench.worker import InPrecision
from varscore.cli import main
from varscore.cli.bench import bench
from varscore.engine.precision import Precision
from varscore.errors import VarscoreError
from varscore.network.checkpoint import load_enformer


def test_every_case_is_measured(small_model, tmp_path):
    out = tmp_path / "bench.json"
    options = [
        "--model",
        str(small_model),
        "--alleles",
        "3",
        "--precision",
        "fp32",
        "--device",
        "cpu",
        "--repeats",
        "2",
    ]
    result = CliRunner().invoke(main, ["bench", *options, "--json", str(out)])
    assert result.exit_code == 0, result.output
    assert "enformer-pytorch is left out" in result.stderr
    report = json.loads(out.read_text())
    assert [one["case"]["name"] for one in report["speed"]] == ["plain", "alone", "dense", "shared"]
    for one in report["speed"]:
        assert len(one["seconds_per_allele"]) == 2
        assert all(0 < seconds < 60 for seconds in one["seconds_per_allele"])
        assert 2**26 < one["peak_bytes"] < 2**33
        assert one["times_plain"] > 0
    assert report["speed"][0]["times_plain"] == 1
    errors = {(one["case"]["engine"], one["case"]["precision"]): one["error"] for one in report["errors"]}
    assert len(errors) == 6
    assert all(math.isfinite(error) for error in errors.values())
    assert errors["plain", "fp32"] < errors["plain", "tf32"] < errors["plain", "bf16"]
    for precision in ("tf32", "bf16"):
        assert errors["difference", "fp32"] < errors["difference", precision] < errors["plain", precision]
    assert errors["difference", "fp32"] < 1e-4
    for shown in ("vs plain", "GiB", "error of SAD", "dense", "difference"):
        assert shown in result.stdout


def test_a_case_that_fails_is_one_error(small_model, tmp_path):
    (tmp_path / "weights.safetensors").write_bytes(b"no weights")
    with pytest.raises(VarscoreError, match="plain centered fp32 failed"):
        run_bench(model=str(small_model), weights=tmp_path / "weights.safetensors", cases=["plain"], errors=False)


def test_drawn_weights_are_a_whole_checkpoint(small_config):
    network = load_enformer(seeded_weights(small_config), config=small_config)
    x = torch.eye(4)[torch.arange(small_config.window) % 4][None]
    for tracks in network(x).values():
        assert torch.isfinite(tracks).all()
        assert tracks.std() > 0.01


def test_any_networks_products_can_be_rounded():
    x, w = torch.randn(5, 7), torch.randn(3, 7)
    with InPrecision(Precision.BF16):
        found = torch.nn.functional.linear(x, w, torch.ones(3))
        product = x @ w.T
    expected = (x.bfloat16() @ w.bfloat16().T).float()
    torch.testing.assert_close(product, expected)
    torch.testing.assert_close(found, expected + 1)
    assert not torch.equal(product, x @ w.T)


def test_the_command_line_knows_all_cases():
    [case] = [option for option in bench.params if option.name == "cases"]
    assert tuple(case.type.choices) == SPEED_CASES


def test_a_file_that_cannot_be_written_is_said_before_the_work(small_model, tmp_path):
    result = CliRunner().invoke(
        main, ["bench", "--model", str(small_model), "--json", str(tmp_path / "none/bench.json")]
    )
    assert result.exit_code == 1
    assert "there is no folder" in result.stderr
    assert "run 1 of 1" not in result.stderr


def test_weights_that_are_not_there_are_said_before_the_work(small_model, tmp_path):
    with pytest.raises(VarscoreError, match="no such weights file"):
        run_bench(model=str(small_model), weights=tmp_path / "none.bin")
