"""Tour: eleven short stations, from an image to its factors, each with one equation and its result on the slice."""

import streamlit as st
from PIL import Image

from dafnet_core.analysis.decompose import kl_per_dimension
from dafnet_core.checkpoints.card import selected_on
from dafnet_core.drawing import DARK
from dafnet_explorer import controls, counter_example, glossary, results, sidebar, traversals
from dafnet_explorer.figures.decompose import channel_sheet, fusion_sheet, warp_sheet
from dafnet_explorer.figures.errors import WHY_NOT_ZERO, loss_text
from dafnet_explorer.figures.findings import (
    WHAT_SPECKS_ARE,
    channels_text,
    fused_mask_text,
    fusion_text,
    joined,
    registration_text,
)
from dafnet_explorer.figures.halftone import KINDS
from dafnet_explorer.figures.masks import mask_sheet
from dafnet_explorer.figures.pixels import channel_colours
from dafnet_explorer.figures.probe import probe_figure
from dafnet_explorer.figures.tour import distance_sheet, pair_sheet, parts_sheet, swap_sheet, z_sheet
from dafnet_explorer.figures.traverse import probe_accuracies, traverse_sheet
from dafnet_explorer.stations import Station, decoder_text, gathered

checkpoint, subject, decomposition, kinds = sidebar.current()
theme = sidebar.theme()
config = checkpoint.config
classes, mask_colours = config.classes, checkpoint.colours
colours = channel_colours(kinds, mask_colours)
kl = kl_per_dimension(decomposition)
last = len(decomposition.names) - 1
built_in = not (subject.uploaded or subject.data_set)
card_result = next(iter(checkpoint.metrics.values()), None)


def traversed() -> Image.Image:
    moved = traversals.traversal(checkpoint, decomposition.s[0], decomposition.z_mean[0], 5)
    return traverse_sheet(moved, kl[0], probe_accuracies(checkpoint.metrics), "effect", theme)


def lost() -> str:
    """What the reconstruction of each image loses."""
    losses = results.losses_of(checkpoint, subject)
    return joined([loss_text(name, loss) for name, loss in zip(decomposition.names, losses, strict=True)])


def lost_when_swapped() -> str:
    """What each swapped image loses of the other image, where the true warp between them is known."""
    names, losses = decomposition.names, results.swap_losses_of(checkpoint, subject)
    texts = [
        loss_text(f"s of {names[i]}, z of {names[j]}", found[1])
        for (i, j), found in zip(decomposition.pairs, losses, strict=True)
        if found
    ]
    unknown = "How these images should look is not known: there is no true warp between them to compare by."
    return joined(texts) or unknown


def distances() -> Image.Image:
    s, z, d = results.sample_distances(checkpoint)
    return distance_sheet(s, z, d.dcor, sum(d.null_dcor) / len(d.null_dcor), theme)


def cheating() -> Image.Image:
    """Anatomies as they are, shuffled or flipped, and what is decoded from them."""
    names = decomposition.names
    with st.container(horizontal=True):
        how = (
            "How the anatomy is changed before it is decoded again with the same z. Shuffled: among the pixels of one "
            "tissue, in cells of 8 x 8 pixels. Flipped: 5 % of all pixels get a random channel."
        )
        kind = st.segmented_control(
            "Pixels of s", KINDS, default=KINDS[0], required=True, key="halftone", bind="query-params", help=how
        )
        which, first = "Whose anatomy is changed", names[0]
        name = st.segmented_control(
            "Image", names, default=first, required=True, key="halftone-of", bind="query-params", help=which
        )
    return counter_example.picture(checkpoint, subject, names.index(name), KINDS.index(kind), theme)


style_sentence, modulation, plus_one = decoder_text(config.decoder)
STATIONS = (
    Station(
        "Two images of one subject",
        "Sec. I, III-A",
        "These are images of the same slice of the same body in two *modalities*. They **look different**: what is "
        "clear in one may be hidden in the other. Structures may be **at other positions**, since organs move between "
        "two images. "
        "Masks are drawn by hand, so few images have one.",
        r"x_i \in X_i \subset \mathbb{R}^{H \times W}, \qquad i \in \{M_1, \dots, M_n\}",
        lambda: pair_sheet(decomposition, subject.truth, len(classes), mask_colours, theme),
        "Follow an outline across the checkerboard of both images: where it breaks, the two do not match.",
        ("decompose",),
        two=True,
    ),
    Station(
        "Where things are: the anatomy s",
        "Sec. III-A",
        f"A network assigns every pixel to exactly one of {config.channels} channels. One pixel of **s** cannot store "
        "how bright it is; a *pattern* of pixels can, as the last station shows. Each modality has its own first half "
        "of the network (φ) and shares the second (ρ), so that the same structure can be in the same channel.",
        gathered(
            r"s_i = f_{anatomy}(x_i \mid \phi_i, \rho) \in \{0, 1\}^{H \times W \times C}",
            r"\textstyle\sum_{c=1}^{C} s_i^{h,w,c} = 1 \quad \forall\, h, w",
        ),
        lambda: channel_sheet(decomposition, kinds, classes, colours, theme),
        "Is the same organ in the same column for all modalities? Are there channels that no pixel needs, or channels "
        "of scattered dots?",
        ("edit", "decompose"),
        "Binary values have no gradient: the most probable channel is 1, and training uses the straight-through "
        "gradient of the probabilities.",
        found=lambda: channels_text(decomposition, subject.truth, subject.tissues, len(classes)),
        asked=WHAT_SPECKS_ARE,
    ),
    Station(
        "How it looks: the modality factor z",
        "Sec. III-A",
        f"**z** is to encode what **s** leaves out, in {config.z_dim} numbers for the whole image. The encoder "
        "predicts a mean and a standard deviation of each. All are regularised towards a standard normal "
        "distribution, so all information that they carry costs something.",
        gathered(
            r"z_i \sim q(z_i \mid x_i, s_i), \qquad p(z_i) = \mathcal{N}(\mathbf{0}, \mathbf{I})",
            r"L_{KL} = \mathrm{KL}\big(q(z_i \mid x_i, s_i) \,\|\, p(z_i)\big)",
        ),
        lambda: z_sheet(decomposition, kl, theme),
        "A dimension with a short bar and whiskers as long as the prior's carries no information on this image; KL is "
        "the sum over dimensions of the divergence from the prior, in nats.",
        ("traverse", "probe"),
        "The paper prints KL(p ‖ q); its code, and this app, take KL(q ‖ p).",
    ),
    Station(
        "Reconstruct",
        "Sec. III-D",
        "A decoder g renders the anatomy in the style **z**, and the result is compared with the image. "
        f"{style_sentence} This needs no annotation, so images without masks train the model too.",
        gathered(r"y_i = g(s_i, z_i), \qquad L_{rec} = \lVert x_i - g(s_i, z_i) \rVert_1", modulation),
        lambda: parts_sheet(decomposition, subject.scars, colours, theme),
        "Red in the last picture is what reconstruction loses: noise and texture, which neither factor is to encode, "
        "and sometimes a structure.",
        ("decompose", "compare"),
        f"Here L_rec is the mean over pixels, of intensities in [-1, 1].{plus_one}",
        found=lost,
        asked=WHY_NOT_ZERO,
    ),
    Station(
        "Swap the modality factor",
        "Sec. III-D, III-E",
        "If **s** encodes only structure, and **z** only appearance, an anatomy can be decoded with the other image's "
        "**z**: structures stay in place, and the modality changes. To keep the decoder from ignoring **z**, training "
        "decodes random **z** and re-encodes them from the images.",
        gathered(
            r"y = g(s_i, z_j), \qquad j \neq i",
            r"L_{rec}^z = \lVert z - f_{modality}(y, f_{anatomy}(y)) \rVert_1, \quad z \sim \mathcal{N}(\mathbf{0}, "
            r"\mathbf{I})",
        ),
        lambda: swap_sheet(decomposition, results.swap_losses_of(checkpoint, subject), theme),
        "Does the third picture have the outlines of the first and the greys of the fourth? If the true warp is known, "
        "the last picture shows in red where it differs from the other image in this frame.",
        ("mix",),
        "Training swaps with an aligned anatomy, so there is a real image to compare with: "
        r"$g(s_j^{deformed}, z_i)$ with $x_i$ (Sec. III-D).",
        found=lost_when_swapped,
        asked=WHY_NOT_ZERO,
        two=True,
    ),
    Station(
        "Align",
        "Sec. III-B",
        "Both anatomies share one representation, so one can be registered to the other, however different the images "
        f"look. A network predicts offsets of {config.control_points} x {config.control_points} control points; a "
        "thin-plate spline interpolates between them.",
        gathered(
            r"s_j^{deformed}(p) = s_j(T(p))",
            r"T(p) = a + Bp + \sum_k w_k\, U(\lVert p - c_k \rVert), \quad U(r) = r^2 \log r",
        ),
        lambda: warp_sheet(decomposition, colours, theme),
        "The grid shows where the moving anatomy is sampled; deformed, it should match the fixed one.",
        ("align", "decompose"),
        r"The paper describes this in words. $c_k$ are the control points; their offsets determine $a$, $B$, $w_k$.",
        found=lambda: registration_text(decomposition, subject.truth, subject.sampling),
        two=True,
    ),
    Station(
        "Fuse",
        "Sec. III-B",
        "Aligned anatomies are fused: a pixel is 1 in a channel if it is 1 in either. The maximum keeps what only one "
        "modality shows, and works for any number of modalities. It also keeps the errors of each.",
        r"s_i^{fused} = \max(s_i, s_j^{deformed})",
        lambda: fusion_sheet(decomposition, last, kinds, classes, colours, theme),
        "Each channel in the bottom row is the union of those above. Where do they differ?",
        ("align", "decompose"),
        found=lambda: fusion_text(decomposition, last),
        two=True,
    ),
    Station(
        "Segment",
        "Sec. III-C, IV-A",
        "One small network h segments the organs from any anatomy: single, deformed or fused. Dice compares its mask "
        "with an expert's: 1 is identical, 0 has no pixel in common. A modality **without any annotation** is trained "
        "too: by reconstruction, by a discriminator of masks, and by the mask of the annotated image that its anatomy "
        "is deformed onto.",
        gathered(
            r"m_i = h(s_i), \quad Dice(h(s_i), m_i) = \frac{2 \sum_{h,w,c} h(s_i)\, m_i}{\sum_{h,w,c} (h(s_i) + m_i)}",
            r"L_{sup} = \alpha (1 - Dice(h(s_i), m_i)) + \beta\, CE(h(s_i), m_i)",
            r"L = 10 L_{sup} + L_{adv}^M + L_{rec} + L_{adv}^I + L_{rec}^z + 0.1 L_{KL}",
        ),
        lambda: mask_sheet(decomposition, subject.truth, classes, mask_colours, theme),
        "Which mask is best where?"
        + (" Compare with *hard* in the sidebar, where one modality alone is ambiguous." if built_in else ""),
        ("decompose", "compare"),
        "Here Dice is the mean over the organs in the ground truth.",
        found=lambda: fused_mask_text(decomposition, subject.truth, len(classes)),
    ),
    Station(
        "Traverse z",
        "Sec. V-H.2, Fig. 9",
        "One dimension of **z** at a time varies from -3 to 3, three standard deviations of its prior, while **s** and "
        "the others are fixed. Two maps follow each row: a pixel's correlation with the dimension (red positive, blue "
        "negative, grey none), and its total change.",
        gathered(
            r"y(t) = g(s, z \text{ with } z_d = t), \quad t \in [-3, 3]",
            r"\rho^{h,w} = \mathrm{corr}_t\big(t, y^{h,w}(t)\big), \qquad \Delta_{image} = y(3) - y(-3)",
        ),
        traversed,
        "In the paper one dimension changes the whole image and encodes the modality; is it one here? If content and "
        "style are disentangled, brightness changes and positions stay: *Traverse* measures how far they do.",
        ("traverse",),
        "The paper describes this in words and a figure; rows are sorted by effect.",
    ),
    Station(
        "Are s and z independent?",
        "Sec. V-H.1, V-H.3",
        "If s and z are independent, images that are similar in one need not be similar in the other. "
        "*Distance correlation* compares the two distance matrices: 0 for independent factors, 1 if the distances "
        "are proportional. From few images it is **far from 0 for independent factors too**, so compare it with "
        "its value after permuting the subjects of one matrix.",
        gathered(
            r"dCor(s, z) = \frac{dCov(s, z)}{\sqrt{dVar(s)\, dVar(z)}}",
            r"dCov^2(s, z) = \frac{1}{n^2} \sum_{i=1}^{n} \sum_{j=1}^{n} d(s_i, s_j)\, d(z_i, z_j)",
        ),
        distances,
        "Is dCor above that of permuted subjects? If not, these images show no dependence between subjects, which "
        "does not prove independence: a permutation of subjects keeps every image's modality, so what **s** tells "
        "about the modality does not show here. *Probe* shows it.",
        ("probe", "independence", "truth", "quiz"),
        r"$d$ are doubly centred distances: minus the row and column means, plus the grand mean. Shown uncentred, for "
        + ("every sample at this slice" if built_in else "the middle slices of the first subjects of the data set")
        + "; adjacent rows are modalities of one subject.",
    ),
    Station(
        "How a model cheats",
        "Not in the paper",
        "Binary channels can hide grey levels after all, as a newspaper prints photographs: in a pattern of dots, a "
        "*halftone*. The image is then reconstructed well, but **s** encodes appearance, which only **z** should. "
        "The test: shuffle the pixels of **s** within one tissue, in cells of 8 x 8 pixels, and decode again. Where a "
        "tissue has one channel, nothing changes; a pattern of dots is destroyed.",
        gathered(
            r"s'(p) = s(\pi(p))",
            r"\mathrm{tissue}(\pi(p)) = \mathrm{tissue}(p)",
            r"\lVert x - g(s', z) \rVert_1 \overset{?}{=} \lVert x - g(s, z) \rVert_1",
        ),
        cheating,
        "Are there dots inside one tissue? Shuffle them, and compare the decoded images and their errors.",
        ("edit", "probe", "checkpoints"),
        "Such codes were found in the images of CycleGAN (Chu, Zhmoginov and Sandler 2017). π is a permutation of the "
        "pixels of a cell; errors are means over the whole image.",
    ),
)


def step(by: int) -> None:
    st.session_state["station"] += by


st.title("Tour")
st.markdown(
    "Find out in eleven stations how the model works: each shows one equation and its result on the selected slice."
)
with st.container(horizontal=True, vertical_alignment="bottom"):
    n = st.segmented_control(
        "Station",
        range(1, len(STATIONS) + 1),
        default=1,
        required=True,
        key="station",
        bind="query-params",
        help="Stations can be opened in any order",
    )
    st.button("← Back", help="Previous station", key="back", on_click=step, args=(-1,), disabled=n == 1)
    st.button(
        "Next →",
        help="Next station",
        key="next",
        on_click=step,
        args=(1,),
        disabled=n == len(STATIONS),
        type="primary",
    )
    st.page_link("pages/start.py", label="Skip the tour")
station = STATIONS[n - 1]
st.header(f"{n}. {station.title}")
glossary.subject_caption(subject.title, decomposition.names)
sidebar.show_domain_notice(checkpoint, subject)
left, right = st.columns(2)
with left:
    glossary.markdown(station.text)
with right:
    st.latex(station.equation)
    glossary.caption(f"{station.section}. {station.note}")

needs_samples = station.picture is distances  # needs more than this slice
cheats = station.picture is cheating
probe, dependence = (card_result.probe, card_result.dependence) if card_result else (None, None)
card_has_both = probe and dependence and None not in (probe.accuracy, dependence.dcor)
picture, why = None, ""
if cheats and not subject.tissues:
    counter_example.offer_phantom(checkpoint)
elif station.two and not decomposition.pairs:
    why = "This station needs two modalities: add an image of another one under *Your data*, at the top of this page."
elif station.section == "Sec. III-B" and not decomposition.aligned:
    why = sidebar.no_alignment(checkpoint)
elif needs_samples and subject.uploaded:
    why = "This needs several subjects, not one: the numbers are from the checkpoint's card."
else:
    try:
        picture = station.picture()
    except ValueError as error:
        why = f"Picture not available: {error}."
if picture:
    with st.container(key=f"sheet_tour{n}"):
        controls.image(picture, f"{station.title}: what the equation gives on the selected slice")
    if cheats:
        st.caption(counter_example.legend(checkpoint))
    glossary.markdown(f"**What to look for.** {station.look}")
    if found := station.found():
        glossary.markdown(f"**On this slice.** {found}", help=station.asked)
    if cheats:
        i = decomposition.names.index(st.session_state["halftone-of"])
        st.markdown(f"**Verdict.** {counter_example.verdict(checkpoint, subject, i)}")
elif why:
    st.info(why)
if needs_samples and card_has_both:
    if not picture:
        st.plotly_chart(
            probe_figure(probe, theme is DARK),
            key="carded",
            alt="Accuracy of the modality classified from all of z and from each dimension alone",
        )
    st.markdown(
        f"On {card_result.n_subjects} held-out subjects (`{card_result.data}`, from its card): dCor of s and z is "
        f"{dependence.dcor:.3f}, p = {dependence.p_value:.3f}. This is meaningful only if z carries information: the "
        f"modality is classified from it with accuracy {probe.accuracy:.1%} (chance {probe.chance:.0%}). "
        f"{selected_on(card_result)}"
    )
with st.container(horizontal=True, vertical_alignment="center"):
    st.markdown("More on this:", width="content")
    for page in station.deeper:
        st.page_link(f"pages/{page}.py")
