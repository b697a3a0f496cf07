"""Track tables, and choosing tracks from them.

A table is tab-separated with a header, one row per output of the network's head, in the head's order, as basenji and
Enformer publish them: `index genome identifier file clip scale sum_stat description`. Of these, `identifier` and
`description` are needed; identifiers name the columns of the output, so each must be there once.
"""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from varscore.errors import TrackError

_LISTING = "`varscore tracks` lists the tracks."


@dataclass(frozen=True)
class Track:
    """One output of the network.

    `index` is 0-based and counts the outputs of this organism's head. It is not the published mouse table's own
    `index`, which goes on counting after the human tracks.
    """

    index: int
    identifier: str
    description: str

    @property
    def assay(self) -> str:
        """What was measured: DNASE, ATAC, CHIP or CAGE in Enformer's tables; the whole description without a colon."""
        return self.description.partition(":")[0]

    @property
    def target(self) -> str | None:
        """Of CHIP, the protein or histone mark: H3K4me3 in `CHIP:H3K4me3:stomach`."""
        parts = self.description.split(":", 2)
        return parts[1] if parts[0] == "CHIP" and len(parts) > 2 else None

    @property
    def tissue(self) -> str:
        """In which cells: what follows assay and target, without a comma at its end."""
        after = self.description.split(":", 2 if self.target else 1)[-1]
        return after.strip().rstrip(",")


def load_tracks(path: Path | str, expected: int | None = None) -> list[Track]:
    """Read a track table.

    Args:
        path: the table.
        expected: how many tracks the network has for this organism; None: any number.

    Returns:
        The tracks in the table's order, which is the order of the network's outputs.

    Raises:
        TrackError: unreadable, columns missing, a row that does not fit, an identifier used twice, rows left out or
            reordered (where the table has an `index`), or another number of tracks than expected.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TrackError(f"{path}: cannot read the track table: {error}") from error
    header = lines[0].split("\t") if lines else []
    if missing := [column for column in ("identifier", "description") if column not in header]:
        raise TrackError(
            f"{path}: not a track table: no column {' or '.join(missing)} in its first line; expected tab-separated "
            "columns such as: index genome identifier file clip scale sum_stat description"
        )
    identifier_at, description_at = header.index("identifier"), header.index("description")
    index_at = 0 if header[0] in ("index", "") else None  # pandas writes its index under an empty name
    tracks: list[Track] = []
    line_of: dict[str, int] = {}
    first_index = 0
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        row = line.split("\t")
        where = f"{path}, line {number}"
        if len(row) != len(header):
            raise TrackError(f"{where}: {len(row)} columns, expected {len(header)} as in the first line")
        if not (identifier := row[identifier_at].strip()):
            raise TrackError(f"{where}: the identifier is empty")
        if identifier in line_of:
            raise TrackError(
                f"{where}: identifier {identifier} is on line {line_of[identifier]} already; identifiers name the "
                "columns of the output, so make each unique"
            )
        if index_at is not None:
            if not (index := row[index_at]).isdecimal():
                raise TrackError(f"{where}: index {index!r} is not a number")
            first_index = first_index if tracks else int(index)
            if int(index) != first_index + len(tracks):
                raise TrackError(
                    f"{where}: index {index}, expected {first_index + len(tracks)}: rows must be all there, in the "
                    "order of the network's outputs"
                )
        line_of[identifier] = number
        tracks.append(Track(len(tracks), identifier, row[description_at].strip()))
    if expected is not None and len(tracks) != expected:
        raise TrackError(f"{path}: {len(tracks)} tracks, but the network has {expected}: is it another organism's?")
    return tracks


def select_tracks(tracks: Sequence[Track], selectors: Sequence[str] | None = None) -> list[int]:
    """The indices of the tracks that any of the selectors names.

    A selector is the first of these that fits it:

    - `@FILE`: a file with one selector a line; blank lines and lines that begin with `#` are passed over
    - an identifier, in full and in its own case: `CNhs10608`
    - a 0-based index: `4766`
    - a range of indices, both ends in: `4675-5312`
    - a regular expression, searched in the description without regard to case: `CAGE:.*liver`

    A comma has no meaning of its own, because descriptions hold commas: one selector names one thing.

    Args:
        tracks: a table's tracks, as `load_tracks` gives them.
        selectors: None or none at all: every track.

    Returns:
        Indices in the table's order, each once.

    Raises:
        TrackError: a selector that matches no track, an index out of range, a regular expression that is wrong, or a
            selector file that cannot be read or is empty.
    """
    if not selectors:
        return [track.index for track in tracks]
    chosen: set[int] = set()
    for selector in selectors:
        if selector.startswith("@"):
            for origin, line in _read_selectors(Path(selector[1:])):
                chosen.update(_match(tracks, line, origin))
        else:
            chosen.update(_match(tracks, selector, ""))
    return [track.index for track in tracks if track.index in chosen]


def _read_selectors(path: Path) -> list[tuple[str, str]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TrackError(f"@{path}: cannot read the track selectors: {error}") from error
    named = [(f"{path}, line {number}: ", line.strip()) for number, line in enumerate(lines, start=1)]
    if not (found := [(origin, line) for origin, line in named if line and not line.startswith("#")]):
        raise TrackError(f"{path}: holds no track selectors; expected one a line")
    return found


def _match(tracks: Sequence[Track], selector: str, origin: str) -> list[int]:
    if not selector.strip():
        raise TrackError(f"{origin}an empty track selector. {_LISTING}")
    if by_identifier := [track.index for track in tracks if track.identifier == selector]:
        return by_identifier
    if numbers := re.fullmatch(r"([0-9]+)(?:-([0-9]+))?", selector):
        first, last = int(numbers[1]), int(numbers[2] or numbers[1])
        if not first <= last < len(tracks):
            raise TrackError(f"{origin}no tracks {selector}: indices go from 0 to {len(tracks) - 1}. {_LISTING}")
        return list(range(first, last + 1))
    try:
        pattern = re.compile(selector, re.IGNORECASE)
    except re.error as error:
        raise TrackError(
            f"{origin}{selector!r} is no track's identifier, nor a regular expression: {error}. To search for the text "
            f"as it is, write {re.escape(selector)!r}. {_LISTING}"
        ) from error
    if not (found := [track.index for track in tracks if pattern.search(track.description)]):
        raise TrackError(f"{origin}no track matches {selector!r}.{_hint(tracks, selector)} {_LISTING}")
    return found


def _hint(tracks: Sequence[Track], selector: str) -> str:
    known = {track.identifier.lower(): track.identifier for track in tracks}
    parts = [part.strip() for part in selector.split(",")]
    if len(parts) > 1 and all(part.lower() in known or part.isdecimal() for part in parts):
        return " Commas do not separate: give each track its own option, or list them in @FILE."
    known |= {word: word for track in tracks for word in re.findall(r"\w{3,}", track.description.lower())}
    close: list[str] = []
    for word in re.findall(r"[\w.]{3,}", selector.lower()):
        matches = [word] if word in known else difflib.get_close_matches(word, known, n=2, cutoff=0.75)
        close += [known[match] for match in matches if known[match] != word]
    return f" Did you mean {' or '.join(dict.fromkeys(close))}?" if close else ""
