"""The wheel as a person gets it: built from a clean clone, installed into another environment, used from elsewhere."""

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from varscore import __version__

ROOT = Path(__file__).resolve().parents[1]
RECORDS = 4


def run(*command: object, cwd: Path) -> str:
    """Standard output of a command that must succeed, in an environment that does not lead back to the checkout."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    if not (ROOT / ".git").exists():
        pytest.skip(f"{ROOT} is no git checkout, so there is nothing to clone")
    folder = tmp_path_factory.mktemp("wheel")
    # what is committed, and nothing that merely lies about
    run("git", "clone", "--quiet", ROOT, "clone", cwd=folder)
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", "dist", "clone", cwd=folder)
    [path] = (folder / "dist").iterdir()
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """The `bin` folder of a new environment: the wheel, and what it depends on from the environment of the tests."""
    folder = tmp_path_factory.mktemp("installed")
    run(sys.executable, "-m", "venv", "--without-pip", "venv", cwd=folder)
    python = folder / "venv/bin/python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel, cwd=folder)
    # Found after the environment's own packages. The .pth file of an editable install over there is not followed.
    paths = sysconfig.get_paths()
    own = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip())
    (own / "dependencies.pth").write_text(f"{paths['purelib']}\n{paths['platlib']}\n")
    return folder / "venv/bin"


def test_the_wheel_holds_the_package_and_the_models_and_no_more(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.split("/")[0] for name in names} == {"varscore", f"varscore-{__version__}.dist-info"}
    assert {
        "varscore/cli/score.py",
        "varscore/report/page.css",
        "varscore/report/page.html",
        "varscore/report/page.js",
        "varscore/_models/enformer/model.toml",
        "varscore/_models/enformer-tiny/model.toml",
        "varscore/_models/enformer-tiny/weights.safetensors",
        "varscore/_models/enformer-tiny/tracks_human.tsv",
        f"varscore-{__version__}.dist-info/licenses/LICENSE",
    } <= set(names)
    assert not [name for name in names if {"tests", "__pycache__"} & set(name.split("/"))]


def test_the_installed_program_scores_the_example(installed, tmp_path):
    imported = Path(run(installed / "python", "-c", "import varscore; print(varscore.__file__)", cwd=tmp_path).strip())
    assert imported.is_relative_to(installed.parent)

    for name in ("demo.vcf", "chr22.fa.gz"):
        shutil.copy(ROOT / "examples" / name, tmp_path)  # without the index, which is then made
    lines = [line.split("\t") for line in (tmp_path / "demo.vcf").read_text().splitlines() if line[0] != "#"]
    chrom, last = lines[0][0], int(lines[RECORDS - 1][1])
    region = f"{chrom}:1-{last}"
    expected = [
        (int(pos), ref, alt)
        for name, pos, _, ref, alts, *_ in lines
        for alt in alts.split(",")
        if name == chrom and int(pos) <= last
    ]
    options = ["--fasta", "chr22.fa.gz", "--model", "enformer-tiny", "--tracks", "0", "--region", region]
    run(installed / "varscore", "score", "demo.vcf", *options, "-o", "scores.parquet", cwd=tmp_path)
    scores = pd.read_parquet(tmp_path / "scores.parquet")
    assert list(scores[["pos", "ref", "alt"]].itertuples(index=False, name=None)) == expected
    assert scores.loc[scores["status"] == "scored", "SIM_DNASE"].notna().all()
    assert (scores["status"] == "scored").any()
