"""Variants of two sources are the same whatever they are called and however they are spelled."""

import numpy as np
import pandas as pd
import pytest

from tests.analysis.eqtl_cases import write_scores
from varscore.analysis.join import join, take_scores, turns
from varscore.errors import TableError
from varscore.store import table as store


def frame(*variants: tuple[object, ...]) -> pd.DataFrame:
    return pd.DataFrame(list(variants), columns=["chrom", "pos", "ref", "alt", "gene_id"][: len(variants[0])])


THERE = frame(
    ("chr1", 100, "A", "G"),
    ("chr1", 200, "C", "CTT"),
    ("chr1", 300, "GA", "G"),
    ("chrM", 50, "T", "C"),
    ("chr2", 100, "A", "<DEL>"),
    ("chr1", 400, "A", "T"),
    ("chr1", 400, "A", "T"),
    ("chr1", 500, "AC", "GT"),
)


@pytest.fixture
def table(tmp_path):
    return write_scores(tmp_path / "s.parquet", THERE, np.arange(16.0).reshape(8, 2))


@pytest.mark.parametrize(
    ("variant", "row", "flipped"),
    [
        (("1", 100, "A", "G"), 0, False),
        (("chr1", 100, "a", "g"), 0, False),
        (("chr1", 100, "G", "A"), 0, True),
        (("chr1", 99, "TA", "TG"), 0, False),
        (("chr1", 99, "TG", "TA"), 0, True),
        (("chr1", 200, "C", "CTT"), 1, False),
        (("1", 200, "CAC", "CTTAC"), 1, False),
        (("chr1", 300, "G", "GA"), -1, False),  # an insertion there may be another variant
        (("MT", 50, "T", "C"), 3, False),
        (("chr2", 100, "A", "<DEL>"), 4, False),
        (("chr1", 400, "A", "T"), 5, False),
        (("chr1", 500, "GT", "AC"), 7, True),
        (("chr1", 101, "A", "G"), -1, False),
        (("chr1", 100, "A", "C"), -1, False),
        (("chr11", 100, "A", "G"), -1, False),
    ],
)
def test_a_variant_is_found(table, variant, row, flipped):
    anchor = ("chr1", 500, "AC", "GT")  # so that there is always one
    joined = join(table, frame(variant, anchor))
    assert (joined.row.tolist(), joined.flipped.tolist()) == ([row, 7], [flipped, False])


def test_what_was_found_is_counted_and_said(table):
    wanted = frame(("1", 100, "G", "A"), ("1", 300, "G", "GA"), ("1", 400, "A", "T"), ("1", 9, "A", "T"))
    joined = join(table, wanted)
    assert (joined.missing, joined.flipped.sum(), joined.ambiguous, joined.repeated) == (2, 1, 1, 1)
    assert joined.describe("effects") == (
        "2 of 4 effects are in the scores, 1 with REF and ALT exchanged, 1 indels left out, whose exchanged alleles "
        "may be another variant, 1 there more than once, where the first counts"
    )


def test_nothing_in_common_is_an_error_with_examples_of_both(table):
    with pytest.raises(TableError, match=r"none of the 1 variants.*it has chr1 100 A G.*such as chr7 5 A T.*build"):
        join(table, frame(("chr7", 5, "A", "T")))


def test_genes_are_joined_whatever_their_version(tmp_path):
    there = frame(
        ("chr1", 100, "A", "G", "ENSG00000000001.4"),
        ("chr1", 100, "A", "G", "ENSG00000000002.1"),
        ("chr1", 100, "A", "G", "ENSG00000000003.1_PAR_Y"),
    )
    table = write_scores(tmp_path / "genes.parquet", there, np.zeros((3, 1)))
    wanted = frame(
        ("1", 100, "A", "G", "ENSG00000000002.17"),
        ("1", 100, "G", "A", "ENSG00000000001"),
        ("1", 100, "A", "G", "ENSG00000000003"),
        ("1", 100, "A", "G", "ENSG00000000009"),
    )
    joined = join(table, wanted, genes=True)
    assert (joined.row.tolist(), joined.flipped.tolist()) == ([1, 0, -1, -1], [False, True, False, False])


def test_rows_are_taken_in_any_order_and_more_than_once(table, monkeypatch):
    columns = table.select()
    everything = table.scores(columns)
    for batch_bytes in (8, 64 * 2**20):  # a row at a time, and all at once
        monkeypatch.setattr(store, "BATCH_BYTES", batch_bytes)
        for rows in ([0, 3, 7], [7, 0, 0, 3], []):
            np.testing.assert_array_equal(take_scores(table, columns, np.array(rows, int)), everything[rows])


def test_a_table_of_genes_needs_genes(tmp_path):
    """Else an allele's scores would be those of whichever gene comes first."""
    alleles = frame(("chr1", 5, "A", "G")).assign(gene_id="E1")
    table = write_scores(tmp_path / "s.parquet", alleles, np.ones((1, 1)))
    with pytest.raises(TableError, match="a table of genes: give the one with a row for each allele"):
        join(table, alleles)


@pytest.mark.parametrize(
    ("statistic", "second"), [("SAD", -1), ("logSAD@501", -1), ("SAD_quantile", -1), ("JS", 1), ("D2@501_quantile", 1)]
)
def test_only_what_has_a_sign_is_turned(statistic, second):
    assert turns(statistic, np.array([False, True])).tolist() == [1, second]


def test_one_alleles_prediction_is_not_that_of_the_other():
    assert turns("REF", np.array([False])).tolist() == [1]
    with pytest.raises(TableError, match="1 variants have REF and ALT exchanged in the scores, where ALT@501 is of"):
        turns("ALT@501", np.array([False, True]))
