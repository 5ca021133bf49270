"""Pictures as the browser gets them: encoded once, however often pages show them."""

from __future__ import annotations

from hashlib import blake2b

import streamlit as st
from PIL import Image

from dafnet_core.drawing import png
from dafnet_explorer import state
from dafnet_explorer.caches import cached


@cached(16)
def _encoded(digest: bytes, size: tuple[int, int], _picture: Image.Image) -> bytes:
    return png(_picture)


def encoded(picture: Image.Image) -> bytes:
    """PNG bytes of an RGB picture. Encoding takes longer than drawing, so those of samples are kept."""
    if st.session_state.get(state.PRIVATE):
        return png(picture)
    return _encoded(blake2b(picture.tobytes(), digest_size=16).digest(), picture.size, picture)
