"""One HTML file with everything inside: it opens from disk, without a server and without a network, and prints clean.

Modules, the worker and the data are gzipped, written as base64 and unpacked by the browser, which loads the modules from
blob addresses; so the same modules draw the served page and the report.
"""

import base64
import gzip
import html
import json
import pathlib
import re

from cupages import server

SHARED = ("vendor/maplibre-gl.mjs", "common.mjs", "draw.mjs", "map.mjs")
WORKER = "/shared/vendor/maplibre-gl-worker.mjs"

# In document order every module may import those before it, under the address that the served page gives it.
LOADER = """
const unpacked = node => new Response(new Blob([Uint8Array.from(atob(node.textContent.trim()), c => c.charCodeAt(0))]).stream()
  .pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
globalThis.inlined = {};
globalThis.inlinedData = async name => unpacked(document.querySelector(`script[data-name="${name}"]`));
(async () => {
  try {
    for (const node of document.querySelectorAll("script[data-module]")) {
      let text = new TextDecoder().decode(await unpacked(node));
      for (const [name, url] of Object.entries(globalThis.inlined)) text = text.replaceAll(`"${name}"`, JSON.stringify(url));
      globalThis.inlined[node.dataset.module] = URL.createObjectURL(new Blob([text], {type: "text/javascript"}));
    }
    await import(globalThis.inlined[document.currentReport]);
  } catch (error) {
    const said = document.querySelector("[data-report-error]");
    if (said) { said.hidden = false; said.textContent = `The interactive part can't be drawn by this browser (${error.message}). The tables below hold every number.`; }
    throw error;
  }
})();
"""


def write(path, title, body, modules, data, styles=()):
    """Write the report to path and return its size in bytes.

    body: HTML inside <main>, already escaped (`table`, `text`); an element with the attribute data-report-error shows why
    the interactive part can't be drawn. modules: {"/page/x.mjs": path}, the last one is run; they may import SHARED and those
    before them. data: {name: bytes or JSON-able}; the module asks `await inlinedData(name)`, an ArrayBuffer. styles: paths of
    style sheets besides the shared one.
    """
    server.check_vendor()
    files = {WORKER: server.STATIC / WORKER.removeprefix("/shared/")}
    files |= {f"/shared/{name}": server.STATIC / name for name in SHARED} | modules
    sheets = [server.STATIC / "vendor" / "maplibre-gl.css", server.STATIC / "common.css", server.STATIC / "report.css", *styles]
    held = [f'<script type="text/plain" data-module="{name}">{packed(pathlib.Path(file).read_bytes())}</script>' for name, file in files.items()]
    held += [f'<script type="text/plain" data-name="{name}">{packed(value)}</script>' for name, value in data.items()]
    css = "\n".join(re.sub(r"</", r"<\\/", pathlib.Path(sheet).read_text(encoding="utf-8")) for sheet in sheets)
    page = "\n".join((
        "<!doctype html>", '<html lang="en">', "<head>", '<meta charset="utf-8">', '<meta name="viewport" content="width=device-width">',
        f"<title>{text(title)}</title>", '<link rel="icon" href="data:,">', f"<style>{css}</style>", "</head>", '<body class="report">',
        f"<main>{body}</main>", *held, f"<script>document.currentReport = {json.dumps(list(files)[-1])};{LOADER}</script>", "</body>", "</html>", ""))
    pathlib.Path(path).write_text(page, encoding="utf-8")
    return len(page.encode())


def packed(value):
    """bytes, or JSON-able data, as base64 of gzip."""
    raw = value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
    return base64.b64encode(gzip.compress(raw, 9, mtime=0)).decode()


def text(value):
    """A value as HTML text."""
    return html.escape(str(value))


def table(head, rows, classes=""):
    """An HTML table. head: titles; rows: lists of values, numbers stand to the right. A cell may be `raw` HTML."""
    def cell(value):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        shown = value.html if isinstance(value, Raw) else text(f"{value:,.6g}" if isinstance(value, float) else f"{value:,}" if number else value)
        return f'<td class="number">{shown}</td>' if number else f"<td>{shown}</td>"

    rows = list(rows)
    right = [rows and all(isinstance(row[i], int | float) or row[i] == "" for row in rows) and any(row[i] != "" for row in rows) for i in range(len(head))]
    titles = "".join(f'<th{" class=number" if at_right else ""}>{text(h)}</th>' for h, at_right in zip(head, right))
    return (f'<div class="table"><table class="{classes}"><thead><tr>{titles}</tr></thead><tbody>'
            + "".join(f"<tr>{''.join(map(cell, row))}</tr>" for row in rows) + "</tbody></table></div>")


class Raw:
    """HTML that `table` does not escape."""

    def __init__(self, text_of_html):
        self.html = text_of_html
