"""What an MPRA measured: the real table on both builds, CAGI5's files, plain tables, and what is refused."""

import gzip

import numpy as np
import pytest

from varscore.analysis.mpra.tables import count_elements, filter_rows, read_mpra
from varscore.errors import TableError

PLAIN = "chrom\tpos\tref\talt\teffect\n1\t10\tA\tC\t0.5\n1\t11\tG\t-\t-1\n"

# of each experiment on GRCh38: positions, SNVs, deletions; counted with awk
EXPERIMENTS = {
    "BCL11A": (600, 1799, 263), "F9": (303, 904, 80), "FOXE1": (600, 1800, 248), "GP1BA": (385, 1154, 114),
    "HBB": (187, 561, 62), "HBG1": (274, 822, 85), "HNF4A": (285, 855, 122), "IRF4": (451, 1353, 157),
    "IRF6": (601, 1785, 121), "LDLR": (318, 954, 129), "LDLR.2": (318, 954, 139), "MSMB": (591, 1773, 246),
    "MYCrs11986220": (463, 1389, 292), "MYCrs6983267": (600, 1792, 158), "PKLR-24h": (470, 1407, 369),
    "PKLR-48h": (470, 1407, 387), "RET": (600, 1797, 165), "SORT1": (600, 1790, 137), "SORT1-flip": (601, 1791, 183),
    "SORT1.2": (600, 1798, 200), "TCF7L2": (599, 1770, 140), "TERT-GAa": (259, 777, 197), "TERT-GBM": (259, 777, 196),
    "TERT-GSc": (259, 777, 197), "TERT-HEK": (259, 777, 198), "UC88": (591, 1761, 203), "ZFAND3": (579, 1736, 276),
    "ZRSh-13": (486, 1455, 206), "ZRSh-13h2": (486, 1455, 207),
}  # fmt: skip


@pytest.fixture(scope="module")
def kircher(shared):
    return read_mpra([shared / "data/kircher/elements.tsv.gz"])


def test_all_experiments_parse_on_both_builds(kircher):
    assert len(kircher.rows) + len(kircher.unplaced) == 89_316
    assert kircher.unplaced.value_counts().to_dict() == {
        (element, build): count for build in ("GRCh37", "GRCh38") for element, count in
        {"MSMB": 7, "MYCrs11986220": 4}.items()
    }  # fmt: skip
    counts = count_elements(kircher)
    for build in ("GRCh37", "GRCh38"):
        found = counts[counts["build"] == build].set_index("element")[["positions", "snvs", "deletions"]]
        assert {str(name): tuple(row) for name, row in zip(found.index, found.to_numpy(), strict=True)} == EXPERIMENTS
    assert list(counts[counts["missing"] > 0]["element"]) == ["TCF7L2", "TCF7L2"]
    hbb = counts[(counts["element"] == "HBB") & (counts["build"] == "GRCh38")].iloc[0]
    assert (hbb["chrom"], hbb["start"], hbb["end"]) == ("11", 5_227_022, 5_227_208)


def test_effects_are_what_others_published(kircher):
    """The TERT promoter's C228T and C250T raise expression (Huang et al. 2013); on this strand they are G>A."""
    rows = kircher.of_build("hg19").rows.set_index(["element", "pos", "alt"])["effect"].sort_index()
    for element in ("TERT-GBM", "TERT-HEK", "TERT-GAa", "TERT-GSc"):
        assert rows[element, 1_295_228, "A"] > 1
        assert rows[element, 1_295_250, "A"] > 1
        assert max(rows[element, 1_295_250, "C"], rows[element, 1_295_250, "T"]) < 0.2
    # CAGI5 gave these out as training data of F9, to two digits, on the same build
    cagi5 = {(138_612_679, "T"): 1.12, (138_612_679, "G"): 0.23, (138_612_683, "T"): 0.51, (138_612_890, "G"): 0.28}
    for (pos, alt), value in cagi5.items():
        assert rows["F9", pos, alt] == pytest.approx(value, abs=0.011)


def test_several_builds_want_a_choice(kircher):
    with pytest.raises(TableError, match="positions on GRCh38 and GRCh37: choose one with --build"):
        kircher.of_build(None)
    with pytest.raises(TableError, match="no rows of build mm10: the table has GRCh38, GRCh37"):
        kircher.of_build("mm10")
    assert len(kircher.of_build("GRCh38").rows) == len(kircher.of_build("hg19").rows) == 44_658 - 11
    with pytest.raises(TableError, match=r"no element 'TERT': did you mean TERT-"):
        kircher.of_elements(["TERT"])


def test_filters_take_what_was_measured_well(kircher):
    rows = kircher.of_build("hg38").of_elements(["LDLR"]).rows
    assert len(filter_rows(rows)) == 954
    assert len(filter_rows(rows, indels=True)) == 1083
    kept = filter_rows(rows, min_barcodes=10, max_p=0.01)
    assert kept["barcodes"].min() == 10
    assert kept["p_value"].max() <= 0.01
    assert len(kept) == ((rows["barcodes"] >= 10) & (rows["p_value"] <= 0.01) & (rows["alt"] != "-")).sum()
    with pytest.raises(TableError, match="no column confidence"):
        filter_rows(rows, min_confidence=0.1)
    with pytest.raises(TableError, match=r"none of 1,083 alleles is left with barcodes 1e\+09"):
        filter_rows(rows, min_barcodes=1e9)


def test_cagi5_files(tmp_path):
    """The text before the header is the kind of thing that the challenge's files have."""
    text = (
        "##Regulation saturation challenge\nSome words, and more of them\n\n#Chrom\tPos\tRef\tAlt\tValue\tConfidence\n"
    )
    (tmp_path / "challenge_F9.tsv").write_text(
        text + "X\t138612669\tT\tA\t-0.17\t0.07\nX\t138612669\tT\tC\t-0.26\t0.24\n"
    )
    (tmp_path / "release_TERT-GBM.tsv.gz").write_bytes(gzip.compress((text + "5\t1295228\tG\tA\t2.86\t1\n").encode()))
    table = read_mpra([tmp_path / "challenge_F9.tsv", tmp_path / "release_TERT-GBM.tsv.gz"])
    assert list(table.rows["element"]) == ["F9", "F9", "TERT-GBM"]
    assert list(table.rows["effect"]) == [-0.17, -0.26, 2.86]
    assert list(table.rows["confidence"]) == [0.07, 0.24, 1]
    assert list(table.rows["chrom"]) == ["X", "X", "5"]
    assert table.of_build(None).rows is table.rows
    assert len(filter_rows(table.rows, min_confidence=0.1)) == 2
    with pytest.raises(TableError, match="names no build; leave out --build"):
        table.of_build("hg19")


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        PLAIN.replace("\t", ","),
        PLAIN.replace("\t", " "),
        PLAIN.replace("\n", "\r\n"),
        "\ufeff" + PLAIN,
        PLAIN.upper().replace("CHROM", "Chr").replace("A\tC", "a\tc"),
        "# a comment\n" + PLAIN + "\n",
        PLAIN.replace("\n1\t", "\nchr1\t"),
        PLAIN + "1\tNA\tA\tC\t0\n" + "1\t12\tA\tC\tnan\n",
    ],
)
def test_plain_tables_of_all_kinds_read_alike(tmp_path, text):
    (tmp_path / "mine.csv").write_bytes(text.encode())
    table = read_mpra([tmp_path / "mine.csv"])
    rows = table.rows[["element", "build", "chrom", "pos", "ref", "alt", "effect"]]
    assert rows.to_numpy().tolist() == [["mine", "", "1", 10, "A", "C", 0.5], ["mine", "", "1", 11, "G", "-", -1.0]]
    assert np.isnan(table.rows[["barcodes", "p_value", "confidence"]]).all(axis=None)
    assert len(table.unplaced) == (2 if "NA" in text else 0)


def test_columns_can_be_named(tmp_path):
    (tmp_path / "mine.tsv").write_text("chrom\tstart\tend\tref\talt\tRatio\tlocus\n2\t9\t10\tA\tC\t0.5\tx\n")
    with pytest.raises(TableError, match=r"there are chrom, start, end, .*missing: pos \(pos or position\); effect"):
        read_mpra([tmp_path / "mine.tsv"])
    table = read_mpra([tmp_path / "mine.tsv"], {"pos": "end", "effect": "ratio", "element": "locus"})
    assert table.rows[["element", "pos", "effect"]].to_numpy().tolist() == [["x", 10, 0.5]]
    with pytest.raises(TableError, match="no column 'tags', named for barcodes"):
        read_mpra([tmp_path / "mine.tsv"], {"pos": "end", "effect": "ratio", "barcodes": "tags"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is it a table"),
        (PLAIN.split("\n", 1)[1], "no header with the columns"),
        (PLAIN.splitlines()[0] + "\n", "no row has a position and an effect"),
        (PLAIN + "1\t12\tA\n", "line 4: 3 columns, expected 5"),
        (PLAIN + "1\t-5\tA\tC\t0\n", "line 4: '-5' is no position"),
        (PLAIN + "1\t1.5\tA\tC\t0\n", "line 4: '1.5' is no position"),
        (PLAIN + "1\t0\tA\tC\t0\n1\t0\tA\tC\t0\n", r"line 4: '0' is no position.*and 1 more rows"),
        (PLAIN + "1\t12\tN\tC\t0\n", "line 4: 'N' is no REF"),
        (PLAIN + "1\t12\t-\tC\t0\n", "line 4: '-' is no REF"),
        (PLAIN + "1\t12\tA\t<DEL>\t0\n", "line 4: '<DEL>' is no ALT"),
        (PLAIN + "1\t12\tA\tA\t0\n", "line 4: 'A' is no ALT: REF is the same"),
        (PLAIN + "1\t12\tA\tC\thigh\n", "line 4: 'high' is no number, in column effect"),
        (PLAIN + "1\t12\tA\tC\tinf\n", "line 4: 'inf' is no number, in column effect"),
        (PLAIN + "chr1\t10\tA\tC\t0.7\n", r"1:10 A>C is there twice \(1 alleles are\)"),
        (PLAIN + "1\t10\tG\tC\t0.7\n", r"1:10: rows disagree on REF \(A in mine, G in mine\)"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path, text, message):
    (tmp_path / "mine.tsv").write_text(text)
    with pytest.raises(TableError, match=message):
        read_mpra([tmp_path / "mine.tsv"])


def test_files_that_cannot_be_read(tmp_path):
    (tmp_path / "cut.tsv.gz").write_bytes(gzip.compress(PLAIN.encode() * 1000)[:-20])
    (tmp_path / "binary.tsv").write_bytes(bytes(range(128, 256)))
    for name, message in {"none.tsv": "no such file", "cut.tsv.gz": "is it whole", "binary.tsv": "cannot be read",
                          "": "cannot be read"}.items():  # fmt: skip
        with pytest.raises(TableError, match=message):
            read_mpra([tmp_path / name])
