import zipfile

import pytest
import torch
from safetensors.torch import save_file

from varscore.errors import WeightsError
from varscore.network.checkpoint import load_enformer, published_names
from varscore.network.enformer import Enformer, EnformerConfig


@pytest.fixture
def published(small_network) -> dict[str, torch.Tensor]:
    """The small network's tensors as the published file has them: their names, their shapes, and the aliases."""
    ours = small_network.float().state_dict()
    tensors = {}
    for theirs, name in published_names(small_network.config).items():
        tensor = ours[name]
        if "to_attn_logits" in theirs:
            tensor = tensor[..., None]
        if theirs.endswith(("rel_content_bias", "rel_pos_bias")):
            tensor = tensor[None]
        tensors[theirs] = tensor
    aliases = {f"_trunk.{i}.alias": tensor for i, tensor in enumerate(tensors.values())}
    return tensors | aliases


def same(network: Enformer, other: Enformer) -> bool:
    mine, theirs = network.state_dict(), other.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)


def test_names_and_shapes_are_those_of_the_published_file(shared):
    listed = {}
    for line in (shared / "data/enformer/state_dict_keys.tsv").read_text().splitlines():
        name, shape, dtype = line.split("\t")
        listed[name] = (tuple(int(n) for n in shape.strip("()").split(",") if n.strip()), dtype)
    names = published_names(EnformerConfig())
    assert len(names) == 287
    assert set(names) == {name for name in listed if not name.startswith("_trunk.")}
    assert sum(name.startswith("_trunk.") for name in listed) == 283
    with torch.device("meta"):
        full = {name: torch.empty(shape, dtype=getattr(torch, dtype[6:])) for name, (shape, dtype) in listed.items()}
    loaded = load_enformer(full, device="meta")
    assert all(tensor.numel() for tensor in loaded.state_dict().values())


@pytest.mark.parametrize("kind", ["mapping", "arrays", "pytorch", "safetensors"])
def test_every_source_gives_the_same_network(kind, published, small_network, tmp_path):
    weights = published
    if kind == "arrays":
        weights = {name: tensor.numpy() for name, tensor in published.items()}
    elif kind == "pytorch":
        weights = tmp_path / "pytorch_model.bin"
        torch.save(published, weights)
    elif kind == "safetensors":
        weights = tmp_path / "model.safetensors"
        save_file({n: t.contiguous() for n, t in published.items() if not n.startswith("_trunk.")}, weights)
    network = load_enformer(weights, config=small_network.config)
    assert same(network, small_network)
    assert not network.training
    assert not any(p.requires_grad for p in network.parameters())


def test_what_does_not_fit_is_listed(published, small_config):
    del published["transformer.1.0.fn.1.to_q.weight"]
    published["extra.weight"] = torch.zeros(1)
    published["stem.0.weight"] = torch.zeros(8, 4, 13)
    with pytest.raises(WeightsError) as caught:
        load_enformer(published, config=small_config)
    message = str(caught.value)
    assert "1 missing (transformer.1.0.fn.1.to_q.weight)" in message
    assert "1 unexpected (extra.weight)" in message
    assert "1 misshapen (stem.0.weight (8, 4, 13) instead of (8, 4, 15))" in message


def test_another_models_checkpoint_is_refused(published):
    with pytest.raises(WeightsError, match="is it another model's file"):
        load_enformer(published)  # the full-size network


@pytest.mark.parametrize("suffix", [".bin", ".safetensors"])
@pytest.mark.parametrize("damage", ["missing", "truncated", "text"])
def test_unreadable_files(suffix, damage, published, tmp_path, small_config):
    path = tmp_path / f"weights{suffix}"
    whole = tmp_path / f"whole{suffix}"
    tensors = {n: t.contiguous() for n, t in published.items() if not n.startswith("_trunk.")}
    save_file(tensors, whole) if suffix == ".safetensors" else torch.save(tensors, whole)
    if damage == "truncated":
        path.write_bytes(whole.read_bytes()[:-5000])
    elif damage == "text":
        path.write_text("not a checkpoint at all\n")
    with pytest.raises(WeightsError, match=str(path)):
        load_enformer(path, config=small_config)


def test_nothing_is_executed_from_a_weights_file(tmp_path, small_config):
    class Payload:
        def __reduce__(self):
            return (print, ("executed",))

    path = tmp_path / "weights.bin"
    torch.save({"stem.0.weight": Payload()}, path)
    assert zipfile.is_zipfile(path)
    with pytest.raises(WeightsError, match="cannot be read as weights"):
        load_enformer(path, config=small_config)


def test_a_file_that_unpacks_to_more_than_it_is_is_refused(tmp_path, small_config):
    path = tmp_path / "weights.bin"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\0" * 50_000_000)
        archive.writestr("archive/version", b"3")
    assert path.stat().st_size < 100_000
    with pytest.raises(WeightsError, match="unpacks to more than its size"):
        load_enformer(path, config=small_config)


def test_a_file_that_is_not_a_state_dict(tmp_path, small_config):
    path = tmp_path / "weights.bin"
    torch.save([torch.zeros(2)], path)
    with pytest.raises(WeightsError, match="found a list"):
        load_enformer(path, config=small_config)
