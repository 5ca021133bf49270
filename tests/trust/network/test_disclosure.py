"""What the server tells: nothing of this machine."""

import json
import re

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg

from tests.helpers.network import SECRETS, Listener, ask
from tests.helpers.paths import ROOT
from tools.screenshots import serve

pytestmark = pytest.mark.trust


@pytest.mark.slow
@pytest.mark.parametrize(
    "base",
    [
        "",
        "/static",
        "/media",
        "/app/static",
        "/component/dafnet_tiles",
        "/_stcore/bidi-components/dafnet_tiles",
        "/_stcore/upload_file",
    ],
)
def test_no_path_leads_out_of_what_is_served(server, base):
    for up in ("..", "%2e%2e", "..%2f..", "..%5c..", "%252e%252e", "/"):
        for file in ("etc/passwd", "app.py", ".streamlit/config.toml"):
            status, _, body = ask(server[0], f"{base}/" + f"{up}/" * 6 + file)
            assert not any(secret in body for secret in SECRETS)
            assert "maxUploadSize" not in body.decode("utf-8", "replace")
            assert status in (200, 400, 403, 404, 405)
            if status == 200:
                assert b"<title>Streamlit</title>" in body  # the app's own page, as for every unknown address


def test_endpoints_name_no_path_and_the_agent_s_are_off(server):
    for name in ("health", "metrics", "host-config", "script-health-check", "agent/openapi.json"):
        found = ask(server[0], f"/_stcore/{name}")[2]
        assert not any(secret in found for secret in SECRETS), name
    assert json.loads(ask(server[0], "/_stcore/host-config")[2])["allowedOrigins"] == []
    assert ask(server[0], "/_stcore/agent/interact", "POST", {"Content-Type": "application/json"}, b"{}")[0] >= 400


def test_every_answer_carries_the_headers_that_keep_a_browser_inside(server):
    for path in ("/", "/decompose", "/_stcore/health", "/static/nothing", "/media/nothing"):
        headers = ask(server[0], path)[1].lower()
        assert "content-security-policy: default-src 'self'" in headers
        assert "frame-ancestors 'self'" in headers
        assert "x-content-type-options: nosniff" in headers
        assert "access-control-allow-origin" not in headers
    assert "access-control-allow-origin" not in ask(server[0], "/_stcore/health", headers={"Origin": "https://a.b"})[1]


def test_the_first_messages_name_no_path_and_ask_for_no_telemetry(server):
    seen = Listener(server[0], "checkpoints")
    seen.close()
    started = next(m.new_session for m in seen.raw if m.WhichOneof("type") == "new_session")
    assert started.main_script_path == "app.py"
    assert not started.config.gather_usage_stats
    everything = b" ".join(message.SerializeToString() for message in seen.raw)
    assert not any(secret in everything for secret in SECRETS)


BROKEN = """
import streamlit as st
from starlette.middleware import Middleware
from streamlit.runtime.scriptrunner import get_script_run_ctx
from dafnet_explorer import server

def main():
    st.navigation([st.Page("raises.py", default=True), st.Page("unreadable.py")]).run()

if get_script_run_ctx(suppress_warning=True) is None:
    guard = Middleware(server.Guard, script=__file__)
    app = st.App(__file__, middleware=[guard], on_script_error=server.show_error)
else:
    main()
"""


def test_a_page_that_breaks_tells_the_browser_no_path_and_no_message(tmp_path, monkeypatch):
    (tmp_path / "broken.py").write_text(BROKEN)
    (tmp_path / "raises.py").write_text('raise FileNotFoundError(f"no such file as {__file__}")')
    (tmp_path / "unreadable.py").write_text("def f(:")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    with serve(script=str(tmp_path / "broken.py")) as (url, _):
        for page, kind in (("", "FileNotFoundError"), ("unreadable", "SyntaxError")):
            seen = Listener(url, page)
            seen.close()
            assert kind in " ".join(seen.problems)
            everything = b" ".join(message.SerializeToString() for message in seen.raw)
            for secret in (str(tmp_path).encode(), str(ROOT).encode(), b"no such file", b"Traceback"):
                assert secret not in everything


def test_no_visitor_empties_the_caches_of_all_or_lists_the_files_of_the_repository(server):
    seen = Listener(server[0])
    hits = re.compile(rb'_decomposition",cache_type="st_cache_resource",result="miss"} (\d+)')
    before = hits.search(ask(server[0], "/_stcore/metrics")[2])[1]
    for field in ("clear_cache", "load_git_info", "set_run_on_save"):
        message = BackMsg()
        setattr(message, field, True)
        seen._send(message)
    message = BackMsg()
    message.backend_operation_request.install_skills.SetInParent()
    seen._send(message)
    seen._run()
    seen.close()
    assert hits.search(ask(server[0], "/_stcore/metrics")[2])[1] == before
    assert {m.WhichOneof("type") for m in seen.raw}.isdisjoint({"git_info_changed", "backend_operation_response"})
