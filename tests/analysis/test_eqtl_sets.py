"""Who is a positive and who a negative, and whether negatives resemble positives."""

import numpy as np
import pandas as pd
import pytest

from varscore.analysis.eqtl_sets import (
    Criteria,
    chosen_table,
    chosen_vcf,
    match_negatives,
    sets_from_lists,
    sets_from_table,
)
from varscore.analysis.variant_table import read_variant_table
from varscore.errors import OptionError, TableError

HEADER = "variant\ttissue\tgene_id\tpip\tz\tmaf"
ROWS = """
chr1_100_A_G	liver	ENSG1.1	0.95	9	0.3
chr1_100_A_G	liver	ENSG2.1	0.002	1	0.3
chr1_200_A_G	liver	ENSG1.1	0.002	5	0.3
chr1_300_A_G	liver	ENSG1.1	0.004	1	0.1
chr1_400_A_G	liver	ENSG1.1	0.5	6	0.1
chr1_500_A_G	liver	ENSG2.1	0.001	-7	0.2
chr1_500_A_G	liver	ENSG1.1	0.3	-7	0.2
chr1_600_A_G	liver	ENSG2.1	NA	8	0.2
chr1_300_A_G	blood	ENSG1.1	0.97	8	0.1
chr1_700_A_G	blood	ENSG2.1	0.0001	4	0.1
chr1_800_A_G	brain	ENSG2.1	0.0001	4	0.1
""".strip()


def table(folder, rows=ROWS, header=HEADER):
    (folder / "t.tsv").write_text(f"{header}\n{rows}\n")
    return folder / "t.tsv"


def members(chosen: pd.DataFrame) -> dict[str, tuple[list[int], list[int]]]:
    return {
        str(tissue): (sorted(group["pos"][group["positive"]]), sorted(group["pos"][~group["positive"]]))
        for tissue, group in chosen.groupby("tissue")
    }


def test_the_highest_pip_of_a_variant_in_a_tissue_counts(tmp_path, caplog):
    chosen = sets_from_table(table(tmp_path), Criteria())
    assert members(chosen) == {"liver": ([100], [200, 300]), "blood": ([300], [700])}
    assert "brain is left out: 0 positives, 1 negatives" in caplog.text


def test_thresholds_and_z(tmp_path):
    path = table(tmp_path)
    assert members(sets_from_table(path, Criteria(positive_pip=0.4)))["liver"][0] == [100, 400]
    assert members(sets_from_table(path, Criteria(negative_pip=0.35)))["liver"][1] == [200, 300, 500]
    assert members(sets_from_table(path, Criteria(negative_z=4)))["liver"][1] == [200]
    assert members(sets_from_table(path, Criteria(negative_pip=0.35, negative_z=7)))["liver"][1] == [500]


def test_a_variant_spelled_twice_is_one(tmp_path):
    rows = "chr1_100_A_G\tt\tG\t0.99\t1\t0\n1_99_CA_CG\tt\tG\t0.001\t1\t0\n1_5_A_G\tt\tG\t0.001\t1\t0"
    assert members(sets_from_table(table(tmp_path, rows), Criteria())) == {"t": ([100], [5])}


def test_what_was_chosen_is_read_again_as_it_is(tmp_path):
    chosen = sets_from_table(table(tmp_path), Criteria(match=("maf",), per_positive=2))
    chosen_table(chosen).to_csv(tmp_path / "chosen.tsv", sep="\t", index=False)
    again = sets_from_table(tmp_path / "chosen.tsv", Criteria())
    assert members(again) == members(chosen)
    (tmp_path / "chosen.vcf").write_text(chosen_vcf(chosen))
    assert list(read_variant_table(tmp_path / "chosen.vcf")["pos"]) == [100, 200, 300, 700]


def test_the_vcf_is_sorted_and_each_variant_is_once():
    rows = [("chr10", 5), ("chr2", 9), ("chrX", 1), ("chr2", 3), ("chr2", 9)]
    chosen = pd.DataFrame([(c, p, "A", "G", "t", True) for c, p in rows])
    chosen.columns = ["chrom", "pos", "ref", "alt", "tissue", "positive"]
    lines = chosen_vcf(chosen).splitlines()
    assert lines[0] == "##fileformat=VCFv4.2"
    assert [line.split("\t")[:2] for line in lines if line[0] != "#"] == [
        ["chr2", "3"], ["chr2", "9"], ["chr10", "5"], ["chrX", "1"],
    ]  # fmt: skip


def test_lists_by_tissue_and_without(tmp_path, caplog):
    vcf = "##fileformat=VCFv4.2\n##contig=<ID=1>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    for name, positions in {"lp": [1, 2], "ln": [2, 3, 4], "bp": [5], "bn": [6]}.items():
        text = vcf + "".join(f"1\t{pos}\t.\tA\tG\t.\t.\t.\n" for pos in positions)
        (tmp_path / f"{name}.vcf").write_text(text)
    positives = {"liver": tmp_path / "lp.vcf", "blood": tmp_path / "bp.vcf"}
    negatives = {"liver": tmp_path / "ln.vcf", "blood": tmp_path / "bn.vcf"}
    chosen = sets_from_lists(positives, negatives, Criteria())
    assert members(chosen) == {"liver": ([1, 2], [3, 4]), "blood": ([5], [6])}
    assert "1 variants are among positives and negatives" in caplog.text
    few = sets_from_lists({"all": tmp_path / "lp.vcf"}, {"all": tmp_path / "ln.vcf"}, Criteria(per_positive=1, seed=3))
    assert len(members(few)["all"][1]) == 2
    with pytest.raises(OptionError, match="no positives or no negatives of blood"):
        sets_from_lists(positives, {"liver": tmp_path / "ln.vcf"}, Criteria())
    with pytest.raises(TableError, match="is a VCF and has no maf"):
        sets_from_lists(positives, negatives, Criteria(match=("maf",)))


def test_negatives_are_matched_by_gene_first_then_by_numbers():
    positives = pd.DataFrame({"gene_id": ["ENSG1.1", "ENSG2.1"], "maf": [0.3, 0.1], "distance": [0, 5000]})
    negatives = pd.DataFrame(
        {
            "gene_id": ["ENSG1.9", "ENSG1.9", "ENSG2", "ENSG2", "ENSG3", "ENSG3"],
            "maf": [0.31, 0.05, 0.4, 0.11, 0.3, 0.1],
            "distance": [100, 100, 5000, 5100, 0, 5000],
        }
    )
    taken = match_negatives(positives, negatives, 1, np.random.default_rng(0))
    assert taken.tolist() == [0, 3]
    assert match_negatives(positives, negatives, 2, np.random.default_rng(0)).tolist() == [0, 1, 2, 3]
    everyone = match_negatives(positives, negatives, 9, np.random.default_rng(0))
    assert everyone.tolist() == [0, 1, 2, 3, 4, 5]


def test_matching_takes_the_difference_away():
    """Negatives are commoner and farther than positives; those that are taken are not."""
    rng = np.random.default_rng(5)
    positives = pd.DataFrame({"maf": rng.beta(1, 5, 200) / 2, "distance": rng.normal(0, 5_000, 200)})
    negatives = pd.DataFrame({"maf": rng.beta(1, 1, 20_000) / 2, "distance": rng.normal(0, 50_000, 20_000)})
    taken = negatives.iloc[match_negatives(positives, negatives, 1, rng)]
    assert len(taken) == 200
    for column in ("maf", "distance"):
        before = negatives[column].abs().mean() / positives[column].abs().mean()
        assert before > 2
        assert taken[column].abs().mean() / positives[column].abs().mean() == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    ("header", "rows", "criteria", "message"),
    [
        ("variant\tz", "1_5_A_G\t1", Criteria(), r"neither a label .* nor a PIP"),
        (HEADER.replace("\tz", "\tq"), ROWS, Criteria(negative_z=4), r"no z to ask \|z\| ≥ 4"),
        (HEADER, ROWS, Criteria(match=("tss",)), r"no column for tss.*--column tss="),
        (HEADER, ROWS, Criteria(positive_pip=0.99), r"no tissue has both.*above 0.99 and below 0.01"),
        ("variant\tlabel", "1_5_A_G\t1\n1_6_A_G\tyes", Criteria(), r"line 3: label is 'yes', expected 1 or 0"),
        ("variant\tlabel", "1_5_A_G\t1\n1_6_A_G\t1", Criteria(), r"no tissue has both positives and negatives$"),
    ],
)
def test_what_cannot_be_chosen_is_said(tmp_path, header, rows, criteria, message):
    with pytest.raises(TableError, match=message):
        sets_from_table(table(tmp_path, rows, header), criteria)


def test_criteria_check_themselves():
    with pytest.raises(OptionError, match="0 ≤ negative ≤ positive ≤ 1"):
        Criteria(positive_pip=0.01, negative_pip=0.5)
