"""One HTML page of a table of scores: what was run, what was skipped and why, what stands out. It needs no network."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

from varscore import __version__
from varscore.analysis.strongest import Overview, survey_scores
from varscore.errors import needs
from varscore.genome.variant import Status
from varscore.plots.distribution import draw_distribution
from varscore.plots.style import TINY, TINY_WARNING, rendered, shortened, styled
from varscore.plots.tracks import draw_tracks
from varscore.store.folder import whole_file
from varscore.store.table import ScoreTable

LINES = 8
"""Of each assay in the figure of strongest tracks."""


@dataclass(frozen=True)
class Report:
    """What a report shows of its table."""

    alleles: int
    tracks: int
    pairs: int


def write_report(
    scores: str | os.PathLike[str],
    output: Path | str,
    *,
    tracks: Sequence[str] | None = None,
    statistic: str | None = None,
    pairs: int = 1000,
) -> Report:
    """Write the report of a table of scores.

    Args:
        scores: a table of `varscore score`: a file, a folder of parts, or an address.
        output: the page to write.
        tracks: selectors; by default all tracks of the table.
        statistic: its name; by default the table's first.
        pairs: how many of the strongest pairs of allele and track are listed.

    Raises:
        TableError: the table cannot be read.
        TrackError: a selector matches no track.
        ExtraError: matplotlib or jinja2 is not installed.
        OutputError: the page cannot be written.
    """
    with needs("analysis", "varscore report"):
        from jinja2 import Environment, StrictUndefined
        from markupsafe import Markup
    table = ScoreTable(scores)
    columns = table.select(tracks, statistic)
    found = survey_scores(table, columns, pairs)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=False)
    script = _part("page.js")
    with styled("varscore report"):
        # drawn by matplotlib, which escapes what is written in them
        figures = {"distribution": "", "strongest": ""}
        if len(found.pairs):
            model = str(table.run.get("model"))
            figures["distribution"] = Markup(_svg(draw_distribution(found), "Histograms of scores"))
            figures["strongest"] = Markup(_svg(draw_tracks(found, model, per_assay=LINES), "Chart of strongest tracks"))
    name = Path(table.place.rstrip("/")).name
    page = environment.from_string(_part("page.html")).render(
        title=name,
        summary=_summary(table, found),
        warning=TINY_WARNING if table.run.get("model") == TINY else "",
        facts=_facts(table),
        statuses=_statuses(found),
        scale_note=_scale_note(found),
        heads=_heads(found),
        pairs=_rows(found),
        pairs_shown=f"{len(found.pairs):,}",
        pairs_total=f"{sum(int(counts.sum()) for counts in found.counts.values()):,}",
        metadata=json.dumps(table.run, indent=2, ensure_ascii=False),
        version=__version__,
        today=datetime.now(UTC).date().isoformat(),
        style=Markup(_part("page.css")),
        script=Markup(script),
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        **figures,
    )
    with whole_file(output) as file:
        file.write(page.encode())
    return Report(found.rows, len(columns), len(found.pairs))


def _part(name: str) -> str:
    return resources.files("varscore.report").joinpath(name).read_text(encoding="utf-8")


def _svg(figure: Any, label: str) -> str:
    """An SVG element to stand in a page: no prologue, and a name for those who do not see it."""
    text = rendered(figure, "svg").decode()
    return text[text.index("<svg") :].replace("<svg", f'<svg role="img" aria-label="{label}"', 1)


def _summary(table: ScoreTable, found: Overview) -> str:
    columns = found.scale.columns
    tracks = f"{len(columns):,} {'track' if len(columns) == 1 else 'tracks'}"
    if len(columns) < len(table.tracks):
        tracks += f" of {len(table.tracks):,}"
    return f"{columns[0].statistic} of {found.rows:,} rows on {tracks}"


def _facts(table: ScoreTable) -> list[tuple[str, str]]:
    """What describes the run, as far as the table says it."""
    run = table.run
    window, bins, software = (_mapping(run.get(key)) for key in ("window", "bins", "software"))
    filters, weights = _mapping(run.get("filters")), _mapping(run.get("weights"))
    contigs = _mapping(run.get("contigs"))
    regions = [*filters.get("regions", []), *filter(None, [filters.get("regions_file")])]
    shifts = ", ".join(str(shift) for shift in window.get("shifts", []))
    facts = [
        ("model", run.get("model")),
        ("weights", _joined(run.get("weights_file"), _digest(weights.get("sha256")))),
        ("tracks", _joined(f"{len(table.tracks):,}", run.get("organism"))),
        ("statistics", ", ".join(table.statistics)),
        ("definition", _definition(table)),
        ("window", window and f"{window.get('length', 0):,} bp, {window.get('policy')}, variant at 0-based index "
         f"{window.get('index', 0):,}" + (f", on a grid of {window['grid']:,} bp" if window.get("grid", 1) > 1 else "")
         + (f", shifted by {shifts} bp" if shifts not in ("", "0") else "")),
        ("predicted", bins and f"{bins.get('predicted', 0):,} bins of {bins.get('size')} bp"),
        ("strands", {True: "both, averaged", False: "forward only"}.get(run.get("reverse_complement"))),  # type: ignore[arg-type]
        ("computed", _joined(run.get("precision"), run.get("engine") and f"{run['engine']} engine", run.get("device"))),
        ("variants", run.get("vcf")),
        ("only", _joined(*regions, "FILTER is PASS" if filters.get("pass_only") else None)),
        ("mismatching REF", run.get("on_ref_mismatch")),
        ("reference", run.get("fasta")),
        ("contigs", _contigs(contigs)),
        ("command", run.get("command")),
        ("begun", software.get("started")),
        ("software", ", ".join(f"{name} {value}" for name, value in software.items() if name != "started")),
    ]  # fmt: skip
    return [(name, str(value)) for name, value in facts if value]


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _joined(*values: object) -> str:
    return ", ".join(str(value) for value in values if value)


def _digest(sha256: object) -> str:
    return f"sha256 {str(sha256)[:12]}…" if sha256 else ""


def _definition(table: ScoreTable) -> str:
    definitions = _mapping(table.run.get("definitions"))
    return "; ".join(f"{name}: {definitions[name]}" for name in table.statistics if name in definitions)


def _contigs(contigs: Mapping[str, Any], most: int = 4) -> str:
    some = [f"{name} ({_mapping(one).get('length', 0):,} bp, MD5 {str(_mapping(one).get('md5'))[:8]}…)"
            for name, one in list(contigs.items())[:most]]  # fmt: skip
    return ", ".join(some) + (f" and {len(contigs) - most} more" if len(contigs) > most else "")


def _statuses(found: Overview) -> list[dict[str, str]]:
    """In the order of their definition, strangers last."""
    explanations = {status.value: status.explanation for status in Status}
    known = [status for status in explanations if status in found.statuses]
    return [
        {
            "count": f"{found.statuses[status]:,}",
            "status": status,
            "why": explanations.get(status, ""),
            "examples": "; ".join(found.examples.get(status, [])),
        }
        for status in [*known, *(status for status in found.statuses if status not in explanations)]
    ]


def _scale_note(found: Overview) -> str:
    statistic = found.scale.columns[0].statistic
    return {
        "quantile": f"To compare tracks, each {statistic} is shown as its quantile, which the table holds.",
        "as it is": f"There are too few alleles to put tracks on one scale, so {statistic} is shown as it is.",
        "in SD": f"To compare tracks, each {statistic} is divided by the standard deviation of its track over the "
        "alleles of this table: the fewer they are, the less that says. What is beyond an axis is counted at its end.",
    }[found.scale.kind]


def _heads(found: Overview) -> list[dict[str, Any]]:
    texts = ["variant", "ID", "change", "gene", "assay", "target", "tissue", "track"]
    if not any(hit.gene for hit in found.pairs):
        texts.remove("gene")
    numbers = [found.scale.columns[0].statistic, found.scale.kind]
    if found.scale.kind == "as it is":
        numbers.pop()
    return [{"name": name, "number": name in numbers} for name in (*texts, *numbers)]


def _rows(found: Overview) -> list[list[dict[str, Any]]]:
    order = {chrom: i for i, chrom in enumerate(dict.fromkeys(hit.chrom for hit in found.pairs))}
    has_genes = any(hit.gene for hit in found.pairs)
    rows = []
    for hit in found.pairs:
        track = found.scale.columns[hit.column].track
        change = f"{shortened(hit.ref, 12)}>{shortened(hit.alt, 12)}"
        full = f"{hit.ref}>{hit.alt}"
        rows.append(
            [
                _cell(f"{hit.chrom}:{hit.pos:,}", "place", order[hit.chrom] * 10**10 + hit.pos),
                _cell(hit.id or ""),
                _cell(change, "allele", title=shortened(full, 1000) if full != change else ""),
                *([_cell(hit.gene or "")] if has_genes else []),
                *map(_cell, (track.assay, track.target or "", track.tissue, track.identifier)),
                _number(hit.score),
                *([] if found.scale.kind == "as it is" else [_number(hit.scaled)]),
            ]
        )
    return rows


def _cell(text: str, kind: str = "", value: object = None, title: str = "") -> dict[str, Any]:
    return {"text": text, "kind": kind, "value": value, "title": title}


def _number(value: float) -> dict[str, Any]:
    return _cell(f"{value:+.4g}".replace("-", "−"), "number", f"{value:.7g}")
