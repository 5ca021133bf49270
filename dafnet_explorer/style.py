"""Our style as part of Streamlit's own page: what a script sends is there only after the first elements are drawn.

Streamlit's browser code loads the scripts of an element when the first one of its kind comes, and has a bar of another
height in its place until then. Those of the elements that most pages have are loaded from the start instead.
"""

from __future__ import annotations

from pathlib import Path

import streamlit
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dafnet_explorer.paths import PACKAGE

SCRIPTS = Path(streamlit.__file__).parent / "static" / "static" / "js"
ELEMENTS = "Html Selectbox Slider ButtonGroup Checkbox Radio Multiselect NumberInput PageLink ImageList Metric Table"
ELEMENTS += " DownloadButton BidiComponent Progress Spinner"
PLACES = "abcdefgh"  # of the digits of width and height, in the classes of a container
LARGEST = 9999  # pixels


def preloads() -> str:
    """HTML that loads the scripts of ELEMENTS, after the fonts; those that this Streamlit lacks are left out."""
    names = sorted(file.name for element in ELEMENTS.split() for file in SCRIPTS.glob(f"{element}.*.js"))
    return "".join(f'<link rel="modulepreload" fetchpriority="low" href="./static/js/{name}">' for name in names)


def sizes() -> str:
    """CSS of --width and --height by the digits that `components.room` writes into a container's key."""
    digits = "".join(
        f'[class*="st-key-held"][class*="_{place}{digit}"]{{--{place}:{digit}}}'
        for place in PLACES
        for digit in range(10)
    )
    width, height = (
        " + ".join(f"{10**power}*var(--{place})" for place, power in zip(places, (3, 2, 1, 0), strict=True))
        for places in (PLACES[:4], PLACES[4:])
    )
    return f'{digits}[class*="st-key-held"]{{--width:calc({width});--height:calc({height})}}'


STYLE = f"<style>{(PACKAGE / 'style.css').read_text()}{sizes()}</style>{preloads()}".encode()


class Styled:
    """ASGI middleware: adds STYLE to the head of every HTML page."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start: Message | None = None

        async def send_styled(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start" and _is_page(message):
                start = message  # sent with the body, on which its length depends
                return
            if start:
                body = message.get("body", b"")
                styled = body.replace(b"</head>", STYLE + b"</head>", 1)
                headers = MutableHeaders(scope=start)
                headers["content-length"] = str(int(headers["content-length"]) + len(styled) - len(body))
                for name in ("etag", "last-modified"):  # they are those of Streamlit's file alone
                    del headers[name]
                await send(start)
                start, message = None, message | {"body": styled}
            await send(message)

        if scope["type"] == "http" and "text/html" in Headers(scope=scope).get("accept", ""):
            # uncompressed: Streamlit's page is two kilobytes
            scope = scope | {"headers": [h for h in scope["headers"] if h[0] != b"accept-encoding"]}
        await self.app(scope, receive, send_styled)


def _is_page(start: Message) -> bool:
    headers = Headers(raw=start["headers"])
    is_html = headers.get("content-type", "").startswith("text/html")
    return is_html and "content-length" in headers and "content-encoding" not in headers
