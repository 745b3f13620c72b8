"""What is refused before a page's own code sees it, and uploads within limits.

A page on localhost can be reached by every web site that its user has open, so who asks is checked: the Host (against
names that an attacker points at 127.0.0.1), the Origin and Sec-Fetch-Site (against other sites), and a header of our own
on whatever changes something (which another site can't send without being asked first, and is then refused).
"""

import re
import zipfile

from starlette.responses import JSONResponse

LOCAL = ("localhost", "127.0.0.1", "[::1]")
TAB_HEADER = "x-tab"
TAB = re.compile(r"[A-Za-z0-9_-]{8,64}")
JSON_LIMIT = 2_000_000          # bytes
CHUNK = 1 << 20
MAY_ASK = ("GET", "HEAD", "POST")
# blob: for workers and pictures made in the browser; data: for the small pictures in MapLibre's style sheet. Scripts may set
# element.style; a style attribute or a script in the text of a page is refused.
POLICY = ("default-src 'none'; script-src 'self' blob:; worker-src 'self' blob:; style-src 'self'; img-src 'self' blob: data:; "
          "connect-src 'self' blob: data:; font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
HEADERS = {
    "content-security-policy": POLICY, "x-content-type-options": "nosniff", "referrer-policy": "no-referrer", "x-frame-options": "DENY",
    "cross-origin-resource-policy": "same-origin", "cross-origin-opener-policy": "same-origin", "cache-control": "no-cache",
}


class Refused(Exception):
    """A request that is not answered: status (HTTP) and a sentence for the person."""

    def __init__(self, status, sentence):
        super().__init__(sentence)
        self.status, self.sentence = status, sentence

    def response(self):
        return JSONResponse({"error": self.sentence}, self.status)


class Guard:
    """ASGI middleware: refuses what is not asked by the page itself, and adds the headers of HEADERS to every answer.

    hosts: names under which this server may be asked for, besides LOCAL; None: any (the user bound it to a network).
    """

    def __init__(self, app, hosts=()):
        self.app, self.hosts = app, None if hosts is None else {*LOCAL, *hosts}

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                return
            await self.app(scope, receive, send)
            return

        async def with_headers(message):
            if message["type"] == "http.response.start":
                given = {name for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *((n.encode(), v.encode()) for n, v in HEADERS.items() if n.encode() not in given)]
            await send(message)

        try:
            self.check(scope)
        except Refused as refused:
            await refused.response()(scope, receive, with_headers)
            return
        await self.app(scope, receive, with_headers)

    def check(self, scope):
        """Raises Refused. scope: of an HTTP request, as ASGI says."""
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get("host", "")
        if self.hosts is not None and _name(host) not in self.hosts:
            raise Refused(421, f"this server answers on localhost, not under the name {host[:80]!r}: open the address that it printed")
        origin = headers.get("origin")
        if origin is not None and origin != f"{scope.get('scheme', 'http')}://{host}":
            raise Refused(403, "another web site asked, so nothing was done: use the page that this server shows")
        site, path = headers.get("sec-fetch-site", "none"), scope["path"]
        opened = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document" and path == "/"
        if site not in ("none", "same-origin") and not opened:
            raise Refused(403, "another web site asked, so nothing was done: use the page that this server shows")
        raw = scope.get("raw_path", b"").decode("latin-1").lower()
        if any(part in ("..", "%2e%2e", ".%2e", "%2e.") for part in re.split(r"[/\\]|%2f|%5c", raw)) or ".." in path.split("/") or "\\" in path or "\0" in path:
            raise Refused(400, "the path leads out of the page's folder, so nothing was read")
        if scope["method"] not in MAY_ASK:
            raise Refused(405, f"{scope['method']} is not answered here: only {', '.join(MAY_ASK)}")
        if scope["method"] == "POST" and not TAB.fullmatch(headers.get(TAB_HEADER, "")):
            raise Refused(403, "the request does not say from which tab of the page it comes, so nothing was done")


def _name(host):
    return host.rsplit(":", 1)[0].lower() if re.search(r":\d+$", host) else host.lower()


def tab_of(request):
    """The id that a tab of the page gave itself, from the header or, for pictures and links, from ?tab=. Raises Refused."""
    tab = request.headers.get(TAB_HEADER) or request.query_params.get("tab", "")
    if not TAB.fullmatch(tab):
        raise Refused(400, "the request does not say from which tab of the page it comes: reload the page")
    return tab


async def read_json(request, limit=JSON_LIMIT):
    """The object that a request carries. Raises Refused for another content type, more than limit bytes, or what is no JSON object."""
    import json

    _check_type(request, ("application/json",))
    try:
        data = json.loads(b"".join([chunk async for chunk in _chunks(request, limit)]))
    except (ValueError, RecursionError):
        raise Refused(400, "the request is not JSON, so nothing was done") from None
    if not isinstance(data, dict):
        raise Refused(400, "the request is JSON but no object, so nothing was done")
    return data


async def save_upload(request, path, types, limit):
    """Write the body of a request to path, chunk by chunk, and return the bytes written; on refusal no file stays.

    types: content types that are taken, `image/*` for a family. limit: bytes. Raises Refused.
    """
    _check_type(request, types)
    written = 0
    try:
        with open(path, "xb") as file:
            async for chunk in _chunks(request, limit):
                file.write(chunk)
                written += len(chunk)
        if written == 0:
            raise Refused(400, "the file is empty: choose another")
    except Exception:
        path.unlink(missing_ok=True)
        raise
    return written


def safe_name(name, fallback="file"):
    """The last part of a name that a browser gave, of letters, digits, dot, dash and underscore; never empty, never hidden."""
    last = re.split(r"[/\\]", str(name))[-1]
    return re.sub(r"[^A-Za-z0-9._-]+", "_", last).lstrip(".")[-100:] or fallback


def check_zip(path, most_bytes, most_files=10_000, most_ratio=200):
    """Raises Refused for a zip file that is damaged, unpacks to more than most_bytes or most_files, shrinks by more than
    most_ratio (a zip bomb), or names files outside its folder. Sizes are those that the file says; unpack with a limit too
    (`unpack_member`), for they may lie."""
    try:
        with zipfile.ZipFile(path) as packed:
            members = packed.infolist()
    except (zipfile.BadZipFile, OSError, ValueError):
        raise Refused(400, "the zip file is damaged: pack it again") from None
    size, held = sum(m.file_size for m in members), sum(m.compress_size for m in members)
    if len(members) > most_files:
        raise Refused(413, f"the zip file holds {len(members):,} files: at most {most_files:,} are taken")
    if size > most_bytes:
        raise Refused(413, f"the zip file unpacks to {_megabytes(size)}: at most {_megabytes(most_bytes)} are taken")
    if size > most_ratio * max(held, 1) and size > 1_000_000:
        raise Refused(413, f"the zip file unpacks to {size / max(held, 1):,.0f} times its size, which no picture does: nothing was unpacked")
    for member in members:
        parts = re.split(r"[/\\]", member.filename)
        if ".." in parts or member.filename.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", member.filename):
            raise Refused(400, f"the zip file names {member.filename[:80]!r}, outside its own folder: nothing was unpacked")


def unpack_member(packed, member, path, most_bytes):
    """Write one member of an open ZipFile to path, at most most_bytes whatever its header says. Raises Refused, leaving no file."""
    written = 0
    try:
        with packed.open(member) as source, open(path, "xb") as target:
            while chunk := source.read(CHUNK):
                written += len(chunk)
                if written > most_bytes:
                    raise Refused(413, f"{member.filename[:80]} unpacks to more than {_megabytes(most_bytes)}: nothing was kept")
                target.write(chunk)
    except (zipfile.BadZipFile, Refused) as error:
        path.unlink(missing_ok=True)
        raise error if isinstance(error, Refused) else Refused(400, "the zip file is damaged: pack it again") from None
    return written


def check_picture(width, height, channels, bytes_a_value, file_bytes, most_pixels, most_ratio=2000):
    """Raises Refused for a picture whose header says more than most_pixels, or that unpacks to most_ratio times its file (a
    decompression bomb). To be asked before a decoder is."""
    pixels = width * height
    if pixels > most_pixels:
        raise Refused(413, f"the picture has {width:,} x {height:,} pixels: at most {most_pixels / 1e6:,.0f} megapixels are taken")
    unpacked = pixels * channels * bytes_a_value
    if unpacked > most_ratio * max(file_bytes, 1) and unpacked > 50_000_000:
        raise Refused(413, f"the picture unpacks to {unpacked / max(file_bytes, 1):,.0f} times its file, which no picture from a microscope does: it was not opened")


def _check_type(request, types):
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not any(given == t or (t.endswith("/*") and given.startswith(t[:-1])) for t in types):
        raise Refused(415, f"content of type {given or 'none'!r} is not taken here: send {' or '.join(types)}")


async def _chunks(request, limit):
    said = request.headers.get("content-length", "")
    if said.isdigit() and int(said) > limit:
        raise Refused(413, f"{_megabytes(int(said))} are too much: at most {_megabytes(limit)} are taken")
    read = 0
    async for chunk in request.stream():
        read += len(chunk)
        if read > limit:
            raise Refused(413, f"too much was sent: at most {_megabytes(limit)} are taken")
        yield chunk


def _megabytes(size):
    return f"{size / 1e6:,.1f} MB" if size < 1e9 else f"{size / 1e9:,.1f} GB"
