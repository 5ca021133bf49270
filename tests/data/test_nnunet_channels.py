"""nnU-Net folders with a label file for each channel."""

import numpy as np

from tests.helpers.nnunet_folder import Folder, affine_of, bright, marked, shown_by


def test_channels_with_labels_of_their_own_may_differ_in_slices_and_in_what_is_annotated(folder):
    first, second = marked(3), marked(5, shift=3)
    for name in ("a", "b"):
        folder.image(f"{name}_0000", shown_by(first), affine_of(between=5))
        folder.image(f"{name}_0001", shown_by(second), affine_of(between=2.5))
        folder.label(f"{name}_0000", first, affine_of(between=5))
    folder.label("a_0001", second, affine_of(between=2.5))
    collection = folder.read()
    a, b = collection.studies
    assert not collection.registered
    assert [images.shape[1] for images in a.images] == [3, 5]
    for images, mask in zip(a.images, a.masks, strict=True):
        assert np.array_equal(bright(images), mask == 1)
    assert b.masks[0] is not None
    assert b.masks[1] is None
    assert a.positions[0].tolist() == [0, 5, 10]
    assert a.positions[1].tolist() == [0, 2.5, 5, 7.5, 10]


def test_labels_of_channels_that_are_not_asked_for_are_left_out(tmp_path):
    folder = Folder(tmp_path, channels=("T1", "T2", "FLAIR"))
    for channel in range(3):
        folder.image(f"a_{channel:04d}", shown_by(marked()))
    folder.label("a_0002", marked())
    collection = folder.read(("T1", "T2"))
    assert collection.studies[0].masks == (None, None)
    assert folder.read(("T1", "FLAIR")).studies[0].masks[1].any()


def test_a_label_of_another_size_than_its_channel_is_placed_by_its_header_and_says_so(folder):
    folder.image("a_0000", shown_by(marked(3)))
    folder.image("a_0001", shown_by(marked(5)))
    folder.label("a_0001", marked(3))
    study = folder.read().studies[0]
    assert np.array_equal(study.masks[1][:3, 8:40], marked(3))  # 32 of the grid's 48 rows
    assert not study.masks[1][3:].any()
    assert any("2 of the image's 5 slices lie outside of it" in note for note in study.notes)


def test_labels_for_all_channels_and_for_one_are_ambiguous(folder):
    folder.case("a")
    folder.label("a_0000", marked())
    assert "keep one label file for all channels, or one for each" in folder.refusal()
