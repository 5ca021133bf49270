"""What the sources of all pages must say: help, links, lossless pictures."""

import ast

from page_visits import ROOT


def test_every_control_has_one_sentence_of_help():
    """Of every widget in the sources, but those whose help is the page's own parameter."""
    widgets = {
        "selectbox",
        "slider",
        "select_slider",
        "segmented_control",
        "number_input",
        "toggle",
        "multiselect",
        "radio",
        "file_uploader",
        "button",
        "download_button",
    }
    seen = 0
    for file in (*ROOT.glob("pages/*.py"), *ROOT.glob("dafnet_explorer/**/*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in widgets:
                seen += 1
                assert "help" in {k.arg for k in node.keywords}, f"{file.name}, line {node.lineno}"
    assert seen > 50


def test_what_is_chosen_is_in_the_link():
    """Every choice but those of uploads, whose link could not be opened again, and answers to the quiz."""
    choices = {"selectbox", "slider", "select_slider", "segmented_control", "number_input", "toggle", "multiselect"}
    without = [
        ast.unparse(node.args[0])
        for file in (*ROOT.glob("pages/*.py"), *ROOT.glob("dafnet_explorer/**/*.py"))
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in choices
        and "bind" not in {k.arg for k in node.keywords}
    ]
    assert sorted(without) == sorted(
        [
            "'Subject'",
            "'Data'",
            "'Link slices by position'",
            "'Shows'",
            "'Slices along'",
            "label",  # of a volume
            "label",
            "f'Slice of {name}'",
            "f'Label {label} means'",
            "'Numbers of evaluate'",
        ]
    )


def test_pictures_are_shown_as_they_are():
    """No page lets Streamlit make a lossy JPEG of a sheet."""
    for file in (*ROOT.glob("pages/*.py"), *ROOT.glob("dafnet_explorer/**/*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "st.image":
                assert "output_format='PNG'" in ast.unparse(node), f"{file.name}, line {node.lineno}"


def test_every_page_begins_with_what_can_be_found_out_there():
    for file in ROOT.glob("pages/*.py"):
        calls = [node.value for node in ast.parse(file.read_text()).body if isinstance(node, ast.Expr)]
        names = [ast.unparse(call.func) if isinstance(call, ast.Call) else "" for call in calls]
        first = calls[names.index("st.title") + 1]
        assert ast.unparse(first.func) in ("st.markdown", "glossary.markdown"), file.name
        text = ast.unparse(first.args[0]).strip("f\"'")
        assert text.startswith(("Find out", "Get all")), file.name
