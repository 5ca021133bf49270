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
    assert app.sidebar.selectbox(key="checkpoint").value == "mine (uploaded)"
    assert "digest" not in app.query_params
    app.sidebar.selectbox(key="checkpoint").set_value("cardiac-film")
    app.run()
    assert "digest" in app.query_params


# ---- what a link asks for and is not here ----


@pytest.mark.parametrize(
    ("query", "text"),
    [
        (
            {"checkpoint": "heart-film"},
            "This link shows the checkpoint heart-film, which is not here. cardiac-film is shown instead.",
        ),
        (
            {"checkpoint": "mine (uploaded)"},
            "This link shows the checkpoint mine (uploaded), which is not here: it was uploaded in another session. "
            "Upload it again on the page Checkpoints. cardiac-film is shown instead.",
        ),
        (
            {"checkpoint": "runs/mine"},
            "This link shows the checkpoint mine, which is not here: it would be that of a training run of this name "
            "in runs/. cardiac-film is shown instead.",
        ),
        (
            {"subject": "99", "slice": "2"},
            "This link shows subject 99, which this server does not have for this checkpoint. Subject 1, slice 2 is "
            "shown instead.",
        ),
        (
            {"subject": "2", "slice": "40"},
            "This link shows slice 40 of subject 2, which this server does not have for this checkpoint. Subject 2, "
            "slice 4 is shown instead.",
        ),
        (
            {"difficulty": "<b>easy"},
            "This link shows a subject of the difficulty _b_easy, which this server does not have for this checkpoint. "
            "Subject 1, slice 4 is shown instead.",
        ),
    ],
)
def test_what_a_link_asks_for_and_is_not_here_is_said_with_what_is_shown_instead(app, query, text):
    app.query_params.update(query)
    app.run()
    assert not app.exception
    assert [w.value for w in app.warning] == [text]
    assert app.main.get("image")
    app.switch_page("pages/traverse.py").run()
    assert text in page_text(app)
    if "checkpoint" in query:
        app.sidebar.selectbox(key="checkpoint").set_value("cardiac-spade")
    else:
        app.sidebar.selectbox(key="subject").set_value(5)
    app.run()
    assert "This link" not in page_text(app)


def test_a_link_to_a_sample_of_a_checkpoint_without_any_says_so(app):
    app.query_params.update({"checkpoint": "brain-film", "subject": "2"})
    app.run()
    assert not app.exception
    assert "This link shows subject 2, which this server does not have for this checkpoint." in page_text(app)
