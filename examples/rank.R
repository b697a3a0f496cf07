# Prints the variants and tracks that stand out in a file of scores. The descriptions of the tracks come from a table:
#     varscore tracks --model enformer-tiny > tracks.tsv
#     Rscript rank.R scores.parquet tracks.tsv [HOW_MANY]

arguments <- commandArgs(trailingOnly = TRUE)
how_many <- if (length(arguments) > 2) as.integer(arguments[3]) else 10

scores <- as.data.frame(nanoparquet::read_parquet(arguments[1])) # or arrow::read_parquet
scores <- scores[scores$status == "scored", ]

tracks <- read.delim(arguments[2], header = FALSE, quote = "", col.names = c("index", "track", "description"))
tracks <- tracks[tracks$track %in% names(scores), ]
sad <- as.matrix(scores[tracks$track])

# Tracks differ in depth and units: divided by its standard deviation over the variants, each has the same scale. The
# file's variants are the background: the more, the better. Indels move more than SNVs, so each kind has its own.
# By rank within the track instead: ave(abs(x), indel, FUN = function(y) rank(y) / length(y))
indel <- nchar(scores$ref) != nchar(scores$alt)
scaled <- sad / apply(sad, 2, function(x) ave(x, indel, FUN = sd))

# Pairs of variant and track, the strongest first.
strongest <- head(order(abs(scaled), decreasing = TRUE), how_many)
variant <- row(scaled)[strongest]
track <- col(scaled)[strongest]

table <- cbind(
  scores[variant, c("chrom", "pos", "id", "ref", "alt")],
  track = tracks$track[track],
  SAD = sprintf("%+.2f", sad[strongest]),
  "in SD" = sprintf("%+.2f", scaled[strongest]),
  description = tracks$description[track]
)
options(width = 200)
print(table, row.names = FALSE)
