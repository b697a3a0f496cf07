"""The report, read as text and opened in a browser."""

import base64
import hashlib
import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.made_table import add_gene_columns, made_table
from varscore.errors import ExtraError, TrackError
from varscore.genome.variant import Status
from varscore.report.build import write_report

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")

EVIL = "<script>document.title='ran'</script><img src=x onerror=\"document.title='ran'\">"
TRACKS = [("D0", "DNASE:liver"), ("D1", "DNASE:K562 & <b>more</b>"), ("H0", "CHIP:CTCF:K562"), ("C0", f"CAGE:{EVIL}")]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ALLELES = 60


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Path:
    """60 alleles, four of them skipped, on four tracks; one has an ID that would run if it were let."""
    rng = np.random.default_rng(4)
    skipped = {3: Status.SYMBOLIC, 9: Status.SYMBOLIC, 12: Status.REF_MISMATCH, 15: Status.TOO_LONG}
    rows = [
        (f"chr{1 + i % 2}", 1000 * (i + 1), EVIL if i == 0 else f"rs{i}", "A", "G" if i else "G" * 400,
         skipped.get(i, Status.SCORED).value)
        for i in range(ALLELES)
    ]  # fmt: skip
    scores = rng.normal(size=(ALLELES - len(skipped), 4))
    scores[0] = [90, 80, 70, -60]
    run = {
        "model": "enformer-tiny", "weights": {"sha256": "ab" * 32}, "command": "varscore score <in> & out",
        "window": {"length": 196_608, "policy": "shared", "index": 98_303, "grid": 4096, "shifts": [-1, 0, 1]},
        "filters": {"regions": ["chr1:1-9"], "pass_only": True}, "vcf": "in.vcf", "reverse_complement": True,
        "software": {"varscore": "0.1.0", "started": "2026-01-02T03:04:05+00:00"},
    }  # fmt: skip
    return made_table(tmp_path_factory.mktemp("report") / "scores.parquet", rows, TRACKS, scores, **run)


@pytest.fixture(scope="module")
def page(table) -> str:
    made = write_report(table, table.with_name("report.html"))
    assert (made.alleles, made.tracks, made.pairs) == (60, 4, 224)
    return table.with_name("report.html").read_text(encoding="utf-8")


def text_of(page: str) -> str:
    page = re.sub(r"<(style|script)>.*?</\1>", "", page, flags=re.DOTALL)
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)))


def cells(page: str) -> list[list[str]]:
    [body] = re.findall(r'<table id="pairs">.*?<tbody>(.*?)</tbody>', page, re.DOTALL)
    rows = re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)
    return [[html.unescape(cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL)] for row in rows]


def test_it_says_what_was_run(page):
    text = text_of(page)
    for said in (
        "enformer-tiny was trained on a simulation and carries no biology", "sha256 abababababab…",
        "196,608 bp, shared, variant at 0-based index 98,303, on a grid of 4,096 bp, shifted by -1, 0, 1 bp",
        "varscore score <in> & out", "chr1:1-9, FILTER is PASS", "in.vcf", "both, averaged",
        "2026-01-02T03:04:05+00:00", "SAD of 60 rows on 4 tracks", "over the alleles of this table",
    ):  # fmt: skip
        assert said in text, said


def test_it_says_what_was_skipped_and_why(page):
    text = text_of(page)
    assert f"56 scored {Status.SCORED.explanation}" in text
    assert f"2 symbolic {Status.SYMBOLIC.explanation} chr2:4000 A G; chr2:10000 A G" in text
    assert f"1 ref_mismatch {Status.REF_MISMATCH.explanation} chr1:13000 A G" in text
    assert f"1 too_long {Status.TOO_LONG.explanation} chr2:16000 A G" in text


def test_its_table_holds_the_pairs(page):
    rows = cells(page)
    assert len(rows) == 224
    assert {row[1] for row in rows[:4]} == {EVIL}
    [first] = [row for row in rows[:4] if row[6] == "D0"]
    assert first[:3] == ["chr1:1,000", EVIL, "A>GGGGGGGGGGG…"]
    assert first[3:7] == ["DNASE", "", "liver", "D0"]
    assert first[7] == "+90"
    sizes = [abs(float(row[8].replace("−", "-"))) for row in rows]
    assert sizes == sorted(sizes, reverse=True)
    assert ["CHIP", "CTCF", "K562", "H0"] in [row[3:7] for row in rows]


def test_nothing_in_it_leads_out_or_runs(page):
    assert EVIL not in page
    assert page.count("<script") == 1
    assert not re.findall(r"""(?:src|href|action)\s*=\s*["'](?!data:,|#)""", page)
    assert not re.findall(r"@import|fetch\(|XMLHttpRequest|WebSocket|\son\w+=\"", page.replace(html.escape(EVIL), ""))
    addresses = set(re.findall(r"https?://[^\s\"'<)]+", page))
    # names of XML's vocabularies, which nobody opens
    assert {address.split("/")[2] for address in addresses} <= {"www.w3.org", "purl.org", "creativecommons.org",
                                                               "matplotlib.org"}  # fmt: skip
    [policy] = re.findall(r'Content-Security-Policy" content="([^"]+)"', page)
    assert "default-src 'none'" in policy
    [script] = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" in policy
    assert "unsafe-inline" not in policy.split("script-src")[1].split(";")[0]


def test_its_figures_are_there_and_named(page):
    assert page.count('<svg role="img" aria-label=') == 2
    assert "strongest tracks, each at its strongest allele" in page
    assert "pairs of allele and track" in page


def test_some_tracks_alone(table, tmp_path):
    made = write_report(table, tmp_path / "some.html", tracks=["DNASE"], pairs=7)
    assert (made.tracks, made.pairs) == (2, 7)
    page = (tmp_path / "some.html").read_text()
    assert "on 2 tracks of 4" in text_of(page)
    assert "The 7 largest of 112" in text_of(page)
    assert {row[3] for row in cells(page)} == {"DNASE"}
    with pytest.raises(TrackError):
        write_report(table, tmp_path / "none.html", tracks=["liver of a fish"])
    assert not (tmp_path / "none.html").exists()


def test_genes_have_a_column(tmp_path):
    rows = [("chr1", 9 + i, "rs1", "A", "C", "scored") for i in range(4)]
    made_table(tmp_path / "t.parquet", rows, TRACKS[:1], [[1], [2], [3], [4]])
    add_gene_columns(tmp_path / "t.parquet", tmp_path / "genes.parquet", list("ABCD"))
    write_report(tmp_path / "genes.parquet", tmp_path / "genes.html")
    page = (tmp_path / "genes.html").read_text()
    assert ">gene</button>" in page
    assert cells(page)[0][3] == "D"
    assert "What was scored" not in page
    assert "carries no biology" not in page


def test_a_table_without_scores_has_a_report(tmp_path):
    rows = [("chr1", 9, None, "A", "<DEL>", "symbolic")]
    made_table(tmp_path / "t.parquet", rows, TRACKS, np.zeros((0, 4)))
    assert write_report(tmp_path / "t.parquet", tmp_path / "t.html").pairs == 0
    text = text_of((tmp_path / "t.html").read_text())
    assert "No allele was scored" in text
    assert f"1 symbolic {Status.SYMBOLIC.explanation}" in text


def test_two_alleles_have_a_report_without_a_common_scale(tmp_path):
    rows = [("chr1", 9 + i, None, "A", "C", "scored") for i in range(2)]
    made_table(tmp_path / "t.parquet", rows, TRACKS[:2], [[1, 2], [3, -40]])
    write_report(tmp_path / "t.parquet", tmp_path / "t.html")
    page = (tmp_path / "t.html").read_text()
    assert "too few alleles" in page
    assert [row[-1] for row in cells(page)] == ["−40", "+3", "+2", "+1"]


def test_jinja_that_is_missing_is_said(table, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "jinja2", None)
    with pytest.raises(ExtraError, match=r"varscore report needs jinja2.*varscore\[analysis\]"):
        write_report(table, tmp_path / "report.html")


# what a person does with the page, and what is to be seen then
VISIT = """
const log = {};
const body = document.querySelector("#pairs tbody");
const heads = [...document.querySelectorAll("#pairs th")];
const seen = () => [...body.rows].filter((row) => row.getClientRects().length);
const column = (i) => seen().map((row) => row.cells[i].textContent);
const values = (i) => seen().map((row) => Number(row.cells[i].dataset.v));
const press = (i) => heads[i].querySelector("button").click();
const search = (text) => {
  const field = document.getElementById("search");
  field.value = text;
  field.dispatchEvent(new Event("input"));
};
log.title = document.title;
log.images = document.images.length;
log.rows = seen().length;
log.shown = document.getElementById("shown").textContent;
press(7); log.falling = values(7); log.sorted = heads.map((head) => head.getAttribute("aria-sort"));
press(7); log.rising = values(7); log.again = heads[7].getAttribute("aria-sort");
press(3); log.assays = column(3); log.places = null;
press(0); log.places = values(0);
search("dnase K562"); log.found = seen().map((row) => [row.cells[3].textContent, row.cells[5].textContent]);
log.foundShown = document.getElementById("shown").textContent;
search("rs17 ctcf"); log.one = column(1);
search("no such thing"); log.none = seen().length;
search(""); log.all = seen().length;
heads[8].querySelector("button").focus();
log.focus = document.activeElement.textContent;
log.wide = document.documentElement.scrollWidth <= window.innerWidth;
const out = document.createElement("pre");
out.id = "visit";
out.textContent = JSON.stringify(log);
document.body.append(out);
"""


def open_in_browser(file: Path, *more: str) -> subprocess.CompletedProcess[str]:
    assert CHROMIUM
    flags = [
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
        "--disable-background-networking", "--disable-component-update", "--enable-logging=stderr",
        "--virtual-time-budget=5000", "--window-size=1280,1000", f"--user-data-dir={file.parent / 'profile'}",
    ]  # fmt: skip
    command = [CHROMIUM, *flags, *more, file.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_a_browser_sorts_and_filters_it(page, tmp_path):
    if not CHROMIUM:
        pytest.skip("no chromium here to open the report in")
    # the page lets no script run but its own: the visitor's is made known to it
    digest = base64.b64encode(hashlib.sha256(VISIT.encode()).digest()).decode()
    visited = page.replace("script-src ", f"script-src 'sha256-{digest}' ")
    visited = visited.replace("</body>", f"<script>{VISIT}</script></body>")
    (tmp_path / "visited.html").write_text(visited, encoding="utf-8")
    done = open_in_browser(tmp_path / "visited.html", "--dump-dom")
    assert done.returncode == 0, done.stderr
    assert "CONSOLE" not in done.stderr, done.stderr
    [log] = re.findall(r'<pre id="visit">(.*?)</pre>', done.stdout, re.DOTALL)
    log = json.loads(html.unescape(log))
    assert (log["title"], log["images"]) == ("varscore: scores.parquet", 0)
    assert (log["rows"], log["shown"]) == (224, "224 of 224 shown")
    assert log["falling"] == sorted(log["falling"], reverse=True)
    assert log["rising"] == sorted(log["falling"])
    assert len(set(log["falling"])) > 200
    assert log["sorted"] == ["none"] * 7 + ["descending", "none"]
    assert log["again"] == "ascending"
    assert log["assays"] == sorted(log["assays"])
    assert log["places"] == sorted(log["places"])
    assert log["found"] == [["DNASE", "K562 & <b>more</b>"]] * 56
    assert log["foundShown"] == "56 of 224 shown"
    assert log["one"] == ["rs17"]
    assert (log["none"], log["all"], log["focus"], log["wide"]) == (0, 224, "in SD", True)


def test_a_browser_finds_no_fault_with_the_page_itself(page, tmp_path):
    if not CHROMIUM:
        pytest.skip("no chromium here to open the report in")
    (tmp_path / "report.html").write_text(page, encoding="utf-8")
    done = open_in_browser(tmp_path / "report.html", f"--screenshot={tmp_path / 'seen.png'}")
    assert done.returncode == 0, done.stderr
    assert "CONSOLE" not in done.stderr, done.stderr
    assert (tmp_path / "seen.png").stat().st_size > 10_000


def test_the_browsers_complaints_would_be_seen(page, tmp_path):
    """Else the two tests above could not fail."""
    if not CHROMIUM:
        pytest.skip("no chromium here to open the report in")
    (tmp_path / "broken.html").write_text(page.replace("</body>", "<script>oops</script></body>"), encoding="utf-8")
    assert "CONSOLE" in open_in_browser(tmp_path / "broken.html", "--dump-dom").stderr
