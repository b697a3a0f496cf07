"""From a saturation mutagenesis to a figure, in Python: the whole way that examples/mpra/README.md walks.

    python examples/mpra/walkthrough.py elements.tsv.gz OUTPUT_FOLDER

The table is that of Kircher et al. (2019). Needs `pip install 'varscore[analysis]'`.
"""

import argparse
from pathlib import Path

from varscore import score_vcf
from varscore.analysis.mpra.correlate import correlate
from varscore.analysis.mpra.join import join_scores
from varscore.analysis.mpra.results import summary
from varscore.analysis.mpra.tables import count_elements, filter_rows, read_mpra
from varscore.analysis.mpra.variants import RebuiltElements, vcf_alleles
from varscore.plots.mpra import draw_correlations, draw_scatter
from varscore.plots.style import save, styled
from varscore.store.table import ScoreTable

ELEMENTS = ["HBB", "TERT-GBM", "TERT-HEK"]  # the promoter of TERT was measured in two kinds of cells
TRANSITIONS = {"AG", "GA", "CT", "TC"}


def main() -> None:
    """Read, rebuild, score, compare, draw."""
    parser = argparse.ArgumentParser(description="Holds scores against a saturation mutagenesis.")
    parser.add_argument("table", type=Path, help="elements.tsv.gz")
    parser.add_argument("folder", type=Path, help="where to write")
    arguments = parser.parse_args()
    folder = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)

    # 1. What was measured. Both genome builds are in the table: take one.
    measured = read_mpra([arguments.table]).of_build("GRCh38").of_elements(ELEMENTS)
    print(count_elements(measured).to_string(index=False))

    # 2. SNVs that 10 barcodes or more have measured. Of three at each position, one is enough to see how it works.
    rows = filter_rows(measured.rows, min_barcodes=10)
    rows = rows[(rows["ref"] + rows["alt"]).isin(TRANSITIONS)].reset_index(drop=True)

    # 3. The VCF to score, and a sequence to score it on. With hg38.fa at hand, use that and forget the rebuilt one.
    elements = RebuiltElements(rows)
    alleles = vcf_alleles(rows, elements)
    (folder / "variants.vcf").write_text(alleles.text())
    (folder / "elements.fa").write_text(elements.fasta())
    print(f"\n{len(rows)} measurements of {len(alleles.alleles)} alleles; the network will see:")
    for sequence in elements.sequences:
        print(f"  {sequence.name}  {sequence.bases[:40]}…")

    # 4. Score. Elements are short, so their variants share windows. One strand is half of the time.
    summarised = score_vcf(
        folder / "variants.vcf", folder / "elements.fa", folder / "scores.parquet", model="enformer-tiny",
        window="shared", rc=False, overwrite=True,
    )  # fmt: skip
    print(f"\n{summarised.scored} of {summarised.alleles} alleles scored")

    # 5. Compare, element by element. Say beforehand which track should do it: a mean of accessibility and CAGE.
    table = ScoreTable(folder / "scores.parquet")
    columns = table.select()
    beforehand = [i for i, column in enumerate(columns) if column.track.assay in ("DNASE", "CAGE")]
    joined = join_scores(rows, table, columns)
    results = list(correlate(joined, matched=dict.fromkeys(ELEMENTS, beforehand)))
    found = summary(results, columns)
    found.to_csv(folder / "results.tsv", sep="\t", index=False)
    print(f"\n{found.drop(columns='description').round(2).to_string(index=False, na_rep='–')}")

    # 6. Draw.
    with styled("the walk-through"):
        save(draw_correlations(found, table.run["model"]), folder / "correlations.png")
        save(draw_scatter(results, table.run["model"]), folder / "scatter.png")
    print(f"\n{folder / 'correlations.png'} and {folder / 'scatter.png'} drawn")
    print("enformer-tiny was trained on a simulation and carries no biology: nothing here is a finding")


if __name__ == "__main__":
    main()
