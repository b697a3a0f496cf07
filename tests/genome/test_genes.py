"""Genes from GTF and BED, and which of them a window's prediction reaches."""

import gzip

import pytest

from varscore.errors import TableError
from varscore.genome.genes import Gene, GeneIndex, read_genes
from varscore.genome.window_genes import WindowGenes

GTF = """##description: a few genes
chr22\tHAVANA\tgene\t101\t500\t.\t+\t.\tgene_id "ENSG1.1"; gene_type "protein_coding"; gene_name "AAA";
chr22\tHAVANA\ttranscript\t101\t500\t.\t+\t.\tgene_id "ENSG1.1"; transcript_id "T1"; gene_name "AAA";
chr22\tHAVANA\ttranscript\t151\t480\t.\t+\t.\tgene_id "ENSG1.1"; transcript_id "T2"; gene_name "AAA";
chr22\tHAVANA\texon\t151\t480\t.\t+\t.\tgene_id "ENSG1.1"; transcript_id "T2"; gene_name "AAA";
chr22\tHAVANA\ttranscript\t101\t300\t.\t+\t.\tgene_id "ENSG1.1"; transcript_id "T3"; gene_name "AAA";
chr22\tHAVANA\tgene\t601\t900\t.\t-\t.\tgene_id "ENSG2.1"; gene_type "lncRNA";
"""
GENES = [
    Gene("ENSG1.1", "AAA", "chr22", "+", (100, 150), 100, 500),
    Gene("ENSG2.1", "ENSG2.1", "chr22", "-", (899,), 600, 900),
]


def test_a_gtf_plain_and_compressed(tmp_path):
    (tmp_path / "genes.gtf").write_text(GTF)
    (tmp_path / "genes.gtf.gz").write_bytes(gzip.compress(GTF.encode()))
    assert read_genes(tmp_path / "genes.gtf") == read_genes(tmp_path / "genes.gtf.gz") == GENES


def test_a_bed_whose_lines_of_one_name_are_one_gene(tmp_path):
    rows = ["#chr\tstart\tend\tgene\tlength\tstrand\tHG1", "22\t100\t101\tA\t9\t+\t0.5", "22\t300\t400\tA\t9\t+\t0.5",
            "22\t500\t600\tB\t9\t-\t1"]  # fmt: skip
    (tmp_path / "genes.bed").write_text("\n".join(rows) + "\n")
    assert read_genes(tmp_path / "genes.bed") == [
        Gene("A", "A", "22", "+", (100, 300), 100, 400),
        Gene("B", "B", "22", "-", (599,), 500, 600),
    ]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("genes.gtf", "garbage\n", "is no GTF, or damaged"),
        ("genes.gtf", "chr22\tx\tgene\t1\t5\t.\t+\t.\tfoo\n", "is no GTF, or damaged"),
        ("genes.gtf", 'chr22\tx\tgene\ta\t5\t.\t+\t.\tgene_id "a";\n', "is no GTF, or damaged"),
        ("genes.gtf", 'chr22\tx\tgene\t1\t5\t.\t.\t.\tgene_id "a";\n', "strand None, expected"),
        ("genes.gtf", "##nothing\n", "holds no genes"),
        ("genes.bed", "chr22\t1\t2\tA\n", r"line 1: expected tab-separated .* found 'chr22\\t1"),
        ("genes.bed", "chr22\t1\tx\tA\t0\t+\n", "line 1: expected"),
        ("genes.gff3", "##gff-version 3\n", "GFF3 is not read"),
        ("genes.txt", "", "expected genes as a .gtf or .bed"),
        ("genes.gtf.gz", "\x1f\x8bdamaged", "genes cannot be read"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, name, text, message):
    (tmp_path / name).write_bytes(text.encode("latin-1"))
    with pytest.raises(TableError, match=message):
        read_genes(tmp_path / name)


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(TableError, match="genes cannot be read: No such file"):
        read_genes(tmp_path / "none.gtf")


def test_genes_are_found_by_their_tss_under_either_name_of_a_contig():
    index = GeneIndex(GENES)
    assert index.between("22", 0, 101) == [(GENES[0], [100])]
    assert index.between("chr22", 101, 900) == [(GENES[0], [150]), (GENES[1], [899])]
    assert index.between("chr22", 151, 899) == index.between("chr1", 0, 1_000) == []


def test_the_bins_of_a_window():
    """Predicted are the bins 2 to 5 of a window of 8 bins of 50 bp: from 0-based 100 after its start to 299."""
    genes = [
        Gene("P", "P", "z", "+", (1_100, 1_149, 1_150, 1_299), 1_100, 2_000),
        Gene("M", "M", "z", "-", (1_250,), 500, 1_251),
        Gene("far", "far", "z", "+", (1_099, 1_300), 1, 2),
    ]
    windows = WindowGenes(genes, crop=2, bins_out=4, bin_size=50)
    plus, minus = windows.of("z", 1_000)
    assert (plus.gene.gene_id, plus.tss, plus.bins) == ("P", (1_100, 1_149, 1_150, 1_299), (0, 1, 3))
    assert (minus.gene.gene_id, minus.tss, minus.bins) == ("M", (1_250,), (3,))
    assert plus.nearest(1_148) == (1_150, -2)  # upstream of it
    assert plus.nearest(1_152) == (1_151, 1)
    assert minus.nearest(1_200) == (1_251, 51)  # downstream of a gene on the minus strand
    assert minus.nearest(1_260) == (1_251, -9)
    flanked = WindowGenes(genes, crop=2, bins_out=4, bin_size=50, flank=1)
    assert [gene.bins for gene in flanked.of("z", 1_000)] == [(0, 1, 2, 3), (2, 3)]
    assert windows.of("z", 5_000) == windows.of("y", 1_000) == []
    assert [gene.gene.gene_id for gene in windows.of("z", 1_001)] == ["P", "M", "far"]
