"""Saturation mutagenesis by massively parallel reporter assays (MPRA), held against scores."""
