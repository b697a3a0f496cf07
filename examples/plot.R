# Draws a track of a file of scores: how large its scores are, and where the large ones stand.
#     Rscript plot.R scores.parquet SIM_CTCF [scores.png]      (or scores.pdf)

arguments <- commandArgs(trailingOnly = TRUE)
track <- arguments[2]
output <- if (length(arguments) > 2) arguments[3] else "scores.png"

columns <- c("chrom", "pos", "id", "ref", "alt", "status", track)
scores <- as.data.frame(nanoparquet::read_parquet(arguments[1], col_select = columns)) # or arrow::read_parquet
scores <- scores[scores$status == "scored", ]
sad <- scores[[track]]
indel <- nchar(scores$ref) != nchar(scores$alt)
colour <- ifelse(indel, "#E69F00", "#0072B2")

if (grepl("\\.pdf$", output)) {
  pdf(output, width = 7, height = 2.8, pointsize = 8)
} else {
  png(output, width = 7, height = 2.8, units = "in", res = 200, pointsize = 8)
}
layout(matrix(1:2, 1), widths = c(2, 5))
par(mar = c(4, 4, 2, 1), mgp = c(2.4, 0.7, 0), las = 1, bty = "l")

hist(sad, breaks = 40, col = "grey60", border = NA, main = "", xlab = paste("SAD,", track), ylab = "alleles")

# Chromosomes beside each other, each from its first to its last allele.
chromosome <- factor(scores$chrom, unique(scores$chrom))
first <- tapply(scores$pos, chromosome, min)
width <- tapply(scores$pos, chromosome, max) - first
gap <- if (length(width) > 1) 0.02 * sum(width) else 0
x <- scores$pos + (if (gap > 0) (cumsum(width + gap) - width - first)[chromosome] else 0)
plot(x / 1e6, sad, pch = 20, col = colour, xaxt = if (gap > 0) "n" else "s", ylab = "SAD",
     xlab = if (gap > 0) "" else paste0(levels(chromosome), ", Mb"), panel.first = abline(h = 0, col = "grey60"))
if (gap > 0) axis(1, tapply(x, chromosome, function(here) mean(range(here))) / 1e6, levels(chromosome), tick = FALSE)
strongest <- head(order(abs(sad), decreasing = TRUE), 3)
name <- ifelse(is.na(scores$id), paste0(scores$chrom, ":", scores$pos), scores$id)
side <- ifelse(x[strongest] > mean(range(x)), 2, 4)
text(x[strongest] / 1e6, sad[strongest], name[strongest], pos = side, cex = 0.9, xpd = NA)
legend("topleft", c("indel", "other"), pch = 20, col = c("#E69F00", "#0072B2"), bty = "n", horiz = TRUE,
       inset = c(0, -0.13), xpd = NA)
invisible(dev.off())
