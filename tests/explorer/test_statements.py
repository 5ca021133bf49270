"""What pages say of a picture is true of what they show: for several samples, the clean and the leaky checkpoint."""

import numpy as np
import pytest
from page_visits import ROOT, open_app, page_text

from dafnet_core.analysis.editing import realign
from dafnet_core.analysis.encodings import Encoded, Encodings
from dafnet_core.analysis.mixing import Mixed, mix_rows
from dafnet_core.checkpoints.file import load
from dafnet_core.geometry import nearest_offsets
from dafnet_core.methods.decomposition import decompose
from dafnet_core.metrics.dependence import dependence, euclidean_distances
from dafnet_core.metrics.segmentation import dice_per_class
from dafnet_explorer import subjects
from dafnet_explorer.figures import errors, findings
from dafnet_explorer.figures.align import true_warp_text, warp_rows
from dafnet_explorer.figures.independence import WHY_NULL_IS_NOT_0, unseen_text
from dafnet_explorer.figures.mix import mixture_text

CHECKPOINTS = "cardiac-film", "cardiac-film-leaky"
SAMPLES = [(0, 3, "standard"), (1, 1, "standard"), (2, 3, "hard"), (3, 5, "wide")]
CASES = [(name, *sample) for name in CHECKPOINTS for sample in SAMPLES]


@pytest.fixture(scope="module")
def made():
    """Checkpoint, subject and decomposition of a case, each made once."""
    checkpoints = {name: load(ROOT / "checkpoints" / f"{name}.safetensors") for name in CHECKPOINTS}
    known = {}

    def get(name, number, position, variant):
        key = name, number, position, variant
        if key not in known:
            checkpoint = checkpoints[name]
            subject = subjects.sample(checkpoint, number, position, variant)
            known[key] = checkpoint, subject, decompose(checkpoint.model, subject.images, subject.modalities)
        return known[key]

    return get


def numbers_after(text, words):
    """The number that follows some words of a text."""
    return float(text.split(words)[1].split()[0].rstrip(".,:;)%"))


@pytest.mark.parametrize("case", CASES)
def test_what_is_said_of_a_reconstruction_are_its_errors_and_the_fate_of_its_scar(made, case):
    _, subject, d = made(*case)
    clean = subject.without_noise()
    for i, name in enumerate(d.names):
        text = errors.loss_text(name, errors.own_loss(d, subject, i, clean))
        error = np.abs(d.own[i] - d.images[i])
        assert numbers_after(text, "error ") == pytest.approx(error.mean(), abs=6e-4)
        assert numbers_after(text, "beside ") < error.mean()  # no model is better than the noise allows
        assert ("scar" in text) == (i in subject.scars)
        if i in subject.scars:
            scar = subject.scars[i]
            healthy = subject.tissues[i] == subject.tissue_names.index("myocardium")
            real, kept = (x[scar].mean() - x[healthy].mean() for x in (d.images[i], d.own[i]))
            assert f"{abs(real):.2f} {'brighter' if real >= 0 else 'darker'} than healthy" in text
            assert ("it is lost" in text) == (abs(real) >= errors.VISIBLE and kept / real < errors.GONE)
            assert ("it is kept" in text) == (abs(real) >= errors.VISIBLE and kept / real >= errors.KEPT)


def test_every_verdict_on_a_scar_is_given_for_its_numbers():
    texts = [
        errors.loss_text("x", errors.Lost(0.1, None, None, np.ones((1, 1), bool), c))
        for c in [
            (1.0, 0.1),
            (1.0, -0.5),
            (1.0, 0.5),
            (1.0, 0.9),
            (0.1, 0.1),
            (-0.5, -0.45),
        ]
    ]
    verdicts = "lost", "lost", "paler", "kept", "hardly visible", "kept"
    assert all(verdict in text for verdict, text in zip(verdicts, texts, strict=True))
    assert "0.50 darker than healthy" in texts[-1]


@pytest.mark.parametrize("case", CASES)
def test_a_swapped_image_is_compared_with_the_other_one_at_its_true_place(made, case):
    _, subject, d = made(*case)
    for pair, (i, j) in enumerate(d.pairs):
        real, found = errors.swap_loss(d, subject, pair, None)
        assert found.error == pytest.approx(np.abs(d.swapped[pair] - real).mean(), abs=1e-6)
        # of the true place: nearer to the image of this frame's tissues than the other image is where it lies
        spread = [
            np.mean([x[subject.tissues[i] == t].std() for t in np.unique(subject.tissues[i])])
            for x in (real, d.images[j])
        ]
        assert spread[0] < spread[1]
    assert errors.swap_loss(d, subjects.Subject("", (0, 1), d.images, {}), 0, None) is None


@pytest.mark.parametrize("case", CASES)
def test_what_is_said_of_channels_is_counted_in_the_anatomies(made, case):
    checkpoint, subject, d = made(*case)
    text = findings.channels_text(d, subject.truth, subject.tissues, len(checkpoint.config.classes))
    for i, name in enumerate(d.names):
        empty = [c + 1 for c in range(d.s.shape[1]) if d.s[i, c].sum() == 0]
        said = text.split(f"{name}: empty channels ")[1].split(";")[0]
        assert said == (", ".join(map(str, empty)) or "none")
    same = total = 0
    for label in range(1, len(checkpoint.config.classes)):
        if all((subject.truth[i] == label).any() for i in range(2)):
            most = [np.bincount(d.s[i].argmax(0)[subject.truth[i] == label]).argmax() for i in range(2)]
            total, same = total + 1, same + (most[0] == most[1])
    assert text.startswith(f"{same} of {total} organs have the same most frequent channel")


def test_the_leaky_checkpoint_has_the_specks_that_are_said_to_store_grey_levels(made):
    shares = [
        float(findings.channels_text(d, s.truth, s.tissues, 4).split("; ")[1].split("%")[0])
        for _, s, d in (made(name, 0, 3, "standard") for name in CHECKPOINTS)
    ]
    assert shares[1] > 4 * shares[0]


@pytest.mark.parametrize("case", CASES)
def test_what_fusing_adds_is_counted_in_the_channels(made, case):
    _, _, d = made(*case)
    for i in range(2):
        text = findings.fusion_text(d, i)
        assert f"sum to {100 * d.fused[i].mean((1, 2)).sum():.0f}%" in text
        (pair,) = (p for p, (fixed, _) in enumerate(d.pairs) if fixed == i)
        larger = np.maximum(d.s[i].mean((1, 2)), d.deformed[pair].mean((1, 2)))
        grown = [f / m - 1 for f, m in zip(d.fused[i].mean((1, 2)), larger, strict=True) if m > 0]
        assert f"A channel is {100 * min(grown):.0f}% to {100 * max(grown):.0f}% larger" in text


@pytest.mark.parametrize("case", CASES)
def test_fused_masks_are_called_worse_exactly_where_they_are(made, case):
    checkpoint, subject, d = made(*case)
    classes = len(checkpoint.config.classes)
    text = findings.fused_mask_text(d, subject.truth, classes)
    for i, name in enumerate(d.names):
        single, fused = (np.nanmean(dice_per_class(m[i], subject.truth[i], classes)) for m in (d.single, d.fused_masks))
        said = f"{name} ({fused:.3f} against {single:.3f})"
        assert (said in text) == (abs(fused - single) > findings.SAME_DICE)
        worse = text.partition("worse for ")[2].partition(" than the single one")[0]
        assert (said in worse) == (fused < single - findings.SAME_DICE)
    assert (findings.WHY_FUSED_IS_WORSE in text) == ("worse for" in text)
    assert findings.fused_mask_text(d, {}, classes) == ""


def test_fused_masks_are_worse_somewhere_so_that_the_question_is_answered(made):
    texts = [findings.fused_mask_text(made(*case)[2], made(*case)[1].truth, 4) for case in CASES]
    assert sum(findings.WHY_FUSED_IS_WORSE in text for text in texts) >= 2
    assert any("better for" in text for text in texts)


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_stations_say_what_was_found_on_their_slice(made, name):
    app = open_app()
    app.query_params["checkpoint"] = name
    app.run().switch_page("pages/tour.py").run()
    _, subject, d = made(name, 0, 3, "standard")
    clean = subject.without_noise()
    expected = {
        2: findings.channels_text(d, subject.truth, subject.tissues, 4),
        4: errors.loss_text("LGE", errors.own_loss(d, subject, 1, clean)),
        5: errors.loss_text("s of cine, z of LGE", errors.swap_loss(d, subject, 0, clean)[1]),
        6: findings.registration_text(d, subject.truth, subject.sampling),
        7: findings.fusion_text(d, 1),
        8: findings.fused_mask_text(d, subject.truth, 4),
    }
    for station, sentence in expected.items():
        app.button_group(key="station").set_value(station)
        app.run()
        assert not app.exception
        (found,) = [m for m in app.markdown if m.value.startswith("**On this slice.**")]
        assert sentence in found.value, station
        assert station != 4 or found.proto.help.startswith(errors.WHY_NOT_ZERO)


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_decompose_says_what_it_computed_beside_each_sheet(made, name):
    app = open_app()
    app.query_params["checkpoint"] = name
    app.run().switch_page("pages/decompose.py").run()
    assert not app.exception
    _, subject, d = made(name, 0, 3, "standard")
    clean, text = subject.without_noise(), page_text(app)
    assert findings.channels_text(d, subject.truth, subject.tissues, 4) in text
    assert findings.fusion_text(d, 0) in text  # of the open tab
    assert findings.fused_mask_text(d, subject.truth, 4) in text
    for i, modality in enumerate(d.names):
        assert errors.loss_text(modality, errors.own_loss(d, subject, i, clean)) in text


@pytest.mark.parametrize("case", CASES)
def test_mix_says_apart_what_own_foreign_and_random_z_keep(made, case):
    checkpoint, _, d = made(*case)
    config = checkpoint.config
    encodings = Encodings(d.names, config.classes, config.channels, [Encoded.of(d, "", 0)])
    mixed = mix_rows(checkpoint.model, encodings, None, [0, 1], [0, 1])
    text = mixture_text(mixed, (d.names, d.names), ([0, 1], [0, 1]))
    own, other = text.splitlines()[:2]
    assert own.startswith("Mean over 2 with z of the same image")
    assert numbers_after(own, "unchanged ") == pytest.approx(np.diag(mixed.made.agreement).mean(), abs=6e-4)
    again = [decompose(checkpoint.model, d.own[i][None], (i,)) for i in range(2)]
    kept = [(again[i].s[0].argmax(0) == d.s[i].argmax(0)).mean() for i in range(2)]
    assert numbers_after(own, "unchanged ") == pytest.approx(np.mean(kept), abs=0.03)  # rounded otherwise in a batch
    assert other.startswith("Mean over 2 with z of other images")
    assert numbers_after(other, "kept ") == pytest.approx(
        np.mean([mixed.made.dice[0, 1], mixed.made.dice[1, 0]]), abs=6e-4
    )
    assert numbers_after(text, "Least kept: ") == pytest.approx(mixed.made.dice.min(), abs=6e-4)
    random = Mixed(mixed.made, (0, 1), np.array([[0.9, 0.5], [0.7, 0.1]]), mixed.z)
    parts = mixture_text(random, (d.names, ("cine", "random z 1")), ([0, 1], [0, -1])).splitlines()
    assert ["same image" in parts[0], "other images" in parts[1], "2 with random z" in parts[2]] == [True] * 3
    assert [numbers_after(part, "reached ") for part in parts[:3]] == [0.9, 0.7, 0.3]


@pytest.mark.parametrize("case", CASES)
def test_the_true_spline_is_called_worse_exactly_where_it_is(made, case):
    checkpoint, subject, d = made(*case)
    for pair, (i, j) in enumerate(d.pairs):
        true = subject.sampling[i, j]
        offsets = {"predicted": d.offsets[pair], "true": nearest_offsets(true, checkpoint.config.control_points)}
        warps = {name: realign(checkpoint.model, d, pair, o) for name, o in offsets.items()}
        text = true_warp_text(warp_rows(d, pair, warps, subject.truth, 4, true))
        dice = {
            name: [np.nanmean(dice_per_class(m, subject.truth[i], 4)) for m in (w.deformed_mask, w.fused_mask)]
            for name, w in warps.items()
        }
        worse = [a < b - findings.SAME_DICE for a, b in zip(dice["true"], dice["predicted"], strict=True)]
        assert ["deformed" in text, "fused" in text] == worse
        if any(worse):
            inside = subject.truth[i] > 0
            left = np.linalg.norm(warps["true"].positions - true, axis=-1)[inside].mean()
            predicted = np.linalg.norm(warps["predicted"].positions - true, axis=-1)[inside].mean()
            assert numbers_after(text, "up to ") == pytest.approx(left, abs=6e-3)
            assert left < predicted  # so it is nearer to the truth although it scores less


def factors(rng, *, place, modality):
    """Two independent factors of 12 subjects with 8 images each, which follow the place or the modality or neither."""
    subjects_of, n = np.repeat(np.arange(12), 8), np.arange(96) % 8
    pair = []
    for _ in range(2):
        pair.append(rng.normal(size=(96, 3)) + place * (n // 2)[:, None] + modality * (n % 2)[:, None])
    return *(euclidean_distances(x) for x in pair), subjects_of


def test_the_bias_corrected_null_is_0_but_for_what_a_permutation_of_subjects_keeps():
    rng = np.random.default_rng(0)
    null = {}
    for name, options in {"neither": (0, 0), "place": (1, 0), "modality": (0, 5)}.items():
        a, b, owners = factors(rng, place=options[0], modality=options[1])
        found = dependence(a, b, owners, permutations=99)
        null[name] = np.mean(found.null_dcor_squared_unbiased)
        # both factors tell the modality, and the test of independence between subjects does not see it
        assert found.p_value > 0.05
        assert np.mean(found.null_dcor) > 0.1
    assert abs(null["neither"]) < 0.02
    assert min(null["place"], null["modality"]) > 0.2


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_independence_says_what_its_permutation_cannot_see(name):
    result = next(iter(load(ROOT / "checkpoints" / f"{name}.safetensors").metrics.values()))
    text = unseen_text(result)
    assert numbers_after(text, "with accuracy ") == pytest.approx(result.leakage.pooled.accuracy, abs=6e-4)
    app = open_app()
    app.query_params["checkpoint"] = name
    app.run().switch_page("pages/independence.py").run()
    assert not app.exception
    assert text in page_text(app)
    assert "permuted subjects keep their modality" in page_text(app)
    assert WHY_NULL_IS_NOT_0 in page_text(app)


def test_dcor_is_1_for_proportional_distances_and_less_for_a_factor_that_determines_the_other():
    rng = np.random.default_rng(0)
    a, owners = rng.normal(size=(40, 1)), np.repeat(np.arange(10), 4)
    proportional, determined = (
        dependence(euclidean_distances(a), euclidean_distances(b), owners, permutations=9).dcor for b in (3 * a, a**3)
    )
    assert proportional == pytest.approx(1)
    assert determined < 0.95


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_start_says_what_its_reconstructions_lose(made, name):
    app = open_app()
    app.query_params["checkpoint"] = name
    app.run()
    assert not app.exception
    _, subject, d = made(name, 0, 3, "standard")
    clean = subject.without_noise()
    for i, modality in enumerate(d.names):
        assert errors.loss_text(modality, errors.own_loss(d, subject, i, clean)) in page_text(app)
