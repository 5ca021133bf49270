"""One session of the app through its real websocket, uploader and media files, as a browser has it, without drawing."""

from __future__ import annotations

import re
import time
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from email.message import Message
from typing import Any

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Element_pb2 import Element
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.sync.client import connect

WAIT = 120.0  # seconds for any answer
MARK = re.compile(rb"mark-[0-9a-f]{16}")  # what names of uploads look like in tests; looked for in all that comes
SIDEBAR = 1  # where its elements' paths begin
FIELDS = {  # of a widget's state, by the kind of element
    "slider": "double_array_value",
    "selectbox": "string_value",
    "button_group": "string_array_value",
    "checkbox": "bool_value",
    "number_input": "double_value",
    "button": "trigger_value",
}


@dataclass(frozen=True)
class Shown:
    """An element of the page, and the run and fragment that drew it."""

    element: Element
    fragment: str
    run: int


class Visitor:
    """A session of its own: it has opened a page when it is made, and leaves when it is closed.

    Args:
        url: of the server.
        page: its path, "" for the first one; query: what follows ? in its address.

    Attributes:
        problems: exceptions and error boxes that were ever shown, and messages of trouble.
        marks: whatever in all that came looks like MARK.
    """

    def __init__(self, url: str, page: str = "", query: str = "") -> None:
        self.url = url
        with urllib.request.urlopen(f"{url}/_stcore/health", timeout=WAIT) as answer:
            self._token = _cookie(answer.headers)
        self._cookie = {"Cookie": f"_streamlit_xsrf={self._token}"}
        self.session = ""
        self._connect()
        self.problems: list[str] = []
        self.marks: set[str] = set()
        self._shown: dict[tuple[int, ...], Shown] = {}
        self._widgets: dict[str, WidgetState] = {}
        self._repeated: dict[str, float] = {}  # seconds between runs of a fragment that runs by itself
        self._pages: dict[str, str] = {}
        self._page, self._query = "", query
        self._runs = 0
        self._partly: set[str] = set()  # fragments of this run; none in a run of all
        self._run(page_name=page)

    def close(self) -> None:
        """Leave without a word, as a browser that is closed."""
        self._until_left.close()

    def come_back(self) -> None:
        """Connect to the same session again, as a browser does whose connection was lost."""
        self._connect(self.session)
        self._run()

    # what is shown

    def elements(self, kind: str) -> list[Any]:
        """All that the page shows of a kind, such as markdown, alert, imgs, progress, slider."""
        return [
            getattr(s.element, kind) for _, s in sorted(self._shown.items()) if s.element.WhichOneof("type") == kind
        ]

    @property
    def said(self) -> str:
        """All texts of the page."""
        texts = [element.body for kind in ("markdown", "alert", "heading") for element in self.elements(kind)]
        return " ".join(texts + [bar.text for bar in self.elements("progress")])

    @property
    def pictures(self) -> dict[str, str]:
        """Addresses of the page's pictures by their alternative text; an address is a hash of the picture."""
        return {image.alt: image.url for group in self.elements("imgs") for image in group.imgs}

    def has(self, key: str) -> bool:
        return any(_key(element) == key for element, _ in self._drawn())

    # what is done

    def open(self, page: str) -> None:
        """Choose a page in the navigation; what was set in the sidebar stays."""
        self._page, self._query = self._pages[page], ""
        beside = {getattr(_widget(s.element), "id", "") for path, s in self._shown.items() if path[0] == SIDEBAR}
        self._widgets = {name: state for name, state in self._widgets.items() if name in beside}
        self._run()

    def set(self, key: str, value: Any) -> None:
        """Give a widget a value, or press a button, by its key (or a button's label), and wait for the page."""
        element, fragment = next(
            (e, f) for e, f in self._drawn() if key in (_key(e), getattr(_widget(e), "label", None) or None)
        )
        kind = element.WhichOneof("type")
        state, field = WidgetState(id=_widget(element).id), FIELDS[kind]
        if field.endswith("array_value"):
            getattr(state, field).data.extend(value if isinstance(value, list) else [value])
        else:
            setattr(state, field, value)
        if kind != "button":
            self._widgets[state.id] = state
        self._run(fragment, extra=state)

    def upload(self, key: str, name: str, data: bytes) -> None:
        """Give an uploader a file, and wait for the page."""
        element, fragment = next((e, f) for e, f in self._drawn() if _key(e) == key)
        message = BackMsg()
        request = message.file_urls_request
        request.request_id, request.session_id = key, self.session
        request.file_names.append(name)
        self._send(message)
        place = self._hear(lambda m: m.WhichOneof("type") == "file_urls_response").file_urls_response.file_urls[0]
        line = "visitor-of-the-tests"
        head = f'--{line}\r\nContent-Disposition: form-data; name="{name}"; filename="{name}"\r\n\r\n'
        body = head.encode() + data + f"\r\n--{line}--\r\n".encode()
        headers = self._cookie | {
            "X-Xsrftoken": self._token,
            "Content-Type": f"multipart/form-data; boundary={line}",
            "Origin": self.url,
        }
        with urllib.request.urlopen(
            urllib.request.Request(self.url + place.upload_url, body, headers, method="PUT"), timeout=WAIT
        ):
            pass
        state = WidgetState(id=_widget(element).id)
        info = state.file_uploader_state_value.uploaded_file_info.add()
        info.name, info.size, info.file_id = name, len(data), place.file_id
        info.file_urls.CopyFrom(place)
        self._widgets[state.id] = state
        self._run(fragment)

    def download(self, label: str) -> bytes:
        """What a download button gives that makes its file when it is pressed."""
        return self.fetch(self.make(label))

    def make(self, label: str) -> str:
        """Press a download button: the address of the file that it made."""
        button = next(b for b in self.elements("download_button") if b.label == label)
        message = BackMsg()
        request = message.backend_operation_request
        request.request_id, request.session_id = label, self.session
        request.deferred_file.file_id = button.deferred_file_id
        self._send(message)
        answer = self._hear(lambda m: m.WhichOneof("type") == "backend_operation_response").backend_operation_response
        if answer.error_msg:
            raise RuntimeError(answer.error_msg)
        return answer.deferred_file.url

    def fetch(self, address: str) -> bytes:
        """A picture or a download."""
        with urllib.request.urlopen(
            urllib.request.Request(self.url + address, headers=self._cookie), timeout=WAIT
        ) as answer:
            data = answer.read()
        self.marks |= {found.decode() for found in MARK.findall(data)}
        return data

    def wait(self, until: Callable[[], bool], seconds: float) -> bool:
        """Let the fragments run that run by themselves, as a browser does, until a condition holds; False if it never
        did."""
        end = time.monotonic() + seconds
        while not until():
            if time.monotonic() > end:
                return False
            if not self._repeated:
                time.sleep(0.05)
                continue
            fragment, interval = next(iter(self._repeated.items()))
            time.sleep(interval)
            self._run(fragment, auto=True)
        return True

    # the protocol

    def _connect(self, *session: str) -> None:
        self._until_left = ExitStack()
        self._socket = self._until_left.enter_context(
            connect(
                f"{self.url.replace('http', 'ws', 1)}/_stcore/stream",
                origin=self.url,
                subprotocols=["streamlit", self._token, *session],
                additional_headers=self._cookie,
                max_size=None,
                open_timeout=WAIT,
                close_timeout=5,
            )
        )

    def _drawn(self) -> list[tuple[Element, str]]:
        return [(s.element, s.fragment) for _, s in sorted(self._shown.items())]

    def _send(self, message: BackMsg) -> None:
        self._socket.send(message.SerializeToString())

    def _run(
        self, fragment: str = "", *, auto: bool = False, page_name: str = "", extra: WidgetState | None = None
    ) -> None:
        """Let the script run, all of it or a fragment, until it has ended, again if it says so."""
        message = BackMsg()
        state = message.rerun_script
        state.query_string, state.fragment_id, state.is_auto_rerun = self._query, fragment, auto
        state.page_script_hash, state.page_name = self._page, page_name
        state.context_info.url, state.context_info.color_scheme = self.url, "light"
        widgets = self._widgets if extra is None else self._widgets | {extra.id: extra}
        state.widget_states.widgets.extend(widgets.values())
        self._send(message)
        ended = self._hear(
            lambda m: (
                m.WhichOneof("type") == "script_finished" and m.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN
            )
        )
        if ended.script_finished == ForwardMsg.FINISHED_WITH_COMPILE_ERROR:
            self.problems.append("the script does not compile")

    def _hear(self, last: Callable[[ForwardMsg], bool]) -> ForwardMsg:
        end = time.monotonic() + WAIT
        while True:
            data = self._socket.recv(timeout=max(0.0, end - time.monotonic()))
            self.marks |= {found.decode() for found in MARK.findall(data)}
            message = ForwardMsg.FromString(data)
            self._take(message)
            if last(message):
                return message

    def _take(self, message: ForwardMsg) -> None:
        kind = message.WhichOneof("type")
        if kind == "new_session":
            self.session = message.new_session.initialize.session_id
            self._page = message.new_session.page_script_hash
            self._runs += 1
            self._partly = set(message.metadata.run.fragment_ids)
            if not self._partly:
                self._repeated.clear()
        elif kind == "navigation":
            self._pages = {page.url_pathname: page.page_script_hash for page in message.navigation.app_pages}
            self._page = message.navigation.page_script_hash
        elif kind == "page_info_changed":
            self._query = message.page_info_changed.query_string
        elif kind == "auto_rerun":
            self._repeated[message.auto_rerun.fragment_id] = message.auto_rerun.interval
        elif kind == "stop_auto_rerun":
            for fragment in message.stop_auto_rerun.fragment_ids:
                self._repeated.pop(fragment, None)
        elif kind == "session_event" and message.session_event.HasField("script_compilation_exception"):
            self.problems.append(message.session_event.script_compilation_exception.message)
        elif kind == "delta" and message.delta.WhichOneof("type") == "new_element":
            self._draw(tuple(message.metadata.delta_path), message.delta.new_element, message.delta.fragment_id)
        elif kind == "script_finished" and message.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
            self._shown = {
                path: s
                for path, s in self._shown.items()
                if s.run == self._runs or (self._partly and s.fragment not in self._partly)
            }

    def _draw(self, path: tuple[int, ...], element: Element, fragment: str) -> None:
        self._shown[path] = Shown(element, fragment, self._runs)
        kind = element.WhichOneof("type")
        if kind == "exception":
            self.problems.append(f"{element.exception.type}: {element.exception.message}")
        elif kind == "alert" and element.alert.format == element.alert.ERROR:
            self.problems.append(element.alert.body)


def _cookie(headers: Message) -> str:
    found = re.search(r"_streamlit_xsrf=([^;]+)", " ".join(headers.get_all("Set-Cookie", [])))
    if not found:
        raise RuntimeError("the server gave no XSRF cookie; expected enableXsrfProtection in .streamlit/config.toml")
    return found[1].strip('"')


def _widget(element: Element) -> Any:
    return getattr(element, element.WhichOneof("type"))


def _key(element: Element) -> str:
    """The key that the app gave a widget; it follows a hash in its id."""
    return getattr(_widget(element), "id", "").removeprefix("$$ID-").partition("-")[2]
