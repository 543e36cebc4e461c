"""Extract labelled pages by every extractor that is installed, in turn; one line of JSON comes out.

Runs in the peers' environment, with ours from the source tree. The argument is the folder that
`benchmarks.extraction` describes.
"""

from __future__ import annotations

import gzip
import json
import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROUNDS = 3


def extractors() -> dict[str, Callable[[bytes], str]]:
    """Ours and those of the peers that are installed; each finds the encoding of a page itself."""
    from resiliparse.extract.html2text import extract_plain_text
    from resiliparse.parse.encoding import bytes_to_str, detect_encoding

    from bessemer.curate.decode import UndecodableError
    from bessemer.curate.pages import read_html

    def ours(data: bytes) -> str:
        try:
            return read_html(data).text
        except UndecodableError:
            return ""

    def resiliparse(data: bytes) -> str:
        html = bytes_to_str(data, detect_encoding(data) or "utf-8")
        text: str = extract_plain_text(html, main_content=True)
        return text

    found: dict[str, Callable[[bytes], str]] = {
        "bessemer": ours,
        "resiliparse, main content": resiliparse,
    }
    try:
        import trafilatura
        from lxml import html as lxml_html
        from readability import Document
    except ImportError:
        return found

    def by_trafilatura(**options: Any) -> Callable[[bytes], str]:
        return lambda data: trafilatura.extract(data, **options) or ""

    def readability(data: bytes) -> str:
        try:
            return str(lxml_html.fromstring(Document(data).summary()).text_content())
        except Exception:  # noqa: BLE001  (whatever it raises, the page gives no text)
            return ""

    return found | {
        "trafilatura, balanced": by_trafilatura(),
        "trafilatura, no comments": by_trafilatura(include_comments=False),
        "trafilatura, precision": by_trafilatura(favor_precision=True),
        "trafilatura, recall": by_trafilatura(favor_recall=True),
        "readability-lxml": readability,
    }


def count(text: str, page: dict[str, Any]) -> tuple[int, int, int]:
    """Snippets of one page: wanted and found, unwanted and found, wanted and not found."""
    text = " ".join(text.split())
    wanted = [" ".join(snippet.split()) in text for snippet in page["with"]]
    unwanted = [" ".join(snippet.split()) in text for snippet in page["without"]]
    return sum(wanted), sum(unwanted), len(wanted) - sum(wanted)


def measure(folder: Path) -> dict[str, Any]:
    """Counts of every extractor and page, and pages per second of processor time per round."""
    logging.disable(logging.CRITICAL)
    pages = list(json.loads((folder / "evaldata.part.json").read_text("utf-8")).values())
    data = [gzip.decompress((folder / "pages" / (p["file"] + ".gz")).read_bytes()) for p in pages]
    functions = extractors()
    counts: dict[str, list[tuple[int, int, int]]] = {name: [] for name in functions}
    seconds: dict[str, list[float]] = {name: [0.0] * ROUNDS for name in functions}
    for round_ in range(ROUNDS):
        for page, content in zip(pages, data, strict=True):
            for name, extract in functions.items():
                begin = time.process_time()
                text = extract(content)
                seconds[name][round_] += time.process_time() - begin
                if round_ == 0:
                    counts[name].append(count(text, page))
    return {
        "files": [page["file"] for page in pages],
        "counts": counts,
        "pages_per_s": {n: [len(pages) / one for one in each] for n, each in seconds.items()},
    }


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]))))
