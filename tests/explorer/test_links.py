"""Links: they carry the digest of the checkpoint, and one that names another file's is noticed."""

import pytest
from page_visits import ROOT, SHIPPED, page_text

from dafnet_core.checkpoints.file import load

ANOTHER = "This link was made with another checkpoint"


def digest_of(app):
    """The digest in the address; the test client gives a list, or text as it was set."""
    (value,) = (
        [app.query_params["digest"]] if isinstance(app.query_params["digest"], str) else app.query_params["digest"]
    )
    return value


def test_the_address_carries_the_digest_of_what_is_selected(app, checkpoint):
    app.run()
    assert digest_of(app) == checkpoint.digest[:8]
    app.sidebar.selectbox(key="checkpoint").set_value("cardiac-spade")
    app.run().switch_page("pages/checkpoints.py").run()
    other = load(ROOT / "checkpoints" / "cardiac-spade.safetensors")
    assert digest_of(app) == other.digest[:8]
    assert ANOTHER not in page_text(app)


def test_a_link_made_with_another_file_of_that_name_says_so_and_goes_on(app, checkpoint):
    app.query_params["checkpoint"], app.query_params["digest"] = "cardiac-film", "0123abcd"
    app.run()
    assert [w.value for w in app.warning] == [
        "This link was made with another checkpoint (digest 0123abcd) than cardiac-film here (digest "
        f"{checkpoint.digest[:8]}), so numbers and pictures may differ."
    ]
    assert not app.exception
    assert app.get("image")
    assert digest_of(app) == checkpoint.digest[:8]  # what is copied from here on is about this one
    app.switch_page("pages/checkpoints.py").run()
    assert ANOTHER in page_text(app)
    app.sidebar.selectbox(key="checkpoint").set_value("brain-film")
    app.run()
    assert ANOTHER not in page_text(app)


@pytest.mark.parametrize("digest", [None, "", "<b>", "0123abcd0123abcd", "mine"])
def test_links_without_a_digest_open_as_before(app, digest):
    app.query_params["slice"] = "2"
    if digest is not None:
        app.query_params["digest"] = digest
    app.run()
    assert not app.warning
    assert not app.exception
    assert "slice 2 of 8" in page_text(app)


def test_the_digest_of_an_uploaded_checkpoint_is_in_no_link(app):
    app.run().switch_page("pages/checkpoints.py").run()
    data = SHIPPED.read_bytes()
    app.file_uploader(key="bring").upload("mine.safetensors", data, "application/octet-stream")
    app.run()
    app.sidebar.selectbox(key="checkpoint").set_value("mine (uploaded)")
    app.run()
    assert "digest" not in app.query_params
    app.sidebar.selectbox(key="checkpoint").set_value("cardiac-film")
    app.run()
    assert "digest" in app.query_params
