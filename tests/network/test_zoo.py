import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest

from varscore.errors import ModelError
from varscore.network import zoo

ENFORMER = Path(__file__).resolve().parents[2] / "models" / "enformer"
SHA = "0" * 64
OWN_MODEL = f"""
name = "own"
title = "Fine-tuned on our cells"
licence = "none"
source = "our disk"
citation = "unpublished"
window = 1024
bin_size = 8
bins_out = 64

[architecture]
stem_channels = 6
tower_channels = [6, 12]
heads = 2
key_size = 4
layers = 1

[weights]
filename = "fine_tuned.safetensors"
size = 10
sha256 = "{SHA}"

[track_tables.human]
tracks = 3
filename = "tracks.tsv"
sha256 = "{SHA}"
"""


def own_model(folder: Path, toml: str = OWN_MODEL) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "model.toml").write_text(toml)
    return folder


def test_the_published_model() -> None:
    spec = zoo.get_model("enformer")
    assert spec == zoo.get_model(ENFORMER)
    assert (spec.window, spec.bin_size, spec.bins_out, spec.licence) == (196_608, 128, 896, "CC-BY-4.0")
    assert spec.organisms == ["human", "mouse"]
    assert spec.weights == zoo.WeightsSource(
        repo="EleutherAI/enformer-official-rough",
        revision="affe5713ae9017460706a44108289b13c5fee16c",
        filename="pytorch_model.bin",
        size=1_005_149_571,
        sha256="99b09d602e195d89c7d4debe144bb2f43907ba0d74006e97098e99d9171c439c",
    )
    assert spec.weights.url == (
        "https://huggingface.co/EleutherAI/enformer-official-rough/resolve/"
        "affe5713ae9017460706a44108289b13c5fee16c/pytorch_model.bin"
    )
    basenji = "https://raw.githubusercontent.com/calico/basenji/0.5/manuscripts/cross2020/"
    for organism in spec.organisms:
        assert spec.track_table(organism).url == f"{basenji}targets_{organism}.txt"


def test_the_published_architecture_is_the_networks_default() -> None:
    from varscore.network.enformer import EnformerConfig

    assert EnformerConfig(**zoo.get_model("enformer").architecture) == EnformerConfig()
    assert set(zoo.get_model("enformer").architecture) == {field.name for field in fields(EnformerConfig)}


def test_every_shipped_model_is_whole() -> None:
    specs = zoo.list_models()
    assert "enformer" in [spec.name for spec in specs]
    for spec in specs:
        assert spec.folder.name == spec.name
        assert zoo.get_model(spec.name) == spec
        shipped = [table.filename for table in spec.track_tables.values() if table.filename is not None]
        shipped += [spec.weights.filename] if spec.weights.repo is None else []
        assert [name for name in ["README.md", *shipped] if not (spec.folder / name).is_file()] == []


def test_own_folder(tmp_path: Path) -> None:
    folder = own_model(tmp_path / "mine")
    spec = zoo.get_model(str(folder))
    assert spec == zoo.get_model(folder / "model.toml")
    assert (spec.name, spec.folder, spec.weights.url) == ("own", folder, None)
    assert spec.architecture == {
        "stem_channels": 6,
        "tower_channels": (6, 12),
        "heads": 2,
        "key_size": 4,
        "layers": 1,
        "tracks": {"human": 3},
        "bins": 128,
        "bins_out": 64,
    }
    assert replace(spec, title="other").architecture == spec.architecture
    with pytest.raises(ModelError, match="no organism 'mouse'; it has: human"):
        spec.track_table("mouse")


def test_a_shipped_name_wins_over_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own_model(tmp_path / "enformer")
    monkeypatch.chdir(tmp_path)
    assert zoo.get_model("enformer").folder == ENFORMER
    assert zoo.get_model("./enformer").name == "own"


def test_unknown_names_list_the_known(tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"no model 'enfromer'\. Did you mean enformer\? Known: .*enformer.*model\.toml"
    ):
        zoo.get_model("enfromer")
    with pytest.raises(ModelError, match=r"no model 'xyz'\. Known: "):
        zoo.get_model("xyz")
    with pytest.raises(ModelError, match=r"folder without a model\.toml"):
        zoo.get_model(tmp_path)


def test_shipped_models_of_an_installed_package_and_of_a_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "varscore"
    package.mkdir()
    monkeypatch.setattr(zoo.resources, "files", lambda _: package)
    with pytest.raises(ModelError, match="install it again"):
        zoo.models_folder()
    (tmp_path / "models" / "unfinished").mkdir(parents=True)
    own_model(tmp_path / "models" / "own")
    assert [spec.folder for spec in zoo.list_models()] == [tmp_path / "models" / "own"]
    (package / "_models").mkdir()
    own_model(package / "_models" / "own")
    assert [spec.folder for spec in zoo.list_models()] == [package / "_models" / "own"]


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('name = "own"', 'name = ""', "name is '', not a text"),
        ("window = 1024", "", "window is missing"),
        ("window = 1024", "window = 1024\ncolour = 1", "colour is unknown"),
        ("window = 1024", "window = 1023", "window is 1023, not a multiple of bin_size 8"),
        ("window = 1024", 'window = "1 kb"', "window is '1 kb', not a positive whole number"),
        ("bin_size = 8", "bin_size = 16", "2 tower blocks, each halving the length, make bins of 8 bp"),
        ("bins_out = 64", "bins_out = 63", "cannot be cropped evenly from 128 bins"),
        ("bins_out = 64", "bins_out = 130", "cannot be cropped evenly from 128 bins"),
        ("heads = 2", "heads = true", "architecture.heads is True"),
        ("heads = 2", "", "architecture.heads is missing"),
        ("heads = 2", f"heads = {2**24 + 1}", "architecture.heads is 16777217"),
        ("layers = 1", "layers = 257", "architecture.layers is 257, more than 256"),
        ("window = 1024", f"window = {2**30}", "window is 1073741824"),
        ("heads = 2", "heads = 2\nbins = 5", "architecture.bins is 5, but the other entries make it 128"),
        ("heads = 2", "heads = 2\nheights = 2", "architecture.heights is unknown"),
        ("tower_channels = [6, 12]", "tower_channels = 6", "architecture.tower_channels is 6, not a list"),
        ("size = 10", "size = -1", "weights: size is -1"),
        (f'size = 10\nsha256 = "{SHA}"', 'size = 10\nsha256 = "ABC"', "weights: sha256 is 'ABC'"),
        ("fine_tuned.safetensors", "../elsewhere", "filename is '../elsewhere', not the name of a file"),
        ("size = 10", 'size = 10\nrepo = "a/b"', "repo and revision belong together"),
        ("size = 10", 'size = 10\nrepo = "a/b"\nrevision = "main"', "revision is 'main', not a commit id"),
        ("size = 10", f'size = 10\nrepo = "a"\nrevision = "{"0" * 40}"', "repo is 'a', not OWNER/NAME"),
        ("size = 10", 'size = 10\nbranch = "main"', "weights.branch is unknown"),
        ("tracks = 3", "", "track_tables.human.tracks is missing"),
        ("tracks = 3", "tracks = 0", "track table of human: tracks is 0"),
        ("tracks = 3", 'tracks = 3\nurl = "https://a.b/c.txt"', "give either url or filename"),
        (
            'filename = "tracks.tsv"',
            'url = "ftp://a.b/c.txt"',
            r"url is 'ftp://a\.b/c\.txt', not the http\(s\) address",
        ),
        ("[track_tables.human]", "[track_tables]", "track_tables.tracks is 3, not a table"),
        ("[architecture]", "[", r"model\.toml: .*line 11"),
    ],
)
def test_a_wrong_description_is_refused(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    assert old in OWN_MODEL
    folder = own_model(tmp_path / "mine", OWN_MODEL.replace(old, new))
    with pytest.raises(ModelError, match=complaint) as caught:
        zoo.get_model(folder)
    assert str(caught.value).startswith(str(folder / "model.toml"))


def test_all_that_is_wrong_is_listed_at_once(tmp_path: Path) -> None:
    folder = own_model(
        tmp_path / "mine", OWN_MODEL.replace("heads = 2", "heads = 0").replace("bins_out = 64", "bins_out = 1")
    )
    with pytest.raises(ModelError, match=r"heads is 0.*bins_out is 1"):
        zoo.get_model(folder)


def test_nothing_slow_is_imported() -> None:
    code = (
        "import sys\nfrom varscore.network import download, tracks, zoo\nzoo.get_model('enformer')\n"
        "print(sorted({'torch', 'huggingface_hub', 'pooch', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
