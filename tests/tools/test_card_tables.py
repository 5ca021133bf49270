"""README's tables are those of the cards."""

import pytest

from tools import card_tables


def test_readme_shows_the_numbers_of_the_shipped_checkpoints():
    text = card_tables.README.read_text()
    made = card_tables.tables(card_tables.shipped())
    assert card_tables.replaced(text, made) == text, "run python -m tools.card_tables --write"
    for path in sorted((card_tables.ROOT / "checkpoints").glob("*.safetensors")):
        assert f"| {path.stem} |" in made


def test_a_text_without_a_place_for_tables_is_refused():
    assert card_tables.replaced(f"a {card_tables.BEGIN} old {card_tables.END} b", "new").split() == [
        *("a", *card_tables.BEGIN.split(), "new", *card_tables.END.split(), "b"),
    ]
    with pytest.raises(ValueError, match="expected a line"):
        card_tables.replaced(f"{card_tables.END} {card_tables.BEGIN}", "new")
