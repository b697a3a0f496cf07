"""Makes the data of this folder from the example files of HISAT2.

    python examples/make_example.py 22_20-21M.fa 22_20-21M.snp examples

The FASTA is a part of chromosome 22. The .snp file has a variant allele a line: identifier; `single`, `deletion` or
`insertion`; contig; 0-based position; and the new base, the number of deleted bases, or the inserted bases. A deletion
begins at its position, an insertion stands before it. REF is not in the file: it comes from the FASTA.
"""

import argparse
from pathlib import Path

import pysam

CONTIG_LENGTH = 51_304_566  # of chromosome 22 in GRCh37

# For the quick start, chosen by hand: far from the extract's ends and its N, some close together, some SNVs that make
# or break a motif that enformer-tiny knows.
DEMO = """
rs111795946 rs145735203 rs175167 rs175168 rs2871052 rs2871053 rs560586592 rs9618747 rs144829478 rs75859816
rs9605096 rs36033784 rs7235 rs142800099 rs547549857 rs2266945 rs887022 rs77101095 rs146343607 rs2079099
rs7287307 rs386486036
"""


def read_fasta(path: Path) -> tuple[str, str]:
    """The name and the sequence of a FASTA file's only contig."""
    header, *lines = path.read_text().splitlines()
    return header[1:].split()[0], "".join(lines)


def vcf_alleles(kind: str, position: int, allele: str, sequence: str) -> tuple[int, str, str]:
    """A line of the .snp file as 0-based position, REF and ALT; as VCF wants it, indels begin with the base before."""
    if kind == "single":
        return position, sequence[position], allele
    before = sequence[position - 1]
    if kind == "deletion":
        return position - 1, sequence[position - 1 : position + int(allele)], before
    if kind == "insertion":
        return position - 1, before, before + allele
    raise ValueError(f"unknown type of variant: {kind}")


def make_records(snp_lines: list[str], sequence: str, first: int) -> list[tuple[int, str, str, str]]:
    """POS, ID, REF and ALT of every variant, sorted; the alleles of one variant share a record.

    Args:
        snp_lines: of the .snp file.
        sequence: the extract.
        first: the extract's first base in 1-based coordinates of its chromosome.
    """
    alts: dict[tuple[int, str, str], list[str]] = {}
    for line in snp_lines:
        name, kind, _, position, allele = line.split("\t")
        at, ref, alt = vcf_alleles(kind, int(position), allele, sequence)
        if ref == alt or not set(ref + alt) <= set("ACGT"):
            raise ValueError(f"{name} does not fit the FASTA: REF would be {ref} and ALT {alt}")
        alts.setdefault((first + at, name, ref), []).append(alt)
    return sorted((pos, name, ref, ",".join(alleles)) for (pos, name, ref), alleles in alts.items())


def make_vcf(records: list[tuple[int, str, str, str]]) -> str:
    """The text of a VCF."""
    header = [
        "##fileformat=VCFv4.2",
        "##source=dbSNP, as in the example files of HISAT2",
        "##reference=GRCh37",
        f"##contig=<ID=chr22,length={CONTIG_LENGTH},assembly=GRCh37>",
        "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO",
    ]
    lines = [f"chr22\t{pos}\t{name}\t{ref}\t{alt}\t.\t.\t." for pos, name, ref, alt in records]
    return "\n".join([*header, *lines]) + "\n"


def write_bgzip(path: Path, text: str) -> None:
    """Write compressed text that can be indexed."""
    with pysam.BGZFile(str(path), "w") as file:
        file.write(text.encode())


def main() -> None:
    """Write the FASTA, both VCFs and their indexes."""
    parser = argparse.ArgumentParser(description="Makes the example data of varscore from those of HISAT2.")
    parser.add_argument("fasta", type=Path, help="22_20-21M.fa")
    parser.add_argument("snp", type=Path, help="22_20-21M.snp")
    parser.add_argument("folder", type=Path, help="where to write")
    arguments = parser.parse_args()

    name, sequence = read_fasta(arguments.fasta)
    name = f"chr{name.removeprefix('chr')}"  # as the VCF calls the chromosome
    first = int(name.split(":")[1].split("-")[0])
    records = make_records(arguments.snp.read_text().splitlines(), sequence, first)

    arguments.folder.mkdir(parents=True, exist_ok=True)
    fasta, vcf = arguments.folder / "chr22.fa.gz", arguments.folder / "chr22.vcf.gz"
    lines = [sequence[i : i + 60] for i in range(0, len(sequence), 60)]
    write_bgzip(fasta, "\n".join([f">{name}", *lines]) + "\n")
    pysam.faidx(str(fasta))
    write_bgzip(vcf, make_vcf(records))
    pysam.tabix_index(str(vcf), preset="vcf", force=True)
    demo = [record for record in records if record[1] in DEMO.split()]
    (arguments.folder / "demo.vcf").write_text(make_vcf(demo))


if __name__ == "__main__":
    main()
