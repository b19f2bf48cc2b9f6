"""An assessment as Markdown and as one HTML file that loads nothing."""

from __future__ import annotations

import html

from federated.assess.document import Document, Table
from federated.text import plain

__all__ = ["to_html", "to_markdown"]

_STYLE = """
body { font: 16px/1.6 system-ui, "Noto Sans SC", sans-serif; max-width: 60rem; margin: 2rem auto;
  padding: 0 1rem; color: #1c1c1c; background: #fff; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { border: 1px solid #bbb; padding: .35rem .5rem; text-align: left; vertical-align: top;
  overflow-wrap: break-word; }
th { background: #f2f2f2; white-space: nowrap; }
.fill { background: #fff7d6; border-left: 3px solid #d0a000; padding: .4rem .7rem; }
@media (max-width: 40rem) {
  table, tbody, tr, td { display: block; } thead { position: absolute; left: -99rem; }
  tr { border: 1px solid #bbb; border-bottom: 0; padding: .4rem .5rem; }
  tr:last-child { border-bottom: 1px solid #bbb; }
  td { border: 0; padding: .1rem 0; overflow-wrap: anywhere; }
  td::before { content: attr(data-label); display: block; font-size: .85em; color: #555; }
}
@media print { body { margin: 0; max-width: none; } tr { break-inside: avoid; } }
"""


def to_markdown(document: Document) -> str:
    """The document as Markdown; names of a contract cannot format anything."""
    lines = [f"# {_mark(document.title)}", "", _mark(document.preface)]
    for section in document.sections:
        lines += ["", f"## {_mark(section.title)}"]
        for part in section.parts:
            lines += ["", *(_rows(part) if isinstance(part, Table) else [_mark(part)])]
    return "\n".join(lines) + "\n"


def to_html(document: Document) -> str:
    """The document as HTML; every text is escaped."""
    lang = {"zh": "zh-Hans"}.get(document.lang, document.lang)
    lines = [
        f'<!doctype html>\n<html lang="{lang}">\n<head>\n<meta charset="utf-8">',
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'\">",
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{_escape(document.title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>",
        f"<h1>{_escape(document.title)}</h1>",
        f"<p>{_escape(document.preface)}</p>",
    ]
    for section in document.sections:
        lines.append(f"<h2>{_escape(section.title)}</h2>")
        for part in section.parts:
            if isinstance(part, Table):
                lines += _table(part)
            else:
                fill = ' class="fill"' if part.startswith("[") else ""
                lines.append(f"<p{fill}>{_escape(part)}</p>")
    return "\n".join([*lines, "</main>\n</body>\n</html>\n"])


def _table(table: Table) -> list[str]:
    head = "".join(f'<th scope="col">{_escape(cell)}</th>' for cell in table.head)
    rows = [
        "".join(
            f'<td data-label="{_escape(name)}">{_escape(cell)}</td>'
            for name, cell in zip(table.head, row, strict=True)
        )
        for row in table.rows
    ]
    rows = [f"<tr>{row}</tr>" for row in rows]
    return [f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>", *rows, "</tbody>\n</table>"]


def _rows(table: Table) -> list[str]:
    rows = [f"| {' | '.join(_mark(cell) for cell in row)} |" for row in (table.head, *table.rows)]
    return [rows[0], f"|{'---|' * len(table.head)}", *rows[1:]]


def _escape(text: str) -> str:
    return html.escape(plain(text, 10_000))


def _mark(text: str) -> str:
    """With a backslash before what Markdown would take for a mark."""
    shown = plain(text, 10_000)
    shown = "".join(f"\\{c}" if c in "\\`*_{}#|~" else c for c in shown)
    return shown.replace("&", "&amp;").replace("<", "&lt;").replace("](", "]\\(")
