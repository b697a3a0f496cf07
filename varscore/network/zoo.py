"""The models varscore knows: what each network looks like, and where its weights and track tables come from.

A model is a folder with a `model.toml`. The shipped ones lie beside the code; a lab's own fine-tuned Enformer is used
by giving its folder. This file reads and checks descriptions only: nothing is downloaded, and torch is not imported.
"""

import difflib
import re
import tomllib
from collections.abc import Mapping, Set
from dataclasses import MISSING, Field, dataclass, fields
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Any

from varscore.errors import ModelError

NETWORK_SIZES = ("stem_channels", "tower_channels", "heads", "key_size", "layers")
"""What a `model.toml` says under `[architecture]`; the numbers of bins and tracks follow from its other entries."""

LARGEST = 2**24
"""Any size in a `model.toml`, so that a stranger's cannot ask for all memory there is."""
MOST_LAYERS = 256

_HEX_SHA256 = re.compile(r"[0-9a-f]{64}")
_HEX_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class WeightsSource:
    """One weights file, pinned by its digest: on the Hugging Face hub, or (without `repo`) in the model's folder.

    `size` is in bytes, `sha256` in lower-case hexadecimal, `revision` is a full commit id: branches and tags can move.

    Raises:
        ModelError: listing every value that is wrong.
    """

    filename: str
    size: int
    sha256: str
    repo: str | None = None
    revision: str | None = None

    def __post_init__(self) -> None:
        problems = [
            *_file_problems(self.filename, self.sha256),
            *([] if _is_count(self.size, 2**40) else [f"size is {self.size!r}, not a number of bytes"]),
        ]
        if (self.repo is None) != (self.revision is None):
            problems.append("repo and revision belong together: give both (Hugging Face) or neither (a shipped file)")
        elif self.repo is not None and not re.fullmatch(r"[\w.-]+/[\w.-]+", str(self.repo)):
            problems.append(f"repo is {self.repo!r}, not OWNER/NAME")
        elif self.revision is not None and not _HEX_COMMIT.fullmatch(str(self.revision)):
            problems.append(f"revision is {self.revision!r}, not a commit id of 40 hexadecimal digits")
        _refuse(problems, "weights")

    @property
    def url(self) -> str | None:
        """The file's public address, None for a shipped file."""
        return self.repo and f"https://huggingface.co/{self.repo}/resolve/{self.revision}/{self.filename}"


@dataclass(frozen=True)
class TrackTable:
    """The table of one organism's tracks, pinned by its digest: at `url`, or `filename` in the model's folder.

    `tracks` is the number of its rows, which is the number of outputs of that organism's head.

    Raises:
        ModelError: listing every value that is wrong.
    """

    organism: str
    tracks: int
    sha256: str
    url: str | None = None
    filename: str | None = None
    licence: str = ""

    def __post_init__(self) -> None:
        problems = [] if _is_count(self.tracks) else [f"tracks is {self.tracks!r}, not a number of tracks"]
        if (self.url is None) == (self.filename is None):
            problems.append("give either url or filename")
        if self.url is not None and not re.match(r"https?://[^/]+/.*[^/]$", str(self.url)):
            problems.append(f"url is {self.url!r}, not the http(s) address of a file")
        problems += _file_problems(self.basename, self.sha256)
        _refuse(problems, f"track table of {self.organism}")

    @property
    def basename(self) -> str:
        """The file's own name."""
        return self.filename if self.filename is not None else PurePosixPath(str(self.url)).name


@dataclass(frozen=True)
class ModelSpec:
    """All that is known of a model before its weights are opened.

    `window` is in base pairs, `bin_size` in base pairs per bin, `bins_out` counts the central bins that are predicted.
    `architecture` is given as the sizes named in `NETWORK_SIZES` and completed with what follows from the rest (tracks,
    bins, bins_out), so that `EnformerConfig(**spec.architecture)` is the network. `track_tables` is keyed by organism,
    `licence` is that of the weights, `source` the page where they were published.

    Raises:
        ModelError: listing every value that is wrong.
    """

    name: str
    title: str
    folder: Path
    window: int
    bin_size: int
    bins_out: int
    architecture: Mapping[str, Any]
    weights: WeightsSource
    track_tables: Mapping[str, TrackTable]
    licence: str
    citation: str
    source: str

    def __post_init__(self) -> None:
        problems = [
            f"{label} is {value!r}, not a text"
            for label in ("name", "title", "licence", "citation", "source")
            if not isinstance(value := getattr(self, label), str) or not value.strip()
        ]
        problems += [
            f"{label} is {value!r}, not a positive whole number"
            for label in ("window", "bin_size", "bins_out")
            if not _is_count(value := getattr(self, label))
        ]
        if not self.track_tables:
            problems.append("no track table: one [track_tables.ORGANISM] for each head is needed")
        problems += [f"architecture.{label} is missing" for label in NETWORK_SIZES if label not in self.architecture]
        _refuse(problems or self._size_problems(), f"model {self.name}")
        completed = {**self.architecture, **self._derived_sizes()}
        completed["tower_channels"] = tuple(completed["tower_channels"])
        object.__setattr__(self, "architecture", completed)

    def _derived_sizes(self) -> dict[str, Any]:
        tracks = {organism: table.tracks for organism, table in self.track_tables.items()}
        return {"tracks": tracks, "bins": self.window // self.bin_size, "bins_out": self.bins_out}

    def _size_problems(self) -> list[str]:
        given, derived = self.architecture, self._derived_sizes()
        problems = [f"architecture.{label} is unknown" for label in given if label not in {*NETWORK_SIZES, *derived}]
        problems += [
            f"architecture.{label} is {given[label]!r}, but the other entries make it {value!r}"
            for label, value in derived.items()
            if given.get(label, value) != value
        ]
        problems += [
            f"architecture.{label} is {given[label]!r}, not a positive whole number"
            for label in NETWORK_SIZES
            if label != "tower_channels" and not _is_count(given[label])
        ]
        if _is_count(given["layers"]) and given["layers"] > MOST_LAYERS:
            problems.append(f"architecture.layers is {given['layers']}, more than {MOST_LAYERS}")
        tower = given["tower_channels"]
        if not isinstance(tower, list | tuple) or not tower or not all(map(_is_count, tower)):
            problems.append(f"architecture.tower_channels is {tower!r}, not a list of channel counts")
        elif self.bin_size != (halved := 2 ** (1 + len(tower))):
            problems.append(
                f"bin_size is {self.bin_size}, but a stem and {len(tower)} tower blocks, each halving the length, "
                f"make bins of {halved} bp"
            )
        if self.window % self.bin_size:
            problems.append(f"window is {self.window}, not a multiple of bin_size {self.bin_size}")
        elif self.bins_out > (bins := derived["bins"]) or (bins - self.bins_out) % 2:
            problems.append(f"bins_out is {self.bins_out}, which cannot be cropped evenly from {bins} bins")
        return problems

    @property
    def organisms(self) -> list[str]:
        """The organisms that the model has a head for, in the description's order."""
        return list(self.track_tables)

    def track_table(self, organism: str) -> TrackTable:
        """The track table of an organism.

        Raises:
            ModelError: the model has no head for it.
        """
        if organism not in self.track_tables:
            raise ModelError(f"model {self.name} has no organism {organism!r}; it has: {', '.join(self.organisms)}")
        return self.track_tables[organism]


def models_folder() -> Path:
    """Where the shipped models lie: inside an installed package, or at the top of a source checkout.

    Raises:
        ModelError: neither is there.
    """
    package = Path(str(resources.files("varscore")))
    candidates = [package / "_models", package.parent / "models"]
    for folder in candidates:
        if folder.is_dir():
            return folder
    raise ModelError(f"varscore's models are in neither {candidates[0]} nor {candidates[1]}: install it again")


def list_models() -> list[ModelSpec]:
    """The shipped models, by name. Folders without a `model.toml` are passed over.

    Raises:
        ModelError: a description is wrong.
    """
    return [read_model(path.parent) for path in sorted(models_folder().glob("*/model.toml"))]


def get_model(name_or_folder: str | Path) -> ModelSpec:
    """A shipped model by its name, or any model by the path of its folder (or of the `model.toml` in it).

    A shipped name wins over a folder called the same in the working directory; write `./enformer` for that folder.

    Raises:
        ModelError: no such model, listing those there are, or its description is wrong.
    """
    shipped = {path.parent.name: path.parent for path in sorted(models_folder().glob("*/model.toml"))}
    if (name := str(name_or_folder)) in shipped:
        return read_model(shipped[name])
    path = Path(name_or_folder)
    if path.name == "model.toml" and path.is_file():
        return read_model(path.parent)
    if (path / "model.toml").is_file():
        return read_model(path)
    if path.is_dir():
        raise ModelError(f"{path} is a folder without a model.toml; see the shipped ones in {models_folder()}")
    close = difflib.get_close_matches(name.lower(), shipped, n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    known = ", ".join(shipped)
    raise ModelError(f"no model {name!r}.{hint} Known: {known}; or give a folder that holds a model.toml.")


def read_model(folder: Path) -> ModelSpec:
    """Read and check the `model.toml` of a folder.

    Raises:
        ModelError: unreadable, not TOML, or entries missing, unknown or wrong.
    """
    path = Path(folder) / "model.toml"
    try:
        described = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: {error}") from error
    try:
        _check_entries(described, fields(ModelSpec), without={"folder"})
        for label in ("architecture", "weights", "track_tables"):
            if not isinstance(described[label], dict):
                raise ModelError(f"{label} is {described[label]!r}, not a table")
        _check_entries(described["weights"], fields(WeightsSource), "weights.")
        for organism, table in described["track_tables"].items():
            _check_entries(table, fields(TrackTable), f"track_tables.{organism}.", without={"organism"})
        sources = {
            "weights": WeightsSource(**described["weights"]),
            "track_tables": {
                organism: TrackTable(organism, **table) for organism, table in described["track_tables"].items()
            },
        }
        return ModelSpec(**(described | sources), folder=path.parent)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error


def _check_entries(
    values: object, expected: tuple[Field[Any], ...], prefix: str = "", without: Set[str] = frozenset()
) -> None:
    if not isinstance(values, dict):
        raise ModelError(f"{prefix.rstrip('.')} is {values!r}, not a table")
    known = {entry.name for entry in expected} - without
    needed = {entry.name for entry in expected if entry.default is MISSING} - without
    problems = [f"{prefix}{label} is missing" for label in sorted(needed - set(values))]
    problems += [f"{prefix}{label} is unknown" for label in sorted(set(values) - known)]
    _refuse(problems)


def _refuse(problems: list[str], where: str = "") -> None:
    if problems:
        raise ModelError((f"{where}: " if where else "") + "; ".join(problems))


def _is_count(value: object, largest: int = LARGEST) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= largest


def _file_problems(filename: str | None, sha256: str) -> list[str]:
    problems = []
    path = PurePosixPath(str(filename))
    if not isinstance(filename, str) or not path.name or path.is_absolute() or ".." in path.parts:
        problems.append(f"filename is {filename!r}, not the name of a file")
    if not _HEX_SHA256.fullmatch(str(sha256)):
        problems.append(f"sha256 is {sha256!r}, not 64 lower-case hexadecimal digits (as `sha256sum FILE` prints)")
    return problems
