# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% tags=["colab", "remove-cell"]
# On Colab: installs this book's library at the release of this page; torch stays as it is there.
import sys

if "google.colab" in sys.modules:
    # %pip install -q "sqa-core[labels] @ git+https://github.com/sqa-book/sqa-book@v0.2.0"
    pass

# %% tags=["parameters", "remove-cell"]
profile = "demo"
engine = "local"
scheduler = ""
store = ""

# %% [markdown]
# # What has NISQA learnt?
#
# *H. Tilkorn, G. Mittag and S. Möller: Visualising and Explaining Deep Learning Models for Speech Quality Prediction,
# DAGA 2021, {cite}`tilkorn2021`.*

# %% tags=["remove-cell"]

from sqa_core import figures
from sqa_core.figures import maps as drawing
from sqa_core.results import claims, frame, published
from sqa_core.studies.nisqa_explained import claims as tested
from sqa_core.studies.nisqa_explained import figures as draw
from sqa_core.studies.nisqa_explained import inputs, page, plan, tables
from sqa_core.studies.nisqa_explained.roles import shown_roles
from sqa_core.studies.shared import published_run

figures.style()
settings = plan.Settings(profile=profile, engine=engine, scheduler=scheduler, store=store)
this_run = settings.run(plan.trials(settings))
this_run += settings.run(plan.figure_trials(settings, frame.of(this_run)))
now = frame.of(this_run)
ours = published_run(plan.SLUG)

# %% tags=["remove-cell"]
by_network = tested.of_networks(ours)
found = by_network["our_run"]
for name, text in (page.glue_values(ours, by_network) | page.demo_values(this_run)).items():
    figures.glue(name, text)
clean, impaired = inputs.demo_sound()

# %% tags=["hide-input"]
figures.answer(**page.first_screen(ours, by_network))

# %% tags=["hide-input"]
drawn = frame.only(ours, "figures", network=plan.PAPERS_LAYOUT)
behaviour = frame.only(ours, "features", network=plan.PAPERS_LAYOUT, corpus="prompts", randomised=False)
role_maps = draw.roles_maps(drawn, shown_roles(behaviour)) if drawn and behaviour else {}
figures.shown(
    drawn if behaviour else None,
    lambda r: drawing.maps_over_time(r.arrays()["mel"], role_maps, "attribution"),
    lambda r: drawing.maps_frame(r.arrays()["mel"], role_maps),
    "roles",
    alt="The spectrogram of a noisy sentence above the averaged maps of the features that best follow cuts, pauses, voice and noise.",
    caption=f"A real recording ({inputs.shown_file()}) and the attributions of those features of nisqa-tts that follow cuts, pauses, voice and noise best on the controlled set; where one feature has two of these roles, the second best for noise is shown too. The recording has no cut. Complete DeepLIFT, averaged over segments. Published run.",
)

# %% [markdown]
# ## How this rerun differs from the paper

# %% tags=["hide-input"]
figures.table(page.deviations_table(ours), "deviations", "Differences from the paper; published run")

# %% [markdown]
# ## The claims, tested
#
# Each row quotes the paper. *Our run* is `nisqa-tts`, whose layout is the paper's; *shuffled weights* is the same
# network with its weights in random order within each layer. A claim that also holds with shuffled weights is a
# property of the sound and the layout, not of training. *nisqa* is the network that agrees best with listeners; it has
# no layer of 20 outputs, so most claims cannot be asked of it. The bar shows the number that decides, with its 95 %
# interval; the shaded range meets the criterion. Where the paper gives no bound, it is ours and stands in the row. Our
# minimum effect sizes were added after a first analysis; rows that depend on them say so.

# %% tags=["hide-input"]
ledger, quoted = published.claims(plan.SLUG), published.read(plan.SLUG, "quotations")
figures.forest(claims.judged(ledger, quoted, **tested.with_reasons(by_network)), slug=plan.SLUG)

# %% [markdown]
# ## Most claims that hold also hold with shuffled weights
#
# {glue:text}`control_sentence` With shuffled weights, masks on a quiet room also change little (C1), features are also
# redundant (C10), filters of the first convolution also look at different regions (C12), and deep maps also show no
# pattern (C14). One claim needs training on both `nisqa-tts` and `prompts-pesq-20`: two features of the second
# convolution respond to the same structure with opposite signs (C13). On our own two networks C3 needs it too; where
# they have a ReLU on the outputs, C13 fails even with trained weights. Each control is one shuffle of the weights; those of C6
# and C11 have five recordings. The vertical focus of the features (C11, partly reproduced) also depends on training: on
# these recordings, the intraclass correlation of the maps' centres falls from {glue:text}`focus_trained` to
# {glue:text}`focus_shuffled`.
#
# On `nisqa`, claim C2 is **{glue:text}`nisqa_C2`**: masking lowers the scores of good files, but the mean change below
# MOS 2 is negative too. Masks are silence, which probably costs quality in bad files as well.

# %% tags=["hide-input"]
verdicts = tested.claims_by_network(ours, by_network)
figures.shown(
    frame.records(ours, "features"),
    lambda _: draw.verdict_grid(verdicts),
    lambda _: verdicts,
    "claims_by_network",
    alt="A grid of verdicts: claims by rows, networks with trained and shuffled weights by columns.",
    caption="Verdicts by network, trained and with shuffled weights. Published run, real recordings and controlled files.",
)

# %% [markdown]
# ## Captum's DeepLIFT violates completeness on this network
#
# The elements of a map should add up to the difference between the outputs for the input and for the baseline. With
# captum 0.9.0, the newest release, and ReLUs as modules, the median over files and features of each file's largest
# relative error is {glue:text}`error_modules`. Captum hooks the tensor that enters a nonlinear module. Where two such modules follow each other
# directly, the output of one and the input of the other are the same tensor object, and the first reads a gradient that
# the second has not yet replaced. Cloning the tensor between them restores completeness:
# {glue:text}`error_complete`.
#
# This is not special to a max pool after a ReLU. It holds for all six ordered pairs of ReLU, tanh and max pool; a test
# of this book tries each with captum 0.9.0, and we have not tried older versions. Captum's maintainers have a fix for adjacent modules, [pull request
# 1843](https://github.com/meta-pytorch/captum/pull/1843) of May 2026 for [issue
# 1104](https://github.com/pytorch/captum/issues/1104), and one for functional operations, [pull request
# 1858](https://github.com/meta-pytorch/captum/pull/1858); neither is in a release on PyPI. NISQA's code calls ReLU as a
# function, which captum ignores without a warning.
#
# The fault does not change the verdict on claim C6, that DeepLIFT and integrated gradients agree: on `nisqa-tts` it
# fails for all three variants (ReLUs called as functions, ReLUs as modules, and modules with copies between them, the
# complete variant). On one of our own networks captum's own variant, which is not complete, does reach the criterion.
# Sums, and statements about how much of an output a region explains, need the complete variant.

# %% tags=["hide-input"]
figures.shown(
    drawn,
    draw.variants_figure,
    lambda r: drawing.maps_frame(r.arrays()["mel"], draw.variants_maps(r)),
    "variants_figure",
    alt="The map of one feature by DeepLIFT in three variants and by integrated gradients, one below the other.",
    caption="One feature of nisqa-tts by DeepLIFT in three variants and by integrated gradients, each with the completeness error of this one map (the text has medians over files). Published run, real recording.",
)

# %% tags=["hide-input"]
figures.table(
    tables.variants_table(ours),
    "variants",
    "DeepLIFT with ReLUs called as functions, as modules, and complete (a copy between modules); integrated gradients. Medians over files and features",
    {"largest completeness error": 2, "maps within 1 %, %": 0, "correlation with IG": 2},
    fold="Data: three variants of DeepLIFT and integrated gradients",
)

# %% [markdown]
# ## The distance to the baseline finds known cuts better than the maps do
#
# The controlled set has cuts at known positions. Inside a cut, input and baseline agree if the baseline is silence, and
# every method that multiplies by their difference is zero there: with a baseline of −80 dB the AUC is far below 0.5, the
# maps are dark inside cuts, as predicted. The best of ten maps of `nisqa-tts` (five methods, two
# baselines) reaches {glue:text}`best_cut`. A
# control without any network, |x − x₀| with x₀ = 0 dB, reaches {glue:text}`cut_alone` on the same files (two talkers,
# two kinds of cuts).

# %% tags=["hide-input"]
located = tables.localisation_table(ours)
figures.shown(
    frame.records(ours, "localisation"),
    lambda _: draw.localisation(located),
    lambda _: located,
    "localisation",
    alt="Dots with intervals: AUC of each method for frames inside known cuts, by baseline, for trained and shuffled weights.",
    caption="How well the size of a map finds frames inside known cuts (AUC; 0.5 is chance), nisqa-tts; 95 % intervals over conditions and talkers. Controlled set from real prompts, published run.",
)

# %% [markdown]
# ## Under occlusion, the scores do not respond to the impairments they are named after
#
# If `dis` measured discontinuity, hiding a cut should raise it. Every mean change is at most
# {glue:text}`largest_dimension_change`: hiding a cut does not raise `dis` ({glue:text}`dis_on_cut`). By integrated
# gradients through the whole network the picture is mixed. {glue:text}`dimensions_said`

# %% tags=["hide-input"]
changes = tables.dimensions_table(ours)
figures.shown(
    frame.records(ours, "dimensions"),
    lambda _: draw.dimension_grid(changes),
    lambda _: changes,
    "dimensions",
    alt="A grid: what is hidden by rows, the five scores by columns, mean change in each cell.",
    caption="Mean change of each of nisqa's five scores under columns of 13 frames that hide this (set to the file's mean level). Controlled set from real prompts, published run.",
)

# %% [markdown]
# ## Move a mask over a sound
#
# A synthetic sentence with pink noise at 30 dB and a cut of 120 ms at 1.3 s. The mask starts where it changes the score
# most. Scores are the network's own and can lie below 1.

# %% tags=["hide-input"]
figures.shown(
    frame.only(now, "occlusion", corpus="polyglot"),
    lambda r: draw.stepper_of(r.arrays(), impaired, "stepper_demo", "synthetic"),
    lambda r: draw.occlusion_frame(r.arrays()),
    "stepper_demo",
    "The synthetic sentence is explained in the demo profile.",
)

# %% [markdown]
# ## Method in brief
#
# **Networks.** `nisqa-tts` has the paper's layout: standard CNN, 20 outputs, BiLSTM. `nisqa-mos` is `nisqa`'s first
# score plus {glue:text}`mos_offset` (70 of their 76 tensors are identical), so it is not independent evidence and is left
# out of the figures. **Occlusion** sets a part of the spectrogram to the file's floor. **Attribution** by integrated
# gradients and DeepLIFT explains the CNN alone, as in the paper. **Intervals** resample conditions and talkers, both
# with replacement; for C9 to C11 they resample files. **Feature indices are arbitrary**: features are selected on two talkers and evaluated on the other
# two. The [second page](nisqa_explained_details) has the data, all maps and all tables.
#
# ## Try it on your own sound
#
# ```bash
# sqa explain my_recording.wav                       # occlusion
# sqa explain my_recording.wav --method ig           # the whole network, and its features
# ```
#
# ## Demo run (built with this page, synthetic speech)
#
# On {glue:text}`demo_files` impaired utterances with voices and languages that are not in its training set, our
# network's correlation with PESQ is {glue:text}`demo_pcc`. This tests the code and says nothing about listeners.

# %% tags=["hide-input"]
figures.run_card(ours["record"].tolist() if len(ours) else [], this_run, settings)
