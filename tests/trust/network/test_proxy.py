"""The app for a class: behind nginx with TLS and a password, by the example of docs/nginx.conf."""

import http.client
import os
import shutil
import socket
import ssl
import subprocess
import time
from base64 import b64encode
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image

from tests.helpers.paths import ROOT
from tools.screenshots import serve

pytestmark = [pytest.mark.slow, pytest.mark.trust, pytest.mark.browser]
HOST = "explorer.example.org"  # as the example has it; led to loopback here
NAME, PASSWORD = "class", "a long password: 40 students"
LOGIN = {"Authorization": "Basic " + b64encode(f"{NAME}:{PASSWORD}".encode()).decode()}
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
NGINX = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
if not (CHROMIUM and NGINX and shutil.which("openssl")) and not os.environ.get("DAFNET_REQUIRE_BROWSER"):
    pytest.skip(
        "needs nginx, openssl and Chromium (Debian: apt-get install nginx openssl chromium)", allow_module_level=True
    )

MAIN = """
{user}
daemon off;
pid nginx.pid;
error_log error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    include site.conf;
}}
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextmanager
def nginx(folder, app):
    """Debian's nginx on loopback, with the site of docs/nginx.conf; its ports for HTTP and HTTPS."""
    plain, secure = free_port(), free_port()
    changes = {
        "listen 80;": f"listen 127.0.0.1:{plain};",
        "listen 443 ssl http2;": f"listen 127.0.0.1:{secure} ssl http2;",
        "https://$host$request_uri": f"https://$host:{secure}$request_uri",
        "/etc/ssl/explorer": str(folder),
        "/etc/nginx/explorer.htpasswd": f"{folder}/htpasswd",
        "http://127.0.0.1:8501": app,
    }
    site = (ROOT / "docs" / "nginx.conf").read_text()
    for what, by in changes.items():
        assert what in site
        site = site.replace(what, by)
    (folder / "site.conf").write_text(site)
    (folder / "nginx.conf").write_text(MAIN.format(user="user root;" if os.geteuid() == 0 else ""))
    key = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", f"/CN={HOST}"]
    key += ["-addext", f"subjectAltName=DNS:{HOST}", "-keyout", folder / "key.pem", "-out", folder / "fullchain.pem"]
    subprocess.run(key, check=True, capture_output=True)
    hashed = subprocess.run(["openssl", "passwd", "-6", PASSWORD], check=True, capture_output=True, text=True).stdout
    (folder / "htpasswd").write_text(f"{NAME}:{hashed}")
    process = subprocess.Popen([NGINX, "-p", folder, "-c", "nginx.conf", "-e", "error.log"])
    try:
        for _ in range(100):
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", secure)) == 0:
                    break
            assert process.poll() is None, (folder / "error.log").read_text()
            time.sleep(0.05)
        yield plain, secure
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of nginx and its ports, in front of an app that was started as the example says."""
    folder = tmp_path_factory.mktemp("nginx")
    with serve(f"--server.allowedHosts={HOST}") as (url, _), nginx(folder, url) as ports:
        yield folder, *ports


@pytest.fixture
def ask(site):
    """Status, headers and body of a request over TLS, whose certificate is verified."""
    folder, _, port = site

    def ask(path, headers=None, method="GET", length=None):
        context = ssl.create_default_context(cafile=folder / "fullchain.pem")
        connection = http.client.HTTPSConnection(HOST, port, context=context, timeout=20)
        connection._create_connection = lambda *_: socket.create_connection(("127.0.0.1", port))
        connection.putrequest(method, path)
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        if length:
            connection.putheader("Content-Length", str(length))
        connection.endheaders()
        answer = connection.getresponse()
        found = answer.status, answer.headers, answer.read()
        connection.close()
        return found

    return ask


def test_nothing_is_had_without_the_password(ask):
    wrong = {"Authorization": "Basic " + b64encode(b"class:guessed").decode()}
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    for path in ("/", "/decompose", "/_stcore/health", "/_stcore/host-config", "/static/js/index.js", "/media/x"):
        assert ask(path)[0] == ask(path, wrong)[0] == 401
    assert ask("/_stcore/stream", upgrade)[0] == 401
    assert ask("/_stcore/upload_file/a/b", method="PUT")[0] == 401


def test_with_the_password_it_answers_with_its_headers(ask):
    status, headers, _ = ask("/_stcore/health", LOGIN)
    assert status == 200
    assert headers["Strict-Transport-Security"]
    assert headers.get_all("Content-Security-Policy")[0].startswith("default-src 'self'")
    assert "Secure" in headers["Set-Cookie"]
    assert headers["Server"] == "nginx"
    assert ask("/_stcore/metrics", LOGIN)[0] == 404


def test_a_body_above_the_limit_ends_at_the_proxy(ask):
    assert ask("/_stcore/upload_file/a/b", LOGIN, "PUT", 130 << 20)[0] == 413


def test_plain_http_is_sent_to_tls(site):
    connection = http.client.HTTPConnection("127.0.0.1", site[1], timeout=20)
    connection.request("GET", "/tour?station=4", headers={"Host": HOST})
    answer = connection.getresponse()
    assert (answer.status, answer.headers["Location"]) == (301, f"https://{HOST}:{site[2]}/tour?station=4")
    connection.close()


def test_a_class_works_through_it(site, tmp_path):
    from playwright.sync_api import expect, sync_playwright

    folder, _, port = site
    files = [tmp_path / f"{name}.png" for name in ("cine", "LGE")]
    for n, file in enumerate(files):
        Image.fromarray(np.random.default_rng(n).integers(0, 255, (90, 80), np.uint8)).save(file)
    with sync_playwright() as p:
        here = f"--host-resolver-rules=MAP {HOST} 127.0.0.1"
        quiet = ["--no-sandbox", "--disable-background-networking"]
        chromium = p.chromium.launch(executable_path=CHROMIUM, args=[*quiet, here])
        context = chromium.new_context(
            ignore_https_errors=True,  # the certificate is its own authority; `ask` verifies it
            http_credentials={"username": NAME, "password": PASSWORD},
        )
        page = context.new_page()
        page.set_default_timeout(30_000)
        sockets, errors = [], []
        page.on("websocket", lambda s: sockets.append(s.url))
        page.on("console", lambda m: errors.append(m.text) if "Content Security Policy" in m.text else None)
        page.goto(f"https://{HOST}:{port}/traverse")
        yours = page.get_by_alt_text("The image, its reconstruction, and with your z").first
        expect(yours).to_be_visible(timeout=30_000)  # it is the server's first visit
        before = yours.get_attribute("src")
        page.locator(".st-key-z-0 input[type=range]").focus()
        page.keyboard.press("ArrowRight")
        expect(yours).not_to_have_attribute("src", before, timeout=30_000)
        page.get_by_role("radio", name="My files").click()
        page.locator(".st-key-drop input[type=file]").set_input_files(files)
        page.get_by_text(f"{files[0].name}; {files[1].name}").first.wait_for()
        page.get_by_text("This checkpoint was trained on").first.wait_for()
        expect(yours).to_be_visible(timeout=30_000)
        chromium.close()
    assert all(url.startswith(f"wss://{HOST}:{port}/") for url in sockets)
    assert sockets
    assert errors == []
    # that and nothing else: what passed through lies in no file of the proxy
    kept = [f for f in folder.rglob("*") if f.is_file()]
    assert {f.name for f in kept} <= {
        "site.conf",
        "nginx.conf",
        "key.pem",
        "fullchain.pem",
        "htpasswd",
        "nginx.pid",
        "error.log",
    }
