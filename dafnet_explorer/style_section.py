"""The pages Traverse and Mix for methods with a continuous content code and a style code, such as MUNIT."""

from __future__ import annotations

import numpy as np
import streamlit as st

from dafnet_core.analysis.directions import dimensions
from dafnet_core.analysis.style_codes import StyleMixture, content_change, mix_styles
from dafnet_core.checkpoints.file import Checkpoint
from dafnet_core.drawing import Theme, png
from dafnet_core.methods.base import Estimate
from dafnet_core.networks.translation import MunitNetworks
from dafnet_explorer import catalogue, controls, provenance, results, sidebar, traversals
from dafnet_explorer.caches import cached
from dafnet_explorer.figures.content import style_mixture_sheet
from dafnet_explorer.figures.traverse import directions_sheet, effect_names
from dafnet_explorer.subjects import Subject

RANDOM = 2  # styles from N(0, I) of each modality on Mix


@cached(16)
def _style_changes(
    digest: str,
    images: str,
    modality: int,
    steps: int,
    _networks: MunitNetworks,
    _content: np.ndarray,
    _made: np.ndarray,
) -> np.ndarray:
    return content_change(_networks, _made, modality, _content)


@cached(4, "Mixing content and styles")
def _style_mixture(
    digest: str, images: str, seed: int, _networks: MunitNetworks, _estimate: Estimate, modalities: tuple[int, ...]
) -> StyleMixture:
    return mix_styles(_networks, _estimate.content, _masks(_estimate), _styles(_estimate, seed, modalities), modalities)


def _masks(estimate: Estimate) -> np.ndarray:
    """Predicted labels (n, H, W) of each image."""
    return np.stack([mask.labels for mask in estimate.masks if mask.kind == "single"])


def _styles(estimate: Estimate, seed: int, modalities: tuple[int, ...]) -> np.ndarray:
    """Styles of the images, then random ones."""
    drawn = np.random.default_rng(seed).standard_normal(
        (len(modalities) - len(estimate.style), estimate.style.shape[1])
    )
    return np.concatenate([estimate.style, drawn]).astype(np.float32)


def traverse_instead(checkpoint: Checkpoint, subject: Subject, theme: Theme) -> None:
    """Show a traversal of the style of one image and stop the page; nothing for other methods."""
    if not catalogue.has_content(checkpoint):
        return
    estimate, title = results.estimate_of(checkpoint, subject), checkpoint.method.title
    st.title("Traverse")
    st.markdown("Find out what each dimension of the style code changes in an image.")
    st.caption(subject.title)
    sidebar.show_domain_notice(checkpoint, subject)
    st.markdown(
        f"The content of {title} is fixed, and one dimension of its style code at a time varies from -3 to 3, three "
        "standard deviations of its prior. Each modality has a decoder of its own, so a style belongs to one modality, "
        "and there is nothing between the styles of two."
    )
    names = [checkpoint.config.modalities[m] for m in subject.modalities]
    with st.container(horizontal=True):
        modality = st.segmented_control(
            "Content and style of",
            names,
            default=names[0],
            required=True,
            key="moved",
            bind="query-params",
            help="Image whose content is fixed and whose style varies",
        )
        steps = st.segmented_control(
            "Steps",
            (5, 7, 9),
            default=7,
            required=True,
            key="steps",
            bind="query-params",
            help="Images per dimension, from -3 to 3",
        )
    i = names.index(modality)
    moved = traversals.style_traversal(checkpoint, subject, i, steps)
    regions = subject.tissues.get(i), subject.tissue_names
    if regions[0] is None or not regions[1]:
        regions = subject.truth.get(i, _masks(estimate)[i]), checkpoint.config.classes
    picture = directions_sheet(moved, dimensions(len(moved.z)), effect_names(moved, regions), theme)
    with st.container(key="sheet_style"):
        controls.image(picture, f"Rows of images of {modality}, one row per dimension of the style")
    own = next(image.pixels for image in estimate.images if (image.kind, image.fixed) == ("own", i))
    made = np.concatenate([own[None], *moved.images[:, [0, -1]]])
    place = checkpoint.digest, subject.digest, subject.modalities[i], steps
    still, *changes = _style_changes(*place, checkpoint.model, estimate.content[i], made)
    st.caption(
        f"Does the content stay? Encoded again, that of the image's reconstruction differs by {still:.0%} of its size, "
        f"and that of the images at -3 and 3 by {np.mean(changes):.0%} on average, {max(changes):.0%} at most."
    )
    about = provenance.about_subject(checkpoint, subject, modality=modality, steps=steps)
    controls.download("This sheet (PNG)", lambda: png(picture, about), controls.file_name("traverse", subject, "png"))
    st.stop()


def mix_instead(checkpoint: Checkpoint, subject: Subject | None, theme: Theme) -> None:
    """Show the content of each image of a subject with styles of all and stop the page; nothing for other methods."""
    if subject is None or not catalogue.has_content(checkpoint):
        return
    estimate, title = results.estimate_of(checkpoint, subject), checkpoint.method.title
    st.title("Mix")
    st.markdown("Find out whether an image made from any content and any style keeps the structure of the content.")
    st.caption(subject.title)
    sidebar.show_domain_notice(checkpoint, subject)
    st.markdown(
        f"Rows are content codes of {title}, columns are style codes: of the images of this slice, and random ones "
        "from N(0, I). A style is for the decoder of its modality. Each image is encoded again: *kept* is the Dice of "
        "its mask with that of the row's image, *content* the change of the code as a share of its size."
    )
    seed = st.number_input(
        "Seed of random styles", 0, 9999, 0, key="seed", bind="query-params", help="Seed of the random number generator"
    )
    names = [checkpoint.config.modalities[m] for m in subject.modalities]
    modalities = subject.modalities + tuple(np.repeat(subject.modalities, RANDOM).tolist())
    drawn = [f"random {n + 1}, {name}" for name in names for n in range(RANDOM)]
    mixed = _style_mixture(checkpoint.digest, subject.digest, seed, checkpoint.model, estimate, modalities)
    picture = style_mixture_sheet(mixed, subject.images, names, [*names, *drawn], theme)
    with st.container(key="sheet_styles"):
        controls.image(picture, "Images of every content with every style, with scores")
    st.caption(
        f"Mean over cells: kept {np.nanmean(mixed.dice):.3f}, content changed by {mixed.content_change.mean():.0%}, "
        f"style off by {mixed.style_error.mean():.2f} a dimension."
    )
    about = provenance.about_subject(checkpoint, subject, seed=seed)
    controls.download("This sheet (PNG)", lambda: png(picture, about), controls.file_name("mix", subject, "png"))
    st.stop()
