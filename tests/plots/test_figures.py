"""Figures: what stands in them, that it can be read, and that it is where the numbers say."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from tests.made_table import made_table
from varscore.analysis.predict import VariantPrediction
from varscore.analysis.saturation import read_saturation
from varscore.analysis.strongest import survey_scores
from varscore.errors import ExtraError, OutputError, TableError
from varscore.genome.genes import Gene
from varscore.genome.variant import Variant
from varscore.network.tracks import Track
from varscore.plots.distribution import draw_distribution
from varscore.plots.saturation import draw_letters, draw_saturation
from varscore.plots.style import DOUBLE, check_figure, fitted, rendered, save, shortened, styled
from varscore.plots.tracks import draw_tracks
from varscore.plots.variant import MOST_LANES, draw_variant
from varscore.store.scores import check_new_file
from varscore.store.table import ScoreTable

pytest.importorskip("matplotlib")

LONG = "hematopoietic multipotent progenitor cell treated with erythropoietin for 20 days, hydrocortisone, MMMMMMM"


@pytest.fixture(autouse=True)
def _styled():
    with styled("the tests"):
        yield


def prediction(tracks=2, model="enformer-tiny", variant=None):
    rng = np.random.default_rng(0)
    ref = rng.gamma(1, size=(896, tracks)).astype(np.float32)
    alt = ref.copy()
    alt[447:449] += 3
    alt[449] -= ref[449]
    chosen = tuple(Track(i, f"T{i}", f"CHIP:CTCF:{LONG if i else 'K562'}") for i in range(tracks))
    return VariantPrediction(variant or Variant("chr22", 20_057_345, "rs7", "T", "G"), model, "human", chosen,
                             20_000_000, 128, ref, alt)  # fmt: skip


def gene(name, start, end, strand="+"):
    return Gene(name, name, "22", strand, (start if strand == "+" else end - 1,), start, end)


def saturation(tmp_path, positions=120, deletions=False):
    rng = np.random.default_rng(1)
    rows, scores = [], []
    bases = rng.choice(list("ACGT"), positions)
    for i, ref in enumerate(bases):
        if deletions and i:
            rows.append(("chr2", 1000 + i, None, bases[i - 1] + ref, bases[i - 1], "scored"))
        rows += [("chr2", 1001 + i, None, ref, alt, "scored") for alt in "ACGT" if alt != ref]
    scores = rng.normal(size=(len(rows), 1)).astype(np.float32)
    table = ScoreTable(made_table(tmp_path / "t.parquet", rows, [("D0", f"DNASE:{LONG}")], scores))
    return read_saturation(table, table.columns[0])


def overview(tmp_path, assays=("DNASE", "CAGE", "CHIP:CTCF"), alleles=40):
    rng = np.random.default_rng(2)
    tracks = [(f"T{i}{j}", f"{assay}:{LONG if j == 0 else f'tissue {j // 2}'}") for i, assay in enumerate(assays)
              for j in range(24)]  # fmt: skip
    rows = [("chr1", 100 + i, "<i>$x^2$</i>" if i % 2 else None, "A", "G" * 30, "scored") for i in range(alleles)]
    path = made_table(tmp_path / "t.parquet", rows, tracks, rng.normal(size=(alleles, len(tracks))))
    table = ScoreTable(path)
    return survey_scores(table, table.select(), pairs=5)


def texts(figure):
    """Every text that is seen, with its box in pixels."""
    from matplotlib.text import Text

    figure.draw_without_rendering()
    idle = set(_idle_ticks(figure))
    seen = [one for one in figure.findobj(Text) if one.get_visible() and one.get_text().strip()]
    return [(one, one.get_window_extent()) for one in seen if one not in idle]


def _idle_ticks(figure):
    """Labels of ticks beyond the limits, which are made and not drawn."""
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]:
                if not low <= tick.get_loc() <= high:
                    yield from (tick.label1, tick.label2)


def check_legible(figure):
    """Letters of 6 points or more, none beyond the edge, no two labels of an axis over each other."""
    width, height = figure.get_size_inches() * figure.dpi
    assert width == pytest.approx(DOUBLE * figure.dpi)
    found = texts(figure)
    assert len(found) > 8
    for text, box in found:
        assert text.get_fontsize() >= 6, text
        assert -1 <= box.x0 < box.x1 <= width + 1, text
        assert -1 <= box.y0 < box.y1 <= height + 1, text
    for axes in figure.axes:
        for axis, way in ((axes.xaxis, "x"), (axes.yaxis, "y")):
            boxes = sorted(
                (getattr(box, f"{way}0"), getattr(box, f"{way}1"))
                for text, box in found
                if any(text is tick.label1 for tick in axis.get_major_ticks())
            )
            assert all(end <= start + 1.5 for (_, end), (start, _) in pairwise(boxes)), axes


def test_a_variants_figure_is_legible_and_says_what_it_shows():
    genes = [gene("DGCR8", 20_010_000, 20_040_000), gene("HTF9C", 20_035_000, 20_060_000, "-"),
             gene("AT-THE-VERY-END", 20_114_000, 20_200_000), gene("ELSEWHERE", 30_000_000, 30_010_000)]  # fmt: skip
    figure = draw_variant(prediction(3), genes)
    check_legible(figure)
    svg = rendered(figure, "svg").decode()
    for text in ("rs7  chr22:20,057,345 T&gt;G", "position on chr22 (Mb)", "ALT − REF", "bins of 128 bp", "DGCR8",
                 "HTF9C", "AT-THE-VERY-END", "carries no biology", "SAD +"):  # fmt: skip
        assert text in svg, text
    assert "ELSEWHERE" not in svg
    assert "carries no biology" not in rendered(draw_variant(prediction(1, model="enformer")), "svg").decode()


@pytest.mark.parametrize("size", [1e-6, 2.4e-5, 7e-4, 3e4])
def test_differences_of_any_size_leave_room_for_their_numbers(size):
    given = prediction(2)
    alt = given.ref.copy()
    alt[447:449] += size
    figure = draw_variant(replace(given, alt=alt))
    check_legible(figure)


def test_the_curves_are_the_prediction():
    predicted = prediction(1)
    signal, change = draw_variant(predicted).axes[:2]
    ref, alt = (patch.get_data() for patch in signal.patches[:2])
    np.testing.assert_array_equal(ref.values, predicted.ref[:, 0])
    np.testing.assert_array_equal(alt.values, predicted.alt[:, 0])
    assert ref.edges[0] == 20_000_000.5
    assert np.diff(ref.edges).tolist() == [128] * 896
    drawn = sum(patch.get_data().values for patch in change.patches)
    np.testing.assert_allclose(drawn, predicted.difference[:, 0])
    [line] = [line for line in signal.lines if line.get_xdata()[0] == line.get_xdata()[1]]
    assert line.get_xdata()[0] == 20_057_345


def test_a_part_of_the_window_around_the_variant():
    figure = draw_variant(prediction(1), width=2000)
    assert figure.axes[0].get_xlim() == (20_057_345 - 1000, 20_057_345 + 1000)
    assert "position on chr22 (kb)" in rendered(figure, "svg").decode()
    check_legible(figure)
    # the scale is that of what is seen
    ends = draw_variant(prediction(1), width=1000).axes[1].get_ylim()
    assert ends[1] == pytest.approx(-ends[0])
    assert ends[1] == pytest.approx(3.45)


def test_genes_do_not_cover_each_other():
    genes = [gene(f"GENE{i}", 20_000_000 + 900 * i, 20_000_000 + 900 * i + 5000) for i in range(100)]
    axes = draw_variant(prediction(1), genes).axes[-1]
    lanes = {}
    for line in axes.lines:
        (x0, x1), (y0, y1) = line.get_xdata(), line.get_ydata()
        if y0 == y1 and x1 - x0 == 5000:
            lanes.setdefault(y0, []).append((x0, x1))
    # one lane takes those that find no room, and these have no names
    crowded = min(lanes)
    assert len(lanes) == MOST_LANES
    for lane, bodies in lanes.items():
        assert lane == crowded or all(end <= start for (_, end), (start, _) in pairwise(sorted(bodies)))
    boxes = [(box.y0, box.x0, box.x1) for text, box in texts(axes.figure) if text.get_text().startswith("GENE")]
    assert len(boxes) > 10
    assert all(a[0] != b[0] or a[2] <= b[1] for a, b in pairwise(sorted(boxes)))


@pytest.mark.parametrize(("positions", "deletions"), [(50, False), (120, True), (300, False)])
def test_saturation_is_legible(tmp_path, positions, deletions):
    figure = draw_saturation(saturation(tmp_path, positions, deletions), "enformer-tiny")
    check_legible(figure)
    svg = rendered(figure, "svg").decode()
    for text in ("position on chr2 (bp)", "−mean SAD", "new base", "carries no biology"):
        assert text in svg
    assert ("del" in {text.get_text() for text, _ in texts(figure)}) == deletions


def test_the_heat_map_holds_the_scores(tmp_path):
    found = saturation(tmp_path, 120)
    figure = draw_saturation(found, "enformer")
    images = [axes.images[0] for axes in figure.axes if axes.images]
    drawn = np.ma.concatenate([image.get_array() for image in images], axis=1)
    np.testing.assert_array_equal(drawn.filled(np.nan), found.scores.T)
    low, high = images[0].get_clim()
    assert (low, high) == (-np.nanmax(np.abs(found.scores)), np.nanmax(np.abs(found.scores)))
    # a dot in each of the reference's own bases
    dots = np.concatenate([axes.lines[0].get_xydata() for axes in figure.axes if axes.images])
    assert dots.tolist() == [[1001 + i, "ACGT".index(base)] for i, base in enumerate(found.ref)]
    assert images[0].get_extent()[:2] == [1000.5, 1060.5]


def test_a_letter_is_as_tall_as_it_matters():
    from matplotlib.figure import Figure

    axes = Figure().add_subplot()
    draw_letters(axes, "ACGT", np.array([2.0, -1.0, 0.0, 0.5]), np.arange(4))
    boxes = sorted((patch.get_path().get_extents() for patch in axes.patches), key=lambda box: box.x0)
    heights = [(round(box.y0, 6), round(box.y1, 6)) for box in boxes]
    assert heights == [(0, 2), (-1, 0), (0, 0.5)]
    assert [round((box.x0 + box.x1) / 2, 6) for box in boxes] == [0, 1, 3]


def test_strongest_tracks_are_legible_and_grouped(tmp_path):
    found = overview(tmp_path)
    figure = draw_tracks(found, "enformer-tiny")
    check_legible(figure)
    labels = {text.get_text() for text, _ in texts(figure)}
    assert {"DNASE, 24 tracks", "CAGE, 24 tracks", "CHIP, 24 tracks"} <= labels
    assert any(label.startswith("CTCF: tissue") for label in labels)
    assert any("<i>$x^2$</i>" in label for label in labels), "an ID is text, not mathematics"
    best = max(found.by_track, key=lambda hit: abs(hit.scaled))
    ends = [line.get_xdata()[1] for line in figure.axes[0].lines if len(line.get_xdata()) == 2]
    assert max(ends, key=abs) == pytest.approx(best.scaled)


def test_many_assays_leave_room(tmp_path):
    figure = draw_tracks(overview(tmp_path, [f"A{i}" for i in range(9)]), "enformer", per_assay=3, variant="rs1")
    check_legible(figure)
    assert sum(text.get_text().endswith("24 tracks") for text, _ in texts(figure)) == 6


def test_no_scores_no_figure(tmp_path):
    rows = [("chr1", 9, None, "A", "<DEL>", "symbolic")]
    table = ScoreTable(made_table(tmp_path / "t.parquet", rows, [("T", "DNASE:x")], np.zeros((0, 1))))
    with pytest.raises(TableError, match="no scores to draw"):
        draw_tracks(survey_scores(table, table.select()), "enformer")


def test_the_distribution_is_legible(tmp_path):
    figure = draw_distribution(overview(tmp_path, [f"A{i}" for i in range(9)]))
    check_legible(figure)
    assert "3 other assays" in rendered(figure, "svg").decode()


def test_the_distribution_of_few_scores_is_legible(tmp_path):
    figure = draw_distribution(overview(tmp_path, ["DNASE"], alleles=4))
    check_legible(figure)
    assert "math" not in rendered(figure, "svg").decode()


def test_the_same_figure_is_the_same_file(tmp_path):
    for kind in ("png", "svg", "pdf"):
        once, again = (rendered(draw_variant(prediction(1)), kind) for _ in range(2))
        assert once == again, kind
        save(draw_variant(prediction(1)), tmp_path / f"figure.{kind.upper()}")
        assert (tmp_path / f"figure.{kind.upper()}").read_bytes() == once


def test_where_a_figure_cannot_go_is_said_first(tmp_path):
    (tmp_path / "there.png").write_text("mine")
    for name, message in {"a.jpg": "ends in .png, .svg or .pdf", "none": "ends in", "no/a.png": "no folder",
                          "there.png": "exists already"}.items():  # fmt: skip
        with pytest.raises(OutputError, match=message):
            check_figure(tmp_path / name)
    check_figure(tmp_path / "there.png", overwrite=True)
    check_new_file("s3://bucket/report.html", overwrite=False)


def test_matplotlib_that_is_missing_is_said(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with (
        pytest.raises(ExtraError, match=r"varscore plot needs matplotlib.*varscore\[analysis\]"),
        styled("varscore plot"),
    ):
        pass


def test_long_texts_are_shortened():
    assert shortened("abcdef", 6) == "abcdef"
    assert shortened("abcdefg", 6) == "abcde…"
    assert shortened("abcd, efg", 6) == "abcd…"
    assert fitted("MMMM", 1000, 6.5) == "MMMM"
    assert fitted("M" * 50, 60, 6.5).endswith("M…")
