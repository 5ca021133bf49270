"""Questions for a class: the same for everyone, one factor changed and no other, and no answer before it is given."""

import re
from collections import Counter

import numpy as np
import pytest
import torch

from dafnet_core.analysis import quiz
from dafnet_core.analysis.traversal import render
from dafnet_core.data.deform import deform
from dafnet_core.drawing import LIGHT
from dafnet_core.methods.decomposition import decompose
from dafnet_explorer.figures.downloads import table_csv
from dafnet_explorer.figures.pixels import MIXED
from dafnet_explorer.figures.quiz import quiz_answer_sheet, quiz_rows, quiz_sheet


@pytest.fixture
def slice_of(make_model, monkeypatch):
    """A tiny model and its decomposition of one slice; untrained, it changes little, so less of a change is asked."""
    monkeypatch.setattr(quiz, "SEEN", 1e-3)

    def make(**changes):
        model = make_model(**changes).eval()
        images = np.random.default_rng(3).uniform(-1, 1, (2, 32, 48)).astype(np.float32)
        return model, decompose(model, images)

    return make


@pytest.fixture
def questions(slice_of):
    """A question of every kind, by kind, and what they are about."""
    model, found = slice_of(decoder="film")
    other = slice_of(decoder="spade")
    asked = [quiz.ask(model, found, 5, n, other) for n in range(quiz.TURNS * len(quiz.QUESTION_KINDS))]
    return model, found, other, {q.kind: q for q in asked}


def test_a_seed_and_a_number_give_one_question(slice_of):
    model, found = slice_of()
    for n in range(3):
        a, b = (quiz.ask(model, found, 7, n) for _ in range(2))
        assert (a.kind, a.modality) == (b.kind, b.modality)
        assert np.array_equal(a.images, b.images)
    kinds = [[quiz.planned(seed, n, quiz.QUESTION_KINDS) for n in range(24)] for seed in (7, 8)]
    assert kinds[0] != kinds[1]


@pytest.mark.parametrize("kinds", [quiz.QUESTION_KINDS, quiz.QUESTION_KINDS[:-1]])
def test_every_kind_is_planned_equally_often_in_each_block(kinds):
    block = quiz.TURNS * len(kinds)
    for seed in range(20):
        for start in (0, block, 2 * block):
            assert set(Counter(quiz.planned(seed, start + k, kinds) for k in range(block)).values()) == {quiz.TURNS}
    firsts = Counter(quiz.planned(seed, 0, kinds) for seed in range(400))
    assert min(firsts.values()) > 400 / len(kinds) / 2  # no kind is the likely beginning


def test_every_kind_is_asked_and_changes_enough(questions):
    *_, asked = questions
    assert set(asked) == set(quiz.QUESTION_KINDS)
    for q in asked.values():
        assert q.seen >= quiz.LEAST
        assert np.abs(q.change).max() >= quiz.SEEN


def test_a_z_question_moves_one_dimension_to_an_end_and_nothing_else(questions):
    model, found, _, asked = questions
    q = asked["z"]
    i = found.names.index(q.modality)
    assert np.array_equal(*q.anatomies)
    (changed,) = np.flatnonzero(q.z[0] != q.z[1])
    assert abs(q.z[1][changed]) == 3
    assert q.moved == (changed, pytest.approx(abs(q.z[1][changed] - found.z_mean[i][changed])))
    assert q.images[1] == pytest.approx(render(model, found.s[i], q.z[1][None])[0], abs=1e-5)
    assert (q.other_channel, q.rms) == (0, 0)


def test_an_anatomy_question_gives_one_piece_to_its_neighbours_and_keeps_z(questions):
    *_, asked = questions
    q = asked["anatomy"]
    before, after = q.anatomies
    assert np.array_equal(*q.z)
    gone = before != after
    assert len(set(before[gone])) == 1
    assert quiz.PIECE[0] <= q.other_channel == gone.mean() <= quiz.PIECE[1]
    assert q.rms == q.moved[1] == 0


def test_a_warp_question_moves_the_anatomy_and_keeps_z(questions):
    *_, asked = questions
    q = asked["warp"]
    assert np.array_equal(*q.z)
    moved = deform(torch.from_numpy(q.anatomies[:1])[None], q.displacement[None], labels=True)[0, 0].numpy()
    assert np.array_equal(q.anatomies[1], moved)
    assert q.rms == pytest.approx(quiz.WARP * 32, rel=1e-4)
    jumps = max(np.abs(np.diff(q.displacement, axis=axis)).max() for axis in (0, 1))
    assert jumps < 1  # no folds: everything is moved, nothing is lost


def test_a_decoder_question_shows_both_models_reconstruction_of_one_image(questions):
    _, found, (_, theirs), asked = questions
    q = asked["decoder"]
    i = found.names.index(q.modality)
    assert np.array_equal(q.images, np.stack([found.own[i], theirs.own[i]]))
    assert np.array_equal(q.z[1], theirs.z_mean[i])
    assert np.isnan([q.other_channel, q.moved[1]]).all()


def test_without_another_model_nobody_is_asked_for_the_decoder(slice_of):
    model, found = slice_of()
    asked = [quiz.ask(model, found, seed, n) for seed in range(2) for n in range(6)]
    assert {q.kind for q in asked} == {"z", "anatomy", "warp"}
    assert all(q.kinds == ("z", "anatomy", "warp") for q in asked)


def test_one_modality_alone_is_enough(slice_of):
    model, found = slice_of()
    alone = decompose(model, found.images[1:], (1,))
    assert {quiz.ask(model, alone, 0, n).modality for n in range(3)} == {"b"}


def test_a_change_that_nobody_sees_is_not_asked(slice_of, monkeypatch):
    model, found = slice_of()
    monkeypatch.setattr(quiz, "SEEN", 3.0)
    with pytest.raises(ValueError, match="choose another one"):
        quiz.ask(model, found, 0, 0)


def test_a_question_must_be_of_one_image_and_have_a_number(slice_of):
    model, found = slice_of()
    with pytest.raises(ValueError, match="number -1"):
        quiz.ask(model, found, 0, -1)
    with pytest.raises(ValueError, match="other images"):
        quiz.ask(model, found, 0, 0, (model, decompose(model, found.images[::-1])))


def test_the_answer_s_table_and_sheet_are_of_the_question(questions):
    *_, asked = questions
    for kind, q in asked.items():
        table = {row["measure"]: row["value"] for row in quiz_rows(q)}
        assert table["displacement, RMS"] == f"{q.rms:.1f} pixels"
        assert table["pixels whose channel changed"].startswith("n/a") == (kind == "decoder")
        assert table["largest change in z"] == {"z": f"{q.moved[1]:.2f} (z{q.moved[0] + 1})"}.get(
            kind, "n/a: two models" if kind == "decoder" else "0.00"
        )
        widths = [
            quiz_sheet(q, LIGHT).width,
            quiz_answer_sheet(q, (MIXED, MIXED), LIGHT).width,
        ]
        assert min(widths) > 400
    assert len({quiz_sheet(q, LIGHT).size for q in asked.values()}) == 1  # its size tells nothing


def sent(app):
    """All that the page sends to the browser, without names made of digests, what was typed and the sidebar."""
    protos = " ".join(str(e.proto) for e in app.main if hasattr(e, "proto") and e.type != "number_input")
    return re.sub(r'\b(id|url): "[^"]*"', "", protos)


def test_the_page_tells_nothing_before_the_answer_and_counts_the_first_one_alone(app):
    app.run().switch_page("pages/quiz.py").run()
    app.number_input(key="quiz-seed").set_value(7)
    app.run()
    assert not app.exception
    assert not app.success
    assert not app.warning
    assert not app.dataframe
    kinds = app.radio[0].options
    assert len(kinds) == 4
    assert next(b for b in app.button if b.label == "Show the answer").disabled
    before = sent(app)
    app.radio[0].set_value("warp")
    app.run()
    press = next(b for b in app.button if b.label == "Show the answer")
    press.click()
    app.run()
    assert not app.exception
    ((key, row),) = app.session_state["quiz-answers"].items()
    assert key[:2] == (7, 1)
    assert row["asked"] == quiz.planned(7, 0, quiz.QUESTION_KINDS) == row["answered"] == "warp"
    assert row["correct"]
    assert app.success
    assert not app.radio  # it cannot be answered again
    assert "1 of 1 right" in " ".join(m.value for m in app.markdown)
    lines = table_csv([row], {"data": "x"}).decode().splitlines()
    assert lines[1:] == [
        "seed,question,subject,checkpoint,asked,answered,correct",
        f'7,1,"{row["subject"]}",{row["checkpoint"]},{row["asked"]},warp,{row["correct"]}',
    ]
    next(b for b in app.button if b.label == "Next question").click()
    app.run()
    assert app.number_input(key="question").value == 2
    assert app.radio[0].value is None
    assert row["asked"] != quiz.planned(7, 1, quiz.QUESTION_KINDS)
    assert sent(app).startswith(before)  # the same to the last letter, whatever is asked; the score comes after
    app.radio[0].set_value("warp")
    app.run()
    next(b for b in app.button if b.label == "Show the answer").click()
    app.run()
    assert "not the warp" in app.warning[0].value
    assert "1 of 2 right" in " ".join(m.value for m in app.markdown)
    app.number_input(key="question").set_value(1)
    app.run()
    assert not app.radio
    assert next(iter(app.session_state["quiz-answers"].values())) == row
    assert len(app.session_state["quiz-answers"]) == 2
