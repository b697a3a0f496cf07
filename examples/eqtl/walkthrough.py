"""From genotypes and expression to an answer: can scores tell causal eQTLs from others, and do they have their sign?

    python examples/eqtl/walkthrough.py GENOTYPES.vcf.gz EXPRESSION.bed.gz GENOME.fa FOLDER

Associates, fine-maps, chooses positives and matched negatives, scores them, classifies, correlates, and draws the ROC
curves. README.md beside this file explains each step.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import pysam
from scipy import stats

from varscore import score_vcf
from varscore.analysis.caution import caution
from varscore.analysis.eqtl import Validation, classify
from varscore.analysis.eqtl_sets import Criteria, chosen_vcf, sets_from_table
from varscore.analysis.eqtl_signed import read_effects, signed
from varscore.plots.roc import draw_roc
from varscore.store.table import ScoreTable

CIS = 100_000  # bp on both sides of a TSS in which variants are tested
PRIOR_VARIANCE = 0.15**2  # of the effect of one allele, in standard deviations of expression, as in coloc
FEWEST = 0.05  # Bonferroni-corrected p below which a gene has an eQTL


def read_genotypes(path: str, people: list[str]) -> tuple[pd.DataFrame, np.ndarray]:
    """The biallelic SNVs of a VCF, and how many ALT alleles each person has: [variants, people], NaN where missing."""
    rows, dosages = [], []
    with pysam.VariantFile(path) as vcf:
        vcf.subset_samples(people)
        for record in vcf:
            if len(record.alleles or ()) == 2 and all(len(allele) == 1 for allele in record.alleles):
                calls = (record.samples[person]["GT"] for person in people)
                dosages.append([np.nan if None in call else sum(call) for call in calls])
                rows.append((record.chrom, record.pos, *record.alleles))
    return pd.DataFrame(rows, columns=["chrom", "pos", "ref", "alt"]), np.array(dosages, float)


def normal_scores(values: np.ndarray) -> np.ndarray:
    """Each row's ranks as quantiles of the normal distribution: few outliers, and the same scale for every gene."""
    return stats.norm.ppf((stats.rankdata(values, axis=-1) - 0.5) / values.shape[-1])


def associate(dosages: np.ndarray, expression: np.ndarray) -> pd.DataFrame:
    """Linear regression of one gene's expression [people] on each variant [variants, people]: beta, se, z (t) and p."""
    people = len(expression)
    mean = np.nanmean(dosages, axis=1, keepdims=True)
    x = np.where(np.isnan(dosages), mean, dosages) - mean  # who has no call has the mean
    y = expression - expression.mean()
    spread = (x**2).sum(axis=1)
    beta = x @ y / spread
    residual = ((y - beta[:, None] * x) ** 2).sum(axis=1)
    se = np.sqrt(residual / (people - 2) / spread)
    return pd.DataFrame({"beta": beta, "se": se, "z": beta / se, "p": 2 * stats.t.sf(abs(beta / se), people - 2)})


def inclusion_probabilities(beta: np.ndarray, se: np.ndarray) -> np.ndarray:
    """How probable it is that each variant is the one that is causal, if one is (Wakefield's Bayes factors, 2009)."""
    shrink = PRIOR_VARIANCE / (PRIOR_VARIANCE + se**2)
    log_factor = (np.log(1 - shrink) + shrink * (beta / se) ** 2) / 2
    factor = np.exp(log_factor - log_factor.max())
    return factor / factor.sum()


def fine_map(genotypes: str, expression: str) -> pd.DataFrame:
    """Fine-mapped eQTLs, as GTEx's tables are: a row for each variant near each gene that has an eQTL."""
    genes = pd.read_csv(expression, sep="\t").rename(columns={"#chr": "chrom", "gene": "gene_id"})
    people = list(genes.columns[6:])
    variants, dosages = read_genotypes(genotypes, people)
    frequency = np.nanmean(dosages, axis=1) / 2
    variants["maf"] = np.minimum(frequency, 1 - frequency)
    tables = []
    for gene in genes.itertuples():
        distance = variants["pos"] - gene.end  # the BED's end is the TSS, 1-based
        near = (variants["chrom"] == gene.chrom) & (distance.abs() <= CIS) & (variants["maf"] > 0)
        if not near.any():
            continue
        values = genes.loc[gene.Index, people].to_numpy(float)
        found = associate(dosages[near], normal_scores(values))
        if found["p"].min() * len(found) > FEWEST:
            continue
        found["pip"] = inclusion_probabilities(found["beta"].to_numpy(), found["se"].to_numpy())
        along = distance[near] if gene.strand == "+" else -distance[near]
        table = variants[near].assign(gene_id=gene.gene_id, distance=along, tissue="LCL").reset_index(drop=True)
        tables.append(pd.concat([table, found], axis=1))
    return pd.concat(tables, ignore_index=True)


def main() -> None:
    """Run every step, and write what each makes into the folder."""
    parser = argparse.ArgumentParser(description="A worked example of eQTL analysis with varscore.")
    parser.add_argument("genotypes", help="a VCF with genotypes")
    parser.add_argument("expression", help="a BED of QTLtools: chr, start, end, gene, length, strand, people")
    parser.add_argument("fasta", help="the genome that the variants were called on")
    parser.add_argument("folder", type=Path, help="where to write")
    parser.add_argument("--model", default="enformer-tiny")
    arguments = parser.parse_args()
    folder = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)

    # 1. Association and fine-mapping
    mapped = fine_map(arguments.genotypes, arguments.expression)
    mapped.to_csv(folder / "finemapped.tsv", sep="\t", index=False)
    print(f"{len(mapped):,} pairs of variant and gene, {mapped['gene_id'].nunique()} genes with an eQTL")

    # 2. Positives, and for each a negative of the same gene with a like frequency and distance. For GTEx: 0.9 and 0.01
    criteria = Criteria(positive_pip=0.02, negative_pip=0.001, match=("gene_id", "maf", "distance"))
    chosen = sets_from_table(folder / "finemapped.tsv", criteria)
    (folder / "chosen.vcf").write_text(chosen_vcf(chosen))
    print(f"{chosen['positive'].sum()} positives and {(~chosen['positive']).sum()} negatives")

    # 3. Scores
    score_vcf(
        folder / "chosen.vcf", arguments.fasta, folder / "scores.parquet", model=arguments.model, window="shared",
        overwrite=True,
    )  # fmt: skip
    scores = ScoreTable(folder / "scores.parquet")

    # 4. Can they be told apart?
    result = classify(scores, chosen, Validation(folds=4, repeats=5))  # published: 8 and 100
    result.summary().to_csv(folder / "auroc.tsv", sep="\t", index=False)
    result.tracks.to_csv(folder / "tracks.tsv", sep="\t", index=False)
    draw_roc(result.tissues, folder / "roc.png", caution(scores.run))
    print(result.summary().round(3).to_string(index=False))
    print(result.tracks.sort_values("importance", ascending=False).head(3).round(3).to_string(index=False))

    # 5. Do the scores have the effects' sign?
    correlations = signed(scores, read_effects(folder / "finemapped.tsv"))
    correlations.to_csv(folder / "signed.tsv", sep="\t", index=False)
    print(correlations.drop(columns="description").round(3).to_string(index=False))
    if note := caution(scores.run):
        print(f"Remember: {note}.")


if __name__ == "__main__":
    main()
