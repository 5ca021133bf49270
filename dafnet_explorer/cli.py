"""The command dafnet-explorer: `streamlit run` on this project's app.py, from any folder.

Streamlit takes the settings in .streamlit/config.toml beside app.py before those of the current folder, so this
project's own apply wherever the command is run. Options on the command line come before both.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from dafnet_explorer.paths import APP

EPILOG = """\
All other options are passed to `streamlit run`; `streamlit run --help` lists them. For example:

  dafnet-explorer --data FOLDER --server.port 8600

is the same as `streamlit run app.py --server.port 8600 -- --data FOLDER` at the top of the repository.
Training runs in runs/ of the current folder are shown among the checkpoints; in a checkout of the repository,
those in its own runs/.
"""


def streamlit_arguments(arguments: Sequence[str] | None = None) -> list[str]:
    """Arguments of the command `streamlit` that start the app.

    Args:
        arguments: those of dafnet-explorer; None for the command line.

    Raises:
        SystemExit: --help was asked for, or the arguments do not begin with an option.
    """
    parser = argparse.ArgumentParser(
        prog="dafnet-explorer",
        usage="%(prog)s [-h] [--data FOLDER] [--results FOLDER] [--STREAMLIT.OPTION VALUE]",
        description="Start DAFNet Explorer and open it in a browser. The server listens on this machine only.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--data",
        action="append",
        default=[],
        metavar="FOLDER",
        help="a data set to show and to evaluate on: a folder in nnU-Net's layout, or chaos:FOLDER; may be repeated",
    )
    parser.add_argument(
        "--results",
        action="append",
        default=[],
        metavar="FOLDER",
        help="records of `python -m experiments` for the page Benchmark; may be repeated",
    )
    options, streamlit_options = parser.parse_known_args(arguments)
    if streamlit_options and not streamlit_options[0].startswith("-"):
        parser.error(f"unexpected argument {streamlit_options[0]!r}; a data set is named by --data FOLDER")
    named = [word for name in options.data for word in ("--data", name)]
    named += [word for name in options.results for word in ("--results", name)]
    return ["run", str(APP), *streamlit_options, "--", *named]


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns when the server has stopped."""
    command = streamlit_arguments(arguments)
    from streamlit.web import cli  # here: --help need not wait for Streamlit

    cli.main(command, prog_name="streamlit")
    return 0


if __name__ == "__main__":
    sys.exit(main())
