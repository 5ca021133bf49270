"""Tour: ten short stations, from an image to its factors; each equation beside the picture that it makes here."""

from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st
from PIL import Image

from dafnet_core.analysis.decompose import kl_per_dimension, registration_errors
from dafnet_core.drawing import DARK
from dafnet_explorer import controls, results, sidebar
from dafnet_explorer.figures.decompose import channel_sheet, fusion_sheet, warp_sheet
from dafnet_explorer.figures.masks import mask_sheet
from dafnet_explorer.figures.pixels import channel_colours
from dafnet_explorer.figures.probe import probe_figure
from dafnet_explorer.figures.tour import distance_sheet, pair_sheet, parts_sheet, swap_sheet, z_sheet
from dafnet_explorer.figures.traverse import probe_accuracies, traverse_sheet

checkpoint, subject, found, kinds = sidebar.current()
theme = sidebar.theme()
config = checkpoint.config
classes, mask_colours = config.classes, checkpoint.colours
colours = channel_colours(kinds, mask_colours)
kl = kl_per_dimension(found)
last = len(found.names) - 1
carded = next(iter(checkpoint.metrics.values()), None)


@dataclass(frozen=True)
class Station:
    """One stop of the tour.

    Attributes:
        title: short.
        section: of the paper.
        text: two or three sentences for somebody who is new to this.
        equation: LaTeX.
        picture: what the equation makes of the chosen slice.
        look: what to look for in it.
        deeper: pages that show more.
        note: where this app or the published code differs from the printed equation.
        two: whether it takes two modalities.
    """

    title: str
    section: str
    text: str
    equation: str
    picture: Callable[[], Image.Image]
    look: str
    deeper: tuple[str, ...]
    note: str = ""
    two: bool = False


def decoder() -> tuple[str, str, str]:
    """The chosen decoder's sentence, equation and note."""
    if config.decoder == "film":
        return (
            "This one, FiLM, lets **z** scale and shift whole feature maps F, by one number each.",
            r"\mathrm{FiLM}(F \mid \gamma, \beta) = F \odot \gamma + \beta",
            "",
        )
    return (
        "This one, SPADE, begins with **z** and lets **s** scale and shift every place of its feature maps F.",
        r"\mathrm{SPADE}(F \mid \Gamma, \mathrm{B}) = \Gamma \odot \frac{F - \mu}{\sigma} + \mathrm{B}",
        " As in the published code, the factor is 1 + Γ, which starts as the identity.",
    )


def gathered(*lines: str) -> str:
    return r"\begin{gathered}" + r" \\[4pt] ".join(lines) + r"\end{gathered}"


def traversed() -> Image.Image:
    moved = results.traversal(checkpoint, found.s[0], found.z_mean[0], 5)
    return traverse_sheet(moved, kl[0], probe_accuracies(checkpoint.metrics), "effect", theme)


def distances() -> Image.Image:
    s, z, d = results.samples_apart(checkpoint)
    return distance_sheet(s, z, d.dcor, sum(d.null_dcor) / len(d.null_dcor), theme)


def aligned() -> str:
    """The error of alignment of each pair, where the truth is known."""
    errors = registration_errors(found, subject.truth, subject.sampling)
    parts = [
        f"{found.names[j]} onto {found.names[i]}: {a:.2f} pixels off before, {b:.2f} after" for i, j, a, b in errors
    ]
    return f" Over the organs here: {'; '.join(parts)}." if parts else ""


paints, modulation, plus_one = decoder()
STATIONS = (
    Station(
        "Two images of one subject",
        "Sec. I, III-A",
        "These are images of the same slice of the same body, made in two ways, here called *modalities*. They show "
        "the same things, but **look different**, and the things **lie elsewhere**, since hearts beat and patients "
        "breathe. Somebody has to draw every mask by hand, so few images have one.",
        r"x_i \in X_i \subset \mathbb{R}^{H \times W}, \qquad i \in \{M_1, \dots, M_n\}",
        lambda: pair_sheet(found, subject.truth, len(classes), mask_colours, theme),
        "Follow an outline over the tiles that show both images in turn: it jumps.",
        ("decompose",),
        two=True,
    ),
    Station(
        "Where things are: the anatomy s",
        "Sec. III-A",
        f"A network puts every pixel into exactly one of {config.channels} channels, as if it cut the image out of "
        "coloured paper. A channel is on or off: it has no shades, so it cannot keep how bright a place is. Each "
        "modality has the first half of that network (φ) to itself and shares the second (ρ), so the same thing lands "
        "in the same channel.",
        gathered(
            r"s_i = f_{anatomy}(x_i \mid \phi_i, \rho) \in \{0, 1\}^{H \times W \times C}",
            r"\textstyle\sum_{c=1}^{C} s_i^{h,w,c} = 1 \quad \forall\, h, w",
        ),
        lambda: channel_sheet(found, kinds, classes, colours, theme),
        "The same organ stands in the same column, whatever the modality; channels that nothing needs stay empty.",
        ("edit", "decompose"),
        "On or off has no slope to learn from: the most probable channel is on, and in training the gradient passes "
        "straight through to the probabilities.",
    ),
    Station(
        "How it looks: the modality factor z",
        "Sec. III-A",
        f"What **s** leaves out goes into {config.z_dim} numbers for the whole image. The encoder gives a range for "
        "each, a mean and a deviation, and not one value. All are pulled towards one bell curve, so each says only "
        "what it must.",
        gathered(
            r"z_i \sim q(z_i \mid x_i, s_i), \qquad p(z_i) = \mathcal{N}(\mathbf{0}, \mathbf{I})",
            r"L_{KL} = \mathrm{KL}\big(q(z_i \mid x_i, s_i) \,\|\, p(z_i)\big)",
        ),
        lambda: z_sheet(found, kl, theme),
        "A dimension with a short bar and whiskers as long as the prior's says nothing of this image; KL counts, in "
        "nats, how far all of them are from that.",
        ("traverse", "probe"),
        "The paper prints KL(p ‖ q); its code, and this app, take KL(q ‖ p).",
    ),
    Station(
        "Put together again",
        "Sec. III-D",
        "A decoder g paints the anatomy in the style that **z** says, and what it makes is compared with the image "
        f"itself. {paints} No expert takes part in this, so images that nobody has annotated teach the model too.",
        gathered(r"y_i = g(s_i, z_i), \qquad L_{rec} = \lVert x_i - g(s_i, z_i) \rVert_1", modulation),
        lambda: parts_sheet(found, colours, theme),
        "Outlines and grey levels come back; what neither factor can hold, such as noise, is left in the error.",
        ("decompose", "compare"),
        f"Here L_rec is the mean over pixels, of intensities in [-1, 1].{plus_one}",
    ),
    Station(
        "Swap the modality factor",
        "Sec. III-D, III-E",
        "If **s** says only where things are, and **z** only how they look, an anatomy can be painted with the other "
        "image's **z**: everything stays in its place, and the modality changes. So that the decoder does not ignore "
        "**z**, in training a random one is painted and read back from its own picture.",
        gathered(
            r"y = g(s_i, z_j), \qquad j \neq i",
            r"L_{rec}^z = \lVert z - f_{modality}(y, f_{anatomy}(y)) \rVert_1, \quad z \sim \mathcal{N}(\mathbf{0}, "
            r"\mathbf{I})",
        ),
        lambda: swap_sheet(found, theme),
        "The third picture has the outlines of the first and the greys of the last.",
        ("mix",),
        "Training swaps with an aligned anatomy, which a real image can be compared with: "
        r"$g(s_j^{deformed}, z_i)$ with $x_i$ (Sec. III-D).",
        two=True,
    ),
    Station(
        "Align",
        "Sec. III-B",
        "Both anatomies speak one language, so one can be laid upon the other, however different the images look. A "
        f"network sees both and moves {config.control_points} x {config.control_points} control points; a thin-plate "
        "spline, which bends like a sheet of metal, moves every pixel between them.",
        gathered(
            r"s_j^{deformed}(p) = s_j(T(p))",
            r"T(p) = a + Bp + \sum_k w_k\, U(\lVert p - c_k \rVert), \quad U(r) = r^2 \log r",
        ),
        lambda: warp_sheet(found, colours, theme),
        "Where the grid bends, the moving anatomy is fetched from elsewhere; deformed, it should cover the fixed one."
        + aligned(),
        ("align", "decompose"),
        r"The paper says this in words. $c_k$ are the control points; $a$, $B$, $w_k$ follow from where they go.",
        two=True,
    ),
    Station(
        "Fuse",
        "Sec. III-B",
        "Aligned anatomies are joined: a pixel is on in a channel if either has it on. Nothing that one modality alone "
        "has seen is lost, and the maximum takes any number of modalities. What one of them saw wrong is kept as well.",
        r"s_i^{fused} = \max(s_i, s_j^{deformed})",
        lambda: fusion_sheet(found, last, kinds, classes, colours, theme),
        "Each channel at the bottom is the union of those above it; where they differ it is a little larger than both.",
        ("align", "decompose"),
        two=True,
    ),
    Station(
        "Segment",
        "Sec. III-C, IV-A",
        "One small network h reads the organs from any anatomy: single, deformed or fused. Dice compares its mask with "
        "an expert's: 1 is the same, 0 has no pixel in common. A modality **without any annotation** learns too: by "
        "being put together again, by a critic that knows how masks look, and because its anatomy, deformed onto the "
        "annotated image, is judged by that one's mask.",
        gathered(
            r"m_i = h(s_i), \quad Dice(h(s_i), m_i) = \frac{2 \sum_{h,w,c} h(s_i)\, m_i}{\sum_{h,w,c} (h(s_i) + m_i)}",
            r"L_{sup} = \alpha (1 - Dice(h(s_i), m_i)) + \beta\, CE(h(s_i), m_i)",
            r"L = 10 L_{sup} + L_{adv}^M + L_{rec} + L_{adv}^I + L_{rec}^z + 0.1 L_{KL}",
        ),
        lambda: mask_sheet(found, subject.truth, classes, mask_colours, theme),
        "Which mask is best where? Look again with *hard* at the left, where one modality alone is ambiguous.",
        ("decompose", "compare"),
        "Here Dice is the mean over the organs that the truth contains.",
    ),
    Station(
        "Move z",
        "Sec. V-H.2, Fig. 9",
        "One dimension of **z** at a time goes from -3 to 3, which is nearly all of its bell curve, while **s** and "
        "the others stay. Behind each row stand two maps: how strictly a pixel follows (correlation: red with, blue "
        "against, grey not at all), and how far it goes.",
        gathered(
            r"y(t) = g(s, z \text{ with } z_d = t), \quad t \in [-3, 3]",
            r"\rho^{h,w} = \mathrm{corr}_t\big(t, y^{h,w}(t)\big), \qquad \Delta_{image} = y(3) - y(-3)",
        ),
        traversed,
        "In the paper one dimension changes the whole image and tells the modality; is it one here? Things may change "
        "their brightness, and never their place.",
        ("traverse",),
        "The paper says this in words and in its figure; rows are sorted by how much they do.",
    ),
    Station(
        "Is it really taken apart?",
        "Sec. V-H.1, V-H.3",
        "If s and z tell nothing about each other, images that are alike in one need not be alike in the other. "
        "*Distance correlation* compares the two tables of distances: 0 for independent factors, 1 for factors that "
        "determine each other. But of few images it is **far from 0 for independent factors too**, so beside it stands "
        "what is left when the subjects of one table are permuted.",
        gathered(
            r"dCor(s, z) = \frac{dCov(s, z)}{\sqrt{dVar(s)\, dVar(z)}}",
            r"dCov^2(s, z) = \frac{1}{n^2} \sum_{i=1}^{n} \sum_{j=1}^{n} d(s_i, s_j)\, d(z_i, z_j)",
        ),
        distances,
        "Is dCor above that of permuted subjects? Where it is not, these images show no dependence between subjects, "
        "which is no proof that there is none.",
        ("probe", "independence", "truth", "quiz"),
        r"$d$ are distances less the mean of their row and column, plus that of all. Shown before that, for every "
        "sample at this slice; neighbours are the modalities of one subject.",
    ),
)


def step(by: int) -> None:
    st.session_state["station"] += by


st.title("Tour")
st.markdown(
    "Find out in ten stations how the model works: each shows one equation and what it gives on the selected slice."
)
with st.container(horizontal=True, vertical_alignment="bottom"):
    n = st.segmented_control(
        "Station",
        range(1, len(STATIONS) + 1),
        default=1,
        required=True,
        key="station",
        bind="query-params",
        help="Any order will do; each stands for itself",
    )
    st.button("← Back", help="The station before", key="back", on_click=step, args=(-1,), disabled=n == 1)
    st.button(
        "Next →",
        help="The station after",
        key="next",
        on_click=step,
        args=(1,),
        disabled=n == len(STATIONS),
        type="primary",
    )
    st.page_link("pages/start.py", label="Skip the tour")
station = STATIONS[n - 1]
st.header(f"{n}. {station.title}")
sidebar.say_domain(checkpoint, subject)
left, right = st.columns(2)
with left:
    st.markdown(station.text)
with right:
    st.latex(station.equation)
    st.caption(f"{station.section}. {station.note}")

several = station.picture is distances  # takes more than this slice
probe, dependence = (carded.probe, carded.dependence) if carded else (None, None)
told = probe and dependence and None not in (probe.accuracy, dependence.dcor)
picture, why = None, ""
if station.two and not found.pairs:
    why = "This station takes two modalities: add the other one's image in the sidebar."
elif several and subject.uploaded:
    why = "This takes several subjects, and yours is one: here is what the checkpoint's card says."
else:
    try:
        picture = station.picture()
    except ValueError as error:
        why = f"There is no such picture here: {error}."
if picture:
    with st.container(key=f"sheet_tour{n}"):
        controls.image(picture, f"{station.title}: what the equation makes of the chosen slice")
    st.caption(subject.title)
    st.markdown(f"**What to look for.** {station.look}")
else:
    st.info(why)
if several and told:
    if not picture:
        st.plotly_chart(
            probe_figure(probe, theme is DARK),
            key="carded",
            alt="Accuracy of the modality from all of z and from each dimension alone",
        )
    st.markdown(
        f"On {carded.n_subjects} subjects that it never saw (`{carded.data}`, of its card): dCor of s and z is "
        f"{dependence.dcor:.3f}, p = {dependence.p_value:.3f}. That counts only if z says something: the modality is "
        f"told from it in {probe.accuracy:.1%} of images, by chance in {probe.chance:.0%}."
    )
with st.container(horizontal=True, vertical_alignment="center"):
    st.markdown("Go deeper:", width="content")
    for page in station.deeper:
        st.page_link(f"pages/{page}.py")
