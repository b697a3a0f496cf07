"""Tables of variants in the forms that people have them in, and those that are wrong."""

import gzip

import pandas as pd
import pytest

from varscore.analysis.variant_table import read_variant_table
from varscore.errors import TableError

PLAIN = "chrom\tpos\tref\talt\tpip\nchr1\t100\tA\tg\t0.95\n1\t2000\tAT\tA\t0.001\n"
VARIANTS = [("chr1", 100, "A", "G"), ("1", 2000, "AT", "A")]


def variants(frame: pd.DataFrame) -> list[tuple[str, int, str, str]]:
    return list(frame[["chrom", "pos", "ref", "alt"]].itertuples(index=False, name=None))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("tabs.tsv", PLAIN),
        ("commas.csv", PLAIN.replace("\t", ",")),
        ("blanks.txt", PLAIN.replace("\t", "  ")),
        ("windows.tsv", PLAIN.replace("\n", "\r\n")),
        ("bed_like.tsv", "#" + PLAIN),
        ("upper.tsv", PLAIN.replace("chrom\tpos\tref\talt\tpip", "CHROM\tPOS\tREF\tALT\tPIP")),
        ("gtex.tsv", "variant_id\tpip\nchr1_100_A_g_b38\t0.95\n1_2000_AT_A_b38\t0.001\n"),
        ("catalogue.tsv", "gene_id\tvariant\tpip\nENSG1\tchr1_100_A_G\t0.95\nENSG1\t1_2000_AT_A\t0.001\n"),
        ("colons.tsv", "variant\tpip\nchr1:100:A:G\t0.95\n1:2000:AT>A\t0.001\n"),
        (
            "release.tsv",
            "chromosome\tstart\tend\tvariant\tvariant_hg38\tpip\n"
            "chr1\t89\t90\t1:90:A:G\tchr1_100_A_G_b38\t0.95\nchr1\t1\t2\t1:2:C:T\t1_2000_AT_A_b38\t0.001\n",
        ),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_forms_of_tables(tmp_path, name, text, packed):
    path = tmp_path / (name + ".gz" * packed)
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    frame = read_variant_table(path, ("pip",))
    assert variants(frame) == VARIANTS
    assert list(frame["pip"]) == [0.95, 0.001]


def test_contigs_with_underscores_and_columns_under_any_name(tmp_path):
    path = tmp_path / "t.tsv"
    path.write_text("snp\tslope\tmy_beta\nchr1_KI270706v1_random_100_A_G_b38\t1\t-2\n")
    frame = read_variant_table(path, ("effect",), columns={"variant": "snp", "effect": "my_beta"})
    assert variants(frame) == [("chr1_KI270706v1_random", 100, "A", "G")]
    assert list(frame["effect"]) == [-2]
    assert list(read_variant_table(path, ("effect",), columns={"variant": "snp"})["effect"]) == [1]


def test_a_vcf_is_a_table_with_a_row_for_each_alt(tmp_path):
    path = tmp_path / "in.vcf"
    path.write_text(
        "##fileformat=VCFv4.2\n##contig=<ID=chr1>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
        "chr1\t100\t.\tA\tG,T\t.\t.\t.\n"
    )
    assert variants(read_variant_table(path)) == [("chr1", 100, "A", "G"), ("chr1", 100, "A", "T")]
    with pytest.raises(TableError, match=r"is a VCF and has no maf"):
        read_variant_table(path, ("maf",))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no header"),
        ("chrom\tpos\tref\talt\tpip\n", "header and no rows"),
        ("rsid\tpip\nrs1\t0.1\n", "no column for chrom, pos, ref and alt: its columns are rsid, pip"),
        (PLAIN.replace("pip", "prob_x"), r"no column for pip.*--column pip="),
        (PLAIN.replace("0.001", "high"), r"line 3: pip is 'high', not a number"),
        (PLAIN.replace("2000", "2k"), r"line 3: pos is '2k', not a number"),
        (PLAIN.replace("2000", ""), r"line 3: pos is missing"),
        ("variant_id\tpip\nchr1_100_A_G\t1\nrs7\t1\n", r"line 3: 'rs7' names no variant"),
        (PLAIN + "chr1\t5\tA\n", r"line 4: alt is missing"),
        (PLAIN.replace("\nchr1\t", "\n1\tchr1\t"), r"line 2: 6 columns, and the header names 5"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, text, message):
    path = tmp_path / "t.tsv"
    path.write_text(text)
    with pytest.raises(TableError, match=message):
        read_variant_table(path, ("pip",))


def test_files_that_are_not_there_or_no_text_or_cut_off(tmp_path):
    with pytest.raises(TableError, match="no such file"):
        read_variant_table(tmp_path / "none.tsv")
    (tmp_path / "bytes.tsv").write_bytes(b"\xff\xfe\x00\x81" * 40)
    with pytest.raises(TableError, match="cannot be read as text"):
        read_variant_table(tmp_path / "bytes.tsv")
    whole = gzip.compress((PLAIN + "1\t3\tA\tG\t0.5\n" * 5000).encode())
    (tmp_path / "cut.tsv.gz").write_bytes(whole[:-30])
    with pytest.raises(TableError, match="cannot be read"):
        read_variant_table(tmp_path / "cut.tsv.gz")
    (tmp_path / "t.tsv").write_text(PLAIN)
    with pytest.raises(TableError, match="no column 'nothing'"):
        read_variant_table(tmp_path / "t.tsv", columns={"pip": "nothing"})
