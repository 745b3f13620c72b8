"""What the pages' server refuses, each with a sentence: the rows of the safety table."""

import io
import pathlib
import socket
import zipfile

import numpy as np
import pytest
from browsing import ask, is_sentence, need_pages, wait_for_job
from cupages import safety, wire
from cupages.safety import Refused


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """(address, folder) of a small page; uploads go to the folder."""
    need_pages()
    from cupages import server
    folder = tmp_path_factory.mktemp("site")
    (folder / "page").mkdir()
    (folder / "page" / "index.html").write_text("<!doctype html><title>t</title><h1>Here</h1>")
    (folder / "secret.txt").write_text("not yours")
    kept = folder / "kept"

    async def upload(request):
        return {"bytes": await safety.save_upload(request, kept, ("image/*", "application/zip"), 1000)}

    async def echo(request):
        return {"got": await safety.read_json(request)}

    def wait(request):
        def work(job):
            for i in range(10_000):
                job.say("counting", i / 10_000)
                __import__("time").sleep(0.005)
        return {"job": app.state.jobs.start(safety.tab_of(request), "a long count", work).id}

    def fail(request):
        raise {"bad": ValueError("row 3 of plants.csv has no MW;\n give one"), "bug": KeyError("inside")}[request.query_params["how"]]

    app = server.create_app(folder / "page", {"POST /api/upload": upload, "POST /api/echo": echo, "POST /api/wait": wait, "/api/fail": fail},
                            mendable=(ValueError,))
    with server.running(app) as address:
        yield address, folder


def refused(answer, status, *words):
    got, content, headers = answer
    assert got == status, (got, content)
    assert is_sentence(content["error"]) and all(w in content["error"] for w in words), content
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_the_page_is_served_on_this_machine_only_with_its_headers(site):
    address, _ = site
    status, content, headers = ask(address, "/")
    assert status == 200 and b"Here" in content
    assert "default-src 'none'" in headers["Content-Security-Policy"] and "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["Referrer-Policy"] == "no-referrer"
    assert address.startswith("http://127.0.0.1:")
    assert ask(address, "/shared/vendor/maplibre-gl.mjs")[0] == 200
    assert ask(address, "/favicon.ico")[0] == 200


@pytest.mark.parametrize("path", ["/page/../secret.txt", "/page/%2e%2e/secret.txt", "/page/..%2fsecret.txt", "/page/..%5csecret.txt", "/page/.%2E/secret.txt",
                                  "/shared/../../../secret.txt", "/../../etc/passwd", "/page/%00", "/page//etc/passwd"])
def test_paths_that_lead_out_are_refused(site, path):
    status, content, _ = ask(site[0], path)
    assert status in (400, 404) and is_sentence(content["error"]), (status, content)


def test_a_link_that_leads_out_of_the_page_is_not_followed(site):
    address, folder = site
    (folder / "page" / "link.txt").symlink_to(folder / "secret.txt")
    status, content, _ = ask(address, "/page/link.txt")
    (folder / "page" / "link.txt").unlink()
    assert status == 404 and is_sentence(content["error"])


def test_uploads_too_large_are_refused_and_leave_nothing(site):
    address, folder = site
    refused(ask(address, "/api/upload", "POST", b"x" * 1001, Content_Type="image/png"), 413, "MB")
    # a body that does not say how long it is
    chunks = b"".join(b"200\r\n" + b"x" * 0x200 + b"\r\n" for _ in range(4)) + b"0\r\n\r\n"
    refused(ask(address, "/api/upload", "POST", chunks, Content_Type="image/png", Transfer_Encoding="chunked", Content_Length=None), 413, "MB")
    refused(ask(address, "/api/upload", "POST", b"", Content_Type="image/png"), 400, "empty")
    assert not (folder / "kept").exists()
    assert ask(address, "/api/upload", "POST", b"x" * 1000, Content_Type="image/png")[1] == {"bytes": 1000}
    (folder / "kept").unlink()
    refused(ask(address, "/api/echo", "POST", {"long": "x" * 2_000_001}), 413, "MB")


def test_wrong_content_types_are_refused(site):
    address, folder = site
    refused(ask(address, "/api/upload", "POST", b"<html>", Content_Type="text/html"), 415, "image/*")
    refused(ask(address, "/api/echo", "POST", b"{}", Content_Type="text/plain"), 415, "application/json")
    refused(ask(address, "/api/echo", "POST", b"{", Content_Type="application/json"), 400, "JSON")
    refused(ask(address, "/api/echo", "POST", b"[1]", Content_Type="application/json"), 400, "object")
    refused(ask(address, "/api/echo", "POST", b"[" * 100_000, Content_Type="application/json"), 400)
    assert not (folder / "kept").exists()
    assert ask(address, "/api/echo", "POST", {"a": 1})[1] == {"got": {"a": 1}}


def test_other_sites_are_refused(site):
    address, _ = site
    body = {"a": 1}
    refused(ask(address, "/api/echo", "POST", body, Origin="http://evil.example"), 403, "another web site")
    refused(ask(address, "/api/echo", "POST", body, Origin="null"), 403, "another web site")
    refused(ask(address, "/api/echo", "POST", body, Sec_Fetch_Site="cross-site"), 403, "another web site")
    refused(ask(address, "/api/fail?how=bad", Sec_Fetch_Site="same-site", Sec_Fetch_Mode="no-cors"), 403, "another web site")
    refused(ask(address, "/api/echo", "POST", body, tab=None), 403, "tab")            # a form of another site can't send the header
    refused(ask(address, "/", Host="evil.example"), 421, "localhost")                  # a name that was pointed at 127.0.0.1
    refused(ask(address, "/", Host="127.0.0.1.evil.example"), 421, "localhost")
    refused(ask(address, "/", "DELETE"), 405)
    assert ask(address, "/", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate", Sec_Fetch_Dest="document")[0] == 200   # a link to the page
    assert ask(address, "/api/echo", "POST", body, Origin=address)[0] == 200


def test_two_tabs_do_not_see_or_stop_each_others_work(site):
    address, _ = site
    mine, theirs = (ask(address, "/api/wait", "POST", {}, tab=tab)[1]["job"] for tab in ("tab-number-one", "tab-number-two"))
    refused(ask(address, f"/api/jobs/{mine}", tab="tab-number-two"), 404, "this tab")
    refused(ask(address, f"/api/jobs/{mine}/cancel", "POST", {}, tab="tab-number-two"), 404, "this tab")
    ask(address, f"/api/jobs/{mine}/cancel", "POST", {}, tab="tab-number-one")
    told = wait_for_job(address, mine, tab="tab-number-one")
    assert told["state"] == "cancelled" and told["steps"][0]["step"] == "counting"
    assert ask(address, f"/api/jobs/{theirs}", tab="tab-number-two")[1]["state"] == "running"
    ask(address, f"/api/jobs/{theirs}/cancel", "POST", {}, tab="tab-number-two")
    assert wait_for_job(address, theirs, tab="tab-number-two")["state"] == "cancelled"


def test_errors_are_sentences(site, caplog):
    address, _ = site
    refused(ask(address, "/api/fail?how=bad"), 422, "row 3 of plants.csv has no MW; give one")
    refused(ask(address, "/api/fail?how=bug"), 500, "no fault of yours")
    assert "inside" in caplog.text      # the terminal shows it
    refused(ask(address, "/nothing"), 404, "/nothing")


def test_zip_bombs_and_escapes_are_refused(tmp_path):
    def packed(name, content):
        path = tmp_path / "a.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr(name, content)
        return path

    safety.check_zip(packed("a.txt", b"fine"), 10_000)
    for path, words in ((lambda: packed("bomb", bytes(20_000_000)), "times its size"), (lambda: packed("../up", b"x"), "outside"),
                        (lambda: packed("/etc/x", b"x"), "outside"), (lambda: packed("C:\\x", b"x"), "outside")):
        with pytest.raises(Refused, match=words):
            safety.check_zip(path(), 10**9)
    with pytest.raises(Refused, match="at most"):
        safety.check_zip(packed("large", np.random.default_rng(0).bytes(2000)), 1000)
    (tmp_path / "b.zip").write_bytes(b"PK no zip")
    with pytest.raises(Refused, match="damaged"):
        safety.check_zip(tmp_path / "b.zip", 1000)


def test_a_zip_that_lies_about_its_size_is_stopped_while_it_unpacks(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a", bytes(5_000_000))
    with zipfile.ZipFile(buffer) as file, pytest.raises(Refused, match="unpacks to more than"):
        safety.unpack_member(file, file.infolist()[0], tmp_path / "a", 1_000_000)
    assert not (tmp_path / "a").exists()


def test_pictures_that_are_bombs_are_refused_by_their_header():
    safety.check_picture(2048, 2048, 1, 1, 3_000_000, 1e9)
    with pytest.raises(Refused, match="megapixels"):
        safety.check_picture(100_000, 100_000, 1, 1, 3_000_000, 1e9)
    with pytest.raises(Refused, match="times its file"):
        safety.check_picture(30_000, 30_000, 3, 1, 10_000, 1e9)


def test_names_of_files_lose_what_leads_elsewhere():
    assert safety.safe_name("../../etc/passwd") == "passwd"
    assert safety.safe_name("C:\\a\\b c.tif") == "b_c.tif"
    assert safety.safe_name("...") == "file" and safety.safe_name("") == "file" and safety.safe_name(".bashrc") == "bashrc"


def test_a_taken_port_is_said_and_otherwise_the_next_one_is_used(site):
    from cupages import server
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(server.PageError, match=f"port {port} is taken.*--port"):
            server._socket("127.0.0.1", port, 8600)
        other = server._socket("127.0.0.1", None, port)
        assert other.getsockname()[1] != port
        other.close()
    with pytest.raises(server.PageError, match="--host"):
        server._socket("203.0.113.7", 0, 8600)


def test_missing_libraries_are_said(monkeypatch, tmp_path):
    from cupages import server
    monkeypatch.setattr(server, "STATIC", tmp_path)
    with pytest.raises(server.PageError, match="make pages"):
        server.create_app(tmp_path, {})


def test_the_lock_file_has_no_addresses():
    text = (pathlib.Path(safety.__file__).parent / "package-lock.json").read_text()
    assert "resolved" not in text and "registry" not in text and ".tgz" not in text
    assert text.count("sha512-") > 20


def test_tables_on_the_wire():
    packed = wire.pack_table({"a": np.arange(5, dtype=np.float32), "b": np.array([1, 2], np.int32), "none": np.zeros(0, np.uint8)}, hour="h", note="é")
    import json
    import struct
    size, = struct.unpack("<I", packed[:4])
    head = json.loads(packed[4:4 + size])
    assert head["hour"] == "h" and head["note"] == "é"
    a, b, none = head["columns"]
    assert all(c["offset"] % 8 == 0 for c in head["columns"]) and none["count"] == 0
    np.testing.assert_array_equal(np.frombuffer(packed, np.float32, 5, a["offset"]), np.arange(5))
    np.testing.assert_array_equal(np.frombuffer(packed, np.int32, 2, b["offset"]), [1, 2])
    with pytest.raises(TypeError, match="int64"):
        wire.pack_table({"x": np.zeros(2, np.int64)})
