"""Stage `report`: one self-contained HTML page that tells a run from first byte to verdict.

No script, font or image comes from elsewhere. Whatever comes from the data passes through
`visible` and autoescaping on its way into the page; only our own SVG, style and script are markup.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from statistics import median
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bessemer.core.layout import REPORT
from bessemer.core.manifest import StageResult
from bessemer.core.storage import write_text
from bessemer.core.units import (
    format_bytes,
    format_count,
    format_counted,
    format_flops,
    format_seconds,
)
from bessemer.report import sentences
from bessemer.report.audit import Audit
from bessemer.report.charts.bars import cell_bar, part_bar
from bessemer.report.charts.lines import BASELINE_NAMES
from bessemer.report.collect import ReportJob, collect
from bessemer.report.facts import Report
from bessemer.report.pictures import draw
from bessemer.report.plain import ending, visible

__all__ = ["ReportJob", "render", "render_audit", "write_report"]

_VERDICTS = ("underfitting", "data-limited", "healthy", "overfitting", "unstable")  # cold to hot


def write_report(job: ReportJob, folder: Path) -> StageResult:
    """Collect the facts of a run and write `report.html` into `folder`."""
    page = render(collect(job, folder))
    write_text(folder / REPORT, page)
    # Times, rates and memory stand on the page.
    return StageResult(summary={"bytes": len(page.encode())}, irreproducible=(REPORT,))


def render(report: Report) -> str:
    """The page; equal facts give equal bytes."""
    return _fill(
        "page.html",
        report=report,
        pictures=draw(report),
        verdicts=_VERDICTS,
        totals=_totals(report),
    )


def render_audit(audit: Audit) -> str:
    """The page on near-duplicates; equal facts give equal bytes."""
    return _fill("audit.html", audit=audit)


def _fill(template: str, **facts: Any) -> str:
    """A page of our frame, with all that it needs in it."""
    script = _asset("script.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    style = _asset("style.css")
    page = _environment().get_template(template)
    return page.render(style=style, script=script, script_digest=digest, **facts)


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("bessemer.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "amount": format_bytes,
        "count": format_count,
        "flops": format_flops,
        "seconds": format_seconds,
        "number": sentences.format_number,
        "percent": lambda share: f"{share:.1%}" if 0 < share < 0.1 else f"{share:.0%}",
        "signed": lambda value: f"{value:+.3f}".replace("-", "−"),
        "rule_name": sentences.name_rule,
        "reason_name": sentences.name_reason,
        "bound": sentences.tell_bound,
        "tail": ending,
        "json": lambda value: json.dumps(value, separators=(",", ":")),
        "bar": cell_bar,
        "counted": format_counted,
        "similarity": sentences.tell_similarity,
    }
    environment.globals |= {
        "tell": sentences,
        "part_bar": part_bar,
        "baseline_names": BASELINE_NAMES,
    }
    return environment


def _finalize(value: Any) -> Any:
    """Every value that a template prints: text from anywhere becomes visible before escaping."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _asset(name: str) -> Markup:
    """A style or script of our own, from the package."""
    return Markup(files("bessemer.report").joinpath("templates", name).read_text(encoding="utf-8"))


def _totals(report: Report) -> Mapping[str, Any]:
    """Sums that the page shows in more than one place."""
    gates = [source.gates[0] for source in report.sources if source.gates]
    seconds = sum(stage.seconds for stage in report.stages)
    price = report.price_per_hour
    train = [source.train for source in report.sources]
    heldout = [source.heldout for source in report.sources]
    return {
        "docs_in": sum(gate.docs_in for gate in gates),
        "stored_bytes": sum(gate.bytes_in for gate in gates),
        "kept_docs": sum(side.docs for side in train + heldout),
        "kept_bytes": sum(side.num_bytes for side in train + heldout),
        "heldout_docs": sum(side.docs for side in heldout),
        "train_tokens": sum(side.num_tokens for side in train),
        "seconds": seconds,
        "cost": None if price is None else price * seconds / 3600,
        "peak_bytes": max((stage.peak_bytes for stage in report.stages), default=0),
        "mfu": median(report.curves["mfu"].mean) if "mfu" in report.curves else None,
        "started": min((stage.started for stage in report.stages), default=""),
        "all_hold": all(balance.holds for balance in report.balances)
        and all(_sides_hold(report).values()),
        "sides_hold": _sides_hold(report),
    }


def _sides_hold(report: Report) -> dict[str, bool]:
    """source -> whether train and held-out together are what the last gate let go."""
    return {
        source.name: (
            source.train.docs + source.heldout.docs,
            source.train.num_bytes + source.heldout.num_bytes,
        )
        == (source.gates[-1].docs_out, source.gates[-1].bytes_out)
        for source in report.sources
        if source.gates
    }
