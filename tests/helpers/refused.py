"""The sentence with which a command line refuses."""


def refused(capsys, command, *arguments):
    """The one sentence on stderr with which a command line ends."""
    try:
        code = command([str(a) for a in arguments])
    except SystemExit as error:  # argparse's own
        code = error.code
    said = capsys.readouterr().err
    assert code == 2, said
    assert "Traceback" not in said
    sentence = said.strip().splitlines()[-1]
    assert len(said.strip().splitlines()) == 1 or said.startswith("usage:")
    return sentence
