"""Every page explains a term where it uses it first."""

from itertools import dropwhile

import pytest
from page_visits import ROOT, choose_own_files, drop, open_app, png_file

from dafnet_explorer import glossary

PAGES = sorted(path.stem for path in (ROOT / "pages").glob("*.py"))
TEXTS = "title", "header", "subheader", "markdown", "caption", "info", "warning", "success"
WIDGETS = "button", "button_group", "multiselect", "number_input", "radio", "selectbox", "slider", "toggle"


def texts(app):
    """Texts of a page in their order, from its title on, each with its help."""
    elements = dropwhile(lambda element: element.type != "title", app.main)
    for element in elements:
        if element.type == "metric":
            yield f"{element.label} {element.value}", element.proto.help
        elif element.type in WIDGETS:
            yield element.label, element.proto.help
        elif element.type in TEXTS:
            yield element.value, getattr(element.proto, "help", "")


def unexplained(app):
    """Terms whose first use on a page has no explanation, with that text."""
    seen, found = set(), {}
    for text, given in texts(app):
        for term in glossary.terms(text):
            if term not in seen and glossary.TERMS[term] not in given:
                found[term] = text[:90]
            seen.add(term)
    return found


@pytest.mark.parametrize("page", PAGES)
def test_a_page_explains_a_term_at_its_first_use(few, page):
    app = open_app()
    app.run().switch_page(f"pages/{page}.py").run()
    assert not app.exception
    assert unexplained(app) == {}


@pytest.mark.parametrize("checkpoint", ["cardiac-spade", "brain-film"])
@pytest.mark.parametrize("station", range(1, 12))
def test_a_station_explains_a_term_at_its_first_use(checkpoint, station):
    app = open_app()
    app.query_params["checkpoint"] = checkpoint
    app.query_params["station"] = str(station)
    app.run()
    if checkpoint == "brain-film":
        drop(choose_own_files(app), png_file("T1.png", 1), png_file("FLAIR.png", 2))
    app.switch_page("pages/tour.py").run()
    assert not app.exception
    assert unexplained(app) == {}


def test_terms_are_found_as_words_and_explained_in_their_order():
    assert glossary.terms("Decomposed cinema, T10, T1-weighted; LGE, cine and two phantoms") == [
        "LGE",
        "cine",
        "phantom",
    ]
    text = glossary.explain("A one-hot map of a Segmentor", "More.")
    assert text.startswith("More.\n\n**one-hot**: ")
    assert text.endswith(f"**segmentor**: {glossary.TERMS['segmentor']}")
    assert glossary.explain("nothing here") is None
    assert len(set(glossary.TERMS.values())) == len(glossary.TERMS)
