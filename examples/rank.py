"""Prints the variants and tracks that stand out in a file of scores: `python rank.py [scores.parquet [HOW_MANY]]`."""

import sys

import pandas as pd
import pyarrow.parquet as pq

path = sys.argv[1] if len(sys.argv) > 1 else "scores.parquet"
how_many = int(sys.argv[2]) if len(sys.argv) > 2 else 10

scores = pd.read_parquet(path)
scores = scores[scores["status"] == "scored"]

# Columns of tracks are those with a description.
described = {field.name: (field.metadata or {}).get(b"description") for field in pq.read_schema(path)}
descriptions = {name: text.decode() for name, text in described.items() if text is not None}
sad = scores[list(descriptions)]

# Tracks differ in depth and units: divided by its standard deviation over the variants, each has the same scale. The
# file's variants are the background: the more, the better. Indels move more than SNVs, so each kind has its own.
# By rank within the track instead: scaled = sad.abs().groupby(indel).rank(pct=True)
indel = scores["ref"].str.len() != scores["alt"].str.len()
scaled = sad / sad.groupby(indel).transform("std")

# One row for each pair of variant and track, the strongest first.
pairs = scaled.rename_axis(index="row", columns="track").stack().rename("SD").reset_index()
pairs = pairs.sort_values("SD", key=abs, ascending=False).head(how_many)

table = scores.loc[pairs["row"], ["chrom", "pos", "id", "ref", "alt"]].reset_index(drop=True)
table["track"] = pairs["track"].to_numpy()
table["SAD"] = [sad.at[row, track] for row, track in zip(pairs["row"], pairs["track"], strict=True)]
table["in SD"] = pairs["SD"].to_numpy()
table["description"] = table["track"].map(descriptions)
print(table.to_string(index=False, float_format="{:+.2f}".format))
