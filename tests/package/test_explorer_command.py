"""The command dafnet-explorer: which arguments `streamlit` gets."""

import pytest

from dafnet_explorer import paths
from dafnet_explorer.cli import streamlit_arguments


@pytest.mark.parametrize(
    ("given", "streamlit", "app"),
    [
        ([], [], []),
        (["--data", "A"], [], ["--data", "A"]),
        (["--server.port", "8600"], ["--server.port", "8600"], []),
        (
            ["--data", "A", "--server.port=8600", "--data=chaos:B"],
            ["--server.port=8600"],
            ["--data", "A", "--data", "chaos:B"],
        ),
        (["--results", "R", "--data=A"], [], ["--data", "A", "--results", "R"]),
    ],
)
def test_options_of_streamlit_come_before_those_of_the_app(given, streamlit, app):
    assert streamlit_arguments(given) == ["run", str(paths.ROOT / "app.py"), *streamlit, "--", *app]


def test_a_folder_without_its_option_is_refused_with_the_remedy(capsys):
    with pytest.raises(SystemExit):
        streamlit_arguments(["FOLDER"])
    assert "--data FOLDER" in capsys.readouterr().err


def test_in_a_checkout_files_are_those_at_the_top_of_the_repository():
    assert not paths.INSTALLED
    for path in (
        paths.APP,
        paths.ICON,
        paths.CHECKPOINTS / "cardiac-film.safetensors",
        paths.ROOT / "pages" / "start.py",
    ):
        assert path.is_file()
    assert paths.RUNS == paths.ROOT / "runs"
