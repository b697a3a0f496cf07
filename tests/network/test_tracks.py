from pathlib import Path

import pytest

from varscore.errors import TrackError
from varscore.network import zoo
from varscore.network.download import sha256_of
from varscore.network.tracks import Track, load_tracks, select_tracks

SHARED = Path(__file__).resolve().parents[2].parent / "shared/data/enformer"
HEADER = "index\tgenome\tidentifier\tfile\tclip\tscale\tsum_stat\tdescription"
DESCRIPTIONS = [
    "DNASE:cerebellum male adult (27 years)",
    "DNASE:HepG2",
    "CHIP:H3K27ac:liver tissue, male",
    "CAGE:liver, adult, pool1",
    "CAGE:hepatocyte, donor 3",
]
TRACKS = [Track(index, f"ENCFF{index:03d}AAA", text) for index, text in enumerate(DESCRIPTIONS)]


def row(index: object, identifier: str, description: str) -> str:
    return f"{index}\t0\t{identifier}\t/a.w5\t32\t2\tmean\t{description}"


def table(path: Path, rows: list[str], header: str = HEADER) -> Path:
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def whole_table(path: Path, first: int = 0) -> Path:
    return table(path, [row(first + track.index, track.identifier, track.description) for track in TRACKS])


def test_a_table_is_read(tmp_path: Path) -> None:
    assert load_tracks(whole_table(tmp_path / "t"), 5) == TRACKS
    # the published mouse table counts on from the human one; ours counts the head's outputs
    assert load_tracks(whole_table(tmp_path / "t", first=5313), 5) == TRACKS


def test_other_columns_are_optional(tmp_path: Path) -> None:
    path = tmp_path / "t"
    path.write_bytes(b'\tdescription\tidentifier\r\n0\tCAGE:liver\tb\r\n1\tCAGE:"heart"\ta\r\n\r\n')
    assert load_tracks(path) == [Track(0, "b", "CAGE:liver"), Track(1, "a", 'CAGE:"heart"')]
    path.write_text("identifier\tdescription\nb\tx\n")
    assert load_tracks(path, 1) == [Track(0, "b", "x")]


@pytest.mark.parametrize(
    ("rows", "header", "complaint"),
    [
        ([row(0, "a", "x"), row(1, "a", "y")], HEADER, "line 3: identifier a is on line 2 already"),
        ([row(0, "a", "x"), row(2, "b", "y")], HEADER, "line 3: index 2, expected 1"),
        ([row(1, "a", "x"), row(0, "b", "y")], HEADER, "line 3: index 0, expected 2"),
        ([row("zero", "a", "x")], HEADER, "line 2: index 'zero' is not a number"),
        ([row(0, " ", "x")], HEADER, "line 2: the identifier is empty"),
        ([row(0, "a", "x\ty")], HEADER, "line 2: 9 columns, expected 8"),
        ([row(0, "a", "x"), "1\t0\tb"], HEADER, "line 3: 3 columns, expected 8"),
        (["0,a,x"], "index,identifier,description", "no column identifier or description"),
        ([row(0, "a", "x")], HEADER.replace("description", "text"), "no column description in its first line"),
        ([row(0, "a", "x")], HEADER, "1 tracks, but the network has 2"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path: Path, rows: list[str], header: str, complaint: str) -> None:
    path = table(tmp_path / "table.tsv", rows, header)
    with pytest.raises(TrackError, match=complaint) as caught:
        load_tracks(path, 2)
    assert str(caught.value).startswith(str(path))


def test_unreadable_tables(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "binary").write_bytes(bytes(range(256)))
    for name, complaint in [("empty", "not a track table"), ("binary", "cannot read"), ("absent", "cannot read")]:
        with pytest.raises(TrackError, match=complaint):
            load_tracks(tmp_path / name)


@pytest.mark.parametrize(
    ("selectors", "expected"),
    [
        (None, [0, 1, 2, 3, 4]),
        ([], [0, 1, 2, 3, 4]),
        (["ENCFF003AAA"], [3]),
        (["4"], [4]),
        (["1-3"], [1, 2, 3]),
        (["2-2"], [2]),
        (["LIVER"], [2, 3]),
        (["^cage:.*liver"], [3]),
        (["liver, adult"], [3]),
        (["CAGE:", "0", "ENCFF003AAA", "3-4"], [0, 3, 4]),
        (["[3]$"], [4]),
    ],
)
def test_selecting(selectors: list[str] | None, expected: list[int]) -> None:
    assert select_tracks(TRACKS, selectors) == expected


def test_an_identifier_comes_before_an_index_and_an_index_before_a_search() -> None:
    tracks = [Track(0, "2", "DNASE:1"), Track(1, "b", "DNASE:2"), Track(2, "c", "DNASE:0-1"), Track(3, "0-1", "x")]
    assert select_tracks(tracks, ["2"]) == [0]
    assert select_tracks(tracks, ["1"]) == [1]
    assert select_tracks(tracks, ["0-1"]) == [3]
    assert select_tracks(tracks, ["0-2"]) == [0, 1, 2]


def test_selectors_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "wanted.txt"
    path.write_text("# liver\n\n  CAGE:.*liver  \nENCFF000AAA\n")
    assert select_tracks(TRACKS, [f"@{path}", "1"]) == [0, 1, 3]
    path.write_text("ENCFF000AAA\nENCFF999ZZZ\n")
    with pytest.raises(TrackError, match=r"wanted\.txt, line 2: no track matches 'ENCFF999ZZZ'"):
        select_tracks(TRACKS, [f"@{path}"])
    path.write_text("# nothing\n")
    with pytest.raises(TrackError, match="holds no track selectors"):
        select_tracks(TRACKS, [f"@{path}"])
    with pytest.raises(TrackError, match="cannot read the track selectors"):
        select_tracks(TRACKS, [f"@{tmp_path / 'absent'}"])


def test_a_file_called_as_a_selector_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "liver").write_text("HepG2\n")
    monkeypatch.chdir(tmp_path)
    assert select_tracks(TRACKS, ["liver"]) == [2, 3]
    assert select_tracks(TRACKS, ["@liver"]) == [1]


@pytest.mark.parametrize(
    ("selector", "complaint"),
    [
        ("encff003aaa", r"no track matches 'encff003aaa'\. Did you mean ENCFF003AAA\? `varscore tracks`"),
        ("CAGE:.*livr", r"no track matches 'CAGE:.*livr'\. Did you mean liver\?"),
        ("xyzzy", r"no track matches 'xyzzy'\. `varscore tracks`"),
        ("ENCFF000AAA,ENCFF001AAA", "Commas do not separate"),
        ("5", "no tracks 5: indices go from 0 to 4"),
        ("2-5", "no tracks 2-5: indices go from 0 to 4"),
        ("3-1", "no tracks 3-1"),
        ("liver(", r"'liver\(' is no track's identifier, nor a regular expression: .* write 'liver\\\\\('"),
        (" ", "an empty track selector"),
    ],
)
def test_a_selector_that_matches_nothing_is_named(selector: str, complaint: str) -> None:
    with pytest.raises(TrackError, match=complaint):
        select_tracks(TRACKS, ["0", selector])


@pytest.mark.skipif(not SHARED.is_dir(), reason="the published track tables are not in ../shared")
class TestPublishedTables:
    @pytest.mark.parametrize("organism", ["human", "mouse"])
    def test_they_are_the_ones_the_model_names(self, organism: str) -> None:
        path = SHARED / f"targets_{organism}.txt"
        entry = zoo.get_model("enformer").track_table(organism)
        assert sha256_of(path) == entry.sha256
        tracks = load_tracks(path, entry.tracks)
        assert [track.index for track in tracks] == list(range(entry.tracks))
        assert len({track.identifier for track in tracks}) == entry.tracks

    def test_selecting_from_them(self) -> None:
        human = load_tracks(SHARED / "targets_human.txt", 5313)
        assert [human[0].identifier, human[4675].description.partition(":")[0]] == ["ENCFF833POA", "CAGE"]
        assert select_tracks(human, ["^CAGE:"]) == list(range(4675, 5313)) == select_tracks(human, ["4675-5312"])
        liver = select_tracks(human, ["CAGE:.*liver"])
        assert liver
        assert all("liver" in human[index].description.lower() for index in liver)
        with pytest.raises(TrackError, match="Did you mean hepatocyte"):
            select_tracks(human, ["heptocyte"])

    def test_one_organisms_table_is_not_anothers(self) -> None:
        with pytest.raises(TrackError, match="1643 tracks, but the network has 5313"):
            load_tracks(SHARED / "targets_mouse.txt", 5313)
