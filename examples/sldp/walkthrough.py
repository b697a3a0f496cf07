"""From genotypes to signed annotations and quantiles, from Python: `python walkthrough.py VCF FASTA FOLDER [REGION]`.

VCF: genotypes, or any with INFO/AF. FASTA: its reference. The README beside this file does the same with commands.
"""

import logging
import sys
from pathlib import Path

import pandas as pd
import pysam

from varscore import score_vcf
from varscore.analysis.background import make_background, write_quantiles
from varscore.analysis.sldp import write_annotations

logging.basicConfig(format="varscore: %(message)s")
vcf, fasta, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
region = sys.argv[4] if len(sys.argv) > 4 else "chr22:20,100,001-20,140,000"
folder.mkdir(exist_ok=True)

# 1. Scores of the SNPs of a region. Shared windows, since they are near each other.
scores = folder / "scores.parquet"
summary = score_vcf(vcf, fasta, scores, model="enformer-tiny", window="shared", regions=[region])
print(f"{summary.scored} alleles scored on {summary.tracks} tracks")

# 2. The reference panel's .bim. PLINK makes it with the .bed: plink1.9 --vcf VCF --make-bed --out panel.22
panel = folder / "panel.22.bim"
with pysam.VariantFile(vcf) as records, panel.open("w") as bim:
    for record in records:
        rarer, other = (record.ref, record.alts[0])[:: 1 if record.info["AC"][0] > record.info["AN"] / 2 else -1]
        print(record.chrom.removeprefix("chr"), record.id, 0, record.pos, rarer, other, sep="\t", file=bim)

# 3. The annotation: a row for each SNP of the panel.
written = write_annotations(scores, folder / "panel.@.bim", f"{folder}/annotation/", overwrite=True)
for chrom, counts in written.counts.items():
    print(f"chromosome {chrom}: {counts.snps} SNPs in the panel")
    print("\n".join(f"  {number:5} {fate}" for fate, number in counts.fates.items() if number))
    print(f"  of those matched, {counts.swapped} have A1 and A2 swapped")

# 4. What sldp makes of it: gprim, its reader, gives the score of the panel's A1, whichever allele that is.
try:
    from gprim.annotation import reconciled_to  # pip install --no-deps gprim==0.23 ypy==0.2
except ImportError as error:
    print(f"not read back: {error}")
else:
    annotation = pd.read_csv(folder / "annotation/22.sannot.gz", sep="\t")
    snps = pd.read_csv(panel, sep="\t", names=["CHR", "SNP", "CM", "BP", "A1", "A2"])
    read = reconciled_to(snps, annotation, ["SIM_DNASE"])
    print(read[read["SIM_DNASE"] != 0].head(3).to_string(index=False))

# 5. How unusual is a score? Where it stands among those of common SNPs.
make_background(scores, folder / "background.parquet", vcf=vcf, maf=0.05, overwrite=True)
write_quantiles(scores, folder / "background.parquet", folder / "ranked.parquet", overwrite=True)
ranked = pd.read_parquet(folder / "ranked.parquet", columns=["id", "ref", "alt", "SIM_CTCF", "SAD_quantile:SIM_CTCF"])
print("enformer-tiny was trained on a simulation and carries no biology")
print(ranked.sort_values("SAD_quantile:SIM_CTCF", key=abs, ascending=False).head(5).to_string(index=False))
