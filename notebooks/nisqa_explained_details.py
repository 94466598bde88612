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
# # NISQA explained: all maps and tables
#
# The second page of [the chapter on NISQA](nisqa_explained): data, method, the paper's figures, every table, and what
# the main page leaves out. From the published run on real recordings, unless a caption says otherwise.

# %% tags=["remove-cell"]
import pandas as pd

from sqa_core import audio, figures
from sqa_core.corpora import registry
from sqa_core.figures import charts
from sqa_core.figures import maps as drawing
from sqa_core.results import frame, published
from sqa_core.studies.listeners import SAME_PREDICTOR
from sqa_core.studies.nisqa_explained import claims as tested
from sqa_core.studies.nisqa_explained import figures as draw
from sqa_core.studies.nisqa_explained import inputs, page, plan, tables
from sqa_core.studies.nisqa_explained.roles import correlation
from sqa_core.studies.shared import published_run

figures.style()
settings = plan.Settings(profile=profile, engine=engine, scheduler=scheduler, store=store)
this_run = settings.run(plan.trials(settings))
this_run += settings.run(plan.figure_trials(settings, frame.of(this_run)))  # stored already: the main page runs them
now = frame.of(this_run)
ours = published_run(plan.SLUG)

# %% tags=["remove-cell"]
by_network = tested.of_networks(ours)
for name, text in (page.glue_values(ours, by_network) | page.demo_values(this_run)).items():
    figures.glue(name, text)
clean, impaired = inputs.demo_sound()
real = audio.load(inputs.p835_path(inputs.FILE)) if registry.find("p835") else None
drawn = frame.only(ours, "figures", network=plan.PAPERS_LAYOUT)

# %% [markdown]
# ## Data
#
# | | the paper | published run | this run (demo) |
# |---|---|---|---|
# | recordings | 216 of a closed POLQA set, 54 conditions of 4 | 78 of the P.835 reference conditions {cite}`naderi2021`, 13 conditions × 6 talkers, listeners' votes | synthetic speech |
# | known truth | none | the controlled set: 54 conditions × 4 talkers from real prompts, every cut, pause and noise known frame by frame | some of the same conditions, from synthetic voices |
# | network | NISQA of 2019, weights not published | `nisqa-tts` (standard CNN, 20 outputs, BiLSTM: the paper's layout), and ours | ours |
# | status | closed | real recordings | synthetic speech |
#
# The controlled set has the size of the paper's. Its conditions are noise of four colours at six SNRs, bursts of noise,
# cuts of 10 to 320 ms, clipping, band limits, MNRU, and inserted silence. Every file has the noise of a quiet room, 70
# dB below the speech. The prompts come from the Asterisk project: four people, one each for English, French, Italian
# and Russian.
#
# The paper's spectrograms are padded to 1300 frames, which gives {glue:text}`padded_masks` masks. Ours are as long as
# the recordings. We did both for one recording: padded with its floor to 1300 frames, its score by `nisqa-tts` is
# {glue:text}`padded_mos` instead of {glue:text}`padded_mos_unpadded`, and {glue:text}`padded_masks_on_padding` of the
# masks cover padding only. They change the score by up to {glue:text}`padded_largest_change_on_padding`; the masks on
# the sound, by up to {glue:text}`padded_largest_change_on_sound`.
#
# Our networks were trained to predict PESQ on synthetic voices and real prompts, never on P.835's talkers. They are
# small: half the paper's channels, one segment every eight frames. `prompts-pesq-20` has the paper's sequence of layers
# (20 outputs, BiLSTM); `prompts-pesq-20-relu` adds the ReLU on the 20 outputs that NISQA's code of 2020 had;
# `prompts-pesq` has self-attention. **The talkers of the controlled set are in their material**, three in training and
# one in validation. They are unknown to `nisqa-tts`.
#
# ## Method
#
# **Agreement.** Pearson's correlation by file, and by condition over the means of its talkers. Files of one talker, or
# of one condition, are not independent. The intervals therefore resample talkers and conditions, both with replacement.
#
# **The listeners' ceiling.** A mean of $n$ votes with standard deviation $s$ has the error variance $s^2/n$. If $\bar
# e$ is its mean over files and $v$ the variance of the files' scores, a perfect predictor of the true means would reach
# $r_{\max} = \sqrt{1 - \bar e / v}$.
#
# **Occlusion.** A part $m$ of the spectrogram $x$ is set to the file's floor, and the score $f$ is computed again
# {cite}`zeiler2014`: $\Delta_m = f(x_{\setminus m}) - f(x)$. The masks are the paper's: squares of 24 bands by 24
# frames, bands of 2, 4, 6 and 8 over the whole file, columns of 13 frames (0.13 s). The stride is the mask's own size.
# The paper does not state the fill value. We use the file's minimum, which is the closest to silence; 0 dB would be
# full scale.
#
# **Attribution.** Integrated gradients {cite}`sundararajan2017`, DeepLIFT {cite}`shrikumar2017` and layer conductance
# {cite}`dhamdhere2018` share one property. The elements $a_i$ of a map add up to the difference between the outputs for
# the input and for a baseline $x_0$:
#
# $$ \sum_i a_i = f(x) - f(x_0). $$
#
# This is completeness, and it can be checked. Each map is labelled with its completeness error, relative to the mean
# difference over a file's segments. As in the paper, only the CNN is explained: one segment of 48 bands by 15 frames
# for each frame, 20 outputs. For every feature we inspect thirty segments per file; for one feature we average all
# segments where they overlap. The baseline is $-80$ dB unless another is named. In the figures, integrated gradients
# and conductance use 50 steps, doubled up to 200 where the error is above 1 %. The survey of all recordings uses 50,
# and a part of it 200.
#
# **Feature indices are arbitrary**; we match features by behaviour. A feature is selected on two talkers of the
# controlled set and evaluated on the other two. Two talkers are few, so the intervals say little about further talkers.

# %% [markdown]
# ## Agreement with listeners

# %% tags=["hide-input"]
figures.table(
    tables.agreement_table(ours),
    "agreement",
    "Published run, real recordings: correlation with the listeners' overall score, 95 % intervals over talkers and conditions, and the ceiling that the listeners' votes set",
    {"RMSE by file": 2} | dict.fromkeys(("PCC by file", "PCC by condition", "ceiling by file", "ceiling by condition"), 3),
)

# %% [markdown]
# The paper reports no correlation to compare with. These numbers show whether the networks are accurate enough to be
# worth explaining. The correlation of `nisqa` with the listeners is {glue:text}`official_file` by file and
# {glue:text}`official_condition` by condition; the ceiling set by the votes is about {glue:text}`ceiling_file` by file.
# `nisqa-tts`, trained for another task, reaches {glue:text}`tts_file` and {glue:text}`tts_condition`. Our
# self-attention network, trained on real prompts too, reaches {glue:text}`own_file` and {glue:text}`own_condition`;
# ours with the paper's layout {glue:text}`own20_file` and {glue:text}`own20_condition`.

# %% tags=["hide-input"]
listeners = [r for r in frame.records(ours, "listeners") if r.trial["network"] not in SAME_PREDICTOR]
figures.shown(
    listeners,
    charts.listeners_scatter,
    lambda found: (
        found[0].items()[["file", "condition", "talker", "mos_ovrl"]].assign(**{r.trial["network"]: r.items()["mos"] for r in found})
    ),
    "listeners_scatter",
    alt="Scatter plots of predicted against listeners' MOS for each network, 78 recordings each; the bias differs by network.",
    caption="Predicted MOS against the listeners' overall score, 78 full-band recordings of the P.835 reference conditions; one panel per network. Published run, real recordings.",
)

# %% [markdown]
# ## Which parts change the score
#
# Move the mask and read the score below it. The first figure is the published run on a real recording, the second this
# run on the synthetic sentence.

# %% tags=["hide-input"]
masked = frame.only(ours, "occlusion", network="nisqa")
figures.shown(
    masked, lambda r: draw.stepper_of(r.arrays(), real, "stepper_real", "real"), lambda r: draw.occlusion_frame(r.arrays()), "stepper_real"
)

# %% tags=["hide-input"]
figures.shown(
    masked,
    lambda r: draw.occlusion_figure(r.arrays()),
    lambda r: draw.occlusion_frame(r.arrays()),
    "occlusion",
    alt="A mel spectrogram of noisy speech above six maps of the change of predicted MOS, one for each mask shape.",
    caption=f"Occlusion of one real recording ({inputs.shown_file()}) with the official network: the spectrogram, and the change of MOS under each of the paper's masks. Published run.",
)

# %% [markdown]
# ## CNN feature attributions
#
# Choose a feature, look at its map, and listen to the sound under the cursor. Orange raises the feature, violet lowers
# it. In all maps, the colour limits clip the top 0.5 % of points. First `nisqa-tts` on the real recording, then our
# network on the synthetic sentence.

# %% tags=["hide-input"]
figures.shown(
    drawn, lambda r: draw.chooser_of(r.arrays(), real, "chooser_real", "real"), lambda r: draw.features_frame(r.arrays()), "chooser_real"
)

# %% tags=["hide-input"]
figures.shown(
    frame.only(now, "figures", corpus="polyglot"),
    lambda r: draw.chooser_of(r.arrays(), impaired, "chooser_demo", "synthetic"),
    lambda r: draw.features_frame(r.arrays()),
    "chooser_demo",
    "The synthetic sentence is explained in the demo profile.",
)

# %% [markdown]
# ## The paper's figures
#
# The paper's Figures 2 and 3 show a spectrogram above the maps of features that mark interruptions, missing voice and
# voice. The first figure of the main page is our version; its features are selected on the controlled set.
#
# ### Figure 1: segments by features

# %% tags=["hide-input"]
figures.shown(
    drawn,
    draw.segments_by_feature,
    draw.segments_frame,
    "segments",
    alt="Ten segments of a spectrogram in the top row; below each, its map for each of five features.",
    caption="Ten of thirty segments (top) and their maps for five features of nisqa-tts. Complete DeepLIFT, baseline −80 dB. Published run, real recording. After the paper's Figure 1.",
)

# %% [markdown]
# ### Figure 4: vertical focus

# %% tags=["hide-input"]
figures.shown(
    drawn,
    draw.vertical_focus,
    lambda r: drawing.maps_frame(*draw.vertical_maps(r)[:2]),
    "vertical",
    alt="Cutouts of averaged maps of seven features, from those with the highest centre of mass in the spectrogram to those with the lowest.",
    caption="Cutouts of averaged maps of nisqa-tts, features from the highest to the lowest centre of mass (dotted). Published run, real recording. After the paper's Figure 4.",
)

# %% [markdown]
# ### Figures 5 and 6: conductance of the first two convolutions

# %% tags=["hide-input"]
figures.shown(
    drawn,
    lambda r: draw.conductance_figure(r, 1, 1),
    lambda r: draw.conductance_frame(r, 1, 1),
    "conductance_1",
    alt="A segment of a spectrogram and the conductance maps of sixteen channels of the first convolution.",
    caption="One segment, and its conductance through the 16 channels of the first convolution to one feature of nisqa-tts. Published run, real recording. After the paper's Figure 5.",
)

# %% tags=["hide-input"]
figures.shown(
    drawn,
    lambda r: draw.conductance_figure(r, 2, 2),
    lambda r: draw.conductance_frame(r, 2, 2),
    "conductance_2",
    alt="Conductance maps of sixteen channels of the second convolution for two features, one above the other.",
    caption="The same for the second convolution and the two of the features shown above that oppose each other most; sixteen of 32 channels. Published run, real recording. After the paper's Figure 6.",
)

# %% [markdown]
# ## Does captum's DeepLIFT satisfy completeness?
#
# DeepLIFT replaces the gradient of each nonlinear module by a multiplier, the difference of its outputs over the
# difference of its inputs. Captum does so with hooks on modules {cite}`kokhlikyan2020`. Three things follow.
#
# **Functional ReLUs are ignored.** NISQA's code calls ReLU as a function, and uses one pooling module twice. Captum
# raises an error for the second and silently ignores the first. The published network therefore has to be rewritten
# before DeepLIFT can explain it, and the maps depend on how. The paper does not say how.
#
# **Two nonlinear modules in a row break the chain rule**, such as a max pool directly after a ReLU (captum's [pull
# request 1843](https://github.com/meta-pytorch/captum/pull/1843) mends it; it is in no release yet). Captum 0.9.0 hooks the tensor that enters a module. Where
# a max pool follows a ReLU, the ReLU's output and the pool's input are the same tensor object. In the backward pass,
# the ReLU's hook reads that tensor's gradient before the pool's hook has replaced it. The ReLU then uses a plain
# gradient instead of the pool's multiplier, and the sum is wrong. Cloning the tensor between the two modules restores
# the order. Captum's [issue 1104](https://github.com/pytorch/captum/issues/1104) describes the symptom. [Issue
# 1276](https://github.com/pytorch/captum/issues/1276) is another fault of the max-pool rule and has no effect here.
# This script reproduces the first without our code; it prints the largest completeness error without and with the copy:
#
# ```{literalinclude} ../book/_static/captum_relu_maxpool.py
# :language: python
# ```
#
# **Overlapping pooling windows.** Captum's rule for max pooling is valid for non-overlapping windows. The adaptive
# pools of NISQA 2 overlap. We unfold their windows side by side first, which changes no output.
#
# The three variants, on 78 recordings, 30 segments each and every feature. The completeness error is the largest of a
# file's 30 maps, relative to the mean difference that they explain.

# %% [markdown]
# In this recording, the rank correlation of the absolute values of the complete maps is {glue:text}`like_modules` with
# ReLUs as modules, {glue:text}`like_functions` with ReLUs as functions, and {glue:text}`like_ig` with integrated
# gradients.
#
# Which of the paper's observations depend on the variant? The correlation with integrated gradients (C6) differs by
# variant; on `nisqa-tts` C6 fails for all three, so the completeness error does not change that verdict. Which features are
# active, and the stripes of the next section, are shown for each variant too. Sums, and so any statement about how much
# of an output a region explains, need the complete variant.
#
# Integrated gradients have a numerical limit too. Where a pool's inputs tie, as in a flat baseline, rounding decides
# which of them receives the gradient. The same captum call in single and in double precision differs at isolated
# points; sums and figures are unaffected.
#
# ## Baselines and stripes
#
# The paper uses "an empty spectrogram" as baseline and observes horizontal stripes from segments without sound. In
# decibels, an array of zeros is not silence but full scale. Digital silence is not $-80$ dB either: NISQA's front end
# clips everything more than 80 dB below a file's maximum to that floor. Where an empty segment equals the baseline, its
# map is zero by construction. The empty segments here therefore have the noise of a quiet room, at least 60 dB below
# the file's maximum in every band.

# %% tags=["hide-input"]
quiet = frame.records(ours, "attribution", network=plan.PAPERS_LAYOUT, conditions=plan.QUIET, randomised=False)
figures.table(
    tables.stripes_table(quiet),
    "stripes",
    "Mean absolute attribution on empty segments over that on segments with sound, by baseline and method; nisqa-tts, controlled files from real prompts, pauses in a quiet room",
    3,
)

# %% tags=["hide-input"]
figures.shown(
    drawn,
    draw.baselines_figure,
    lambda r: drawing.maps_frame(r.arrays()["mel"], draw.baselines_maps(r)),
    "baselines",
    alt="The map of one feature under four baselines, one below the other: zero decibels, minus eighty, the file's minimum, noise.",
    caption="One feature of nisqa-tts against four baselines, complete DeepLIFT. Published run, real recording.",
)

# %% [markdown]
# ## Features: activity and redundancy

# %% tags=["hide-input"]
by_name = {n: frame.only(ours, "attribution", network=n, corpus="p835", steps=50, randomised=False) for n in plan.CNN20_NETWORKS}
rates = {n: tables.activity(r) for n, r in by_name.items() if r}
figures.shown(
    [r for r in by_name.values() if r],
    lambda _: draw.feature_activity(rates),
    lambda _: pd.DataFrame(rates),
    "activity",
    alt="Bars: the share of segments in which each of twenty features is active, for three networks.",
    caption="Share of segments in which each feature is active (its attribution passes 1 % of the file's largest), complete DeepLIFT, 78 real recordings; dotted: 10 and 90 %. Published run.",
)

# %% tags=["hide-input"]
related = {n: frame.only(ours, "features", network=n, corpus="prompts", randomised=False) for n in plan.CNN20_NETWORKS}
matrices = {n: correlation(r) for n, r in related.items() if r}
figures.shown(
    [r for r in related.values() if r],
    lambda _: drawing.correlation_matrices(matrices),
    lambda _: tables.long_matrices(matrices),
    "correlations",
    alt="Matrices of the correlations between twenty features, for three networks.",
    caption="Correlation of the features with each other over all segments of the controlled set, real prompts. Published run.",
)

# %% [markdown]
# "Active" needs a threshold, which the paper does not give. Here is C5's count at other thresholds, as a share of the
# file's largest attribution.

# %% tags=["hide-input"]
figures.table(
    tables.thresholds_table(ours),
    "thresholds",
    "Features nearly always (over 90 % of segments), rarely (up to 10 %) and never active, by threshold; complete DeepLIFT, 78 real recordings, published run",
)

# %% [markdown]
# The same tests for each network, and for the networks with their weights shuffled within each layer. A claim that also
# holds with shuffled weights is a property of the sound and the layout, not of training. With a ReLU on the 20 outputs
# a unit can be dead: its maps are then zero everywhere. This is a third reason for features that are "never detected",
# besides the two that the paper gives. Of the 20 outputs of `prompts-pesq-20-relu`, {glue:text}`dead_relu` are zero in
# every segment of the controlled set; of `prompts-pesq-20`, {glue:text}`dead_plain`.

# %% [markdown]
# ### Dead ReLU units during training
#
# Why does a trained network have features that are never active? With a ReLU on the outputs, some units die early.
# {glue:text}`dead_growth` The seeds are few, and their spread is as large as the differences between amounts of
# material, so we cannot see a trend.

# %% tags=["hide-input"]
figures.shown(
    frame.records(ours, "dead_units"),
    lambda found: draw.dead_units(tables.dead_units(found)),
    tables.dead_units,
    "dead_units",
    alt="Lines: how many of twenty outputs with a ReLU are zero everywhere, against optimiser steps, for a sixteenth, a quarter and all of the material.",
    caption="Networks trained by the recipe of prompts-pesq-20-relu with a share of its material: outputs that are zero in every segment of the validation set, after each epoch; one line per seed. Published run, synthetic voices and real prompts.",
)

# %% [markdown]
# ## Do the maps localise known impairments?
#
# The controlled set has cuts at known positions. A good map of MOS, or of all features together, should be large there.
# It is not that simple: a cut is silence. If the baseline is silence too, input and baseline agree inside the cut, and
# every method that multiplies by their difference must be zero there. It can only respond at the edges. With 0 dB as
# baseline it can respond inside. The table shows both: frames inside a cut against those of speech, and the five frames
# beside a cut against the others.
#
# Two controls follow Adebayo et al. {cite}`adebayo2018`: maps with shuffled frames, and the network with shuffled
# weights. Where its map is similar to the trained network's, the map reflects the input and not the training. `nisqa`
# and `prompts-pesq` have self-attention and no layer of 20 outputs: we explain 20 outputs of their hundreds, drawn at
# random. Their pools are adaptive; unfolding the windows already separates a ReLU from the pool after it, so their two
# DeepLIFT rows are the same.

# %% tags=["hide-input"]
figures.table(
    tables.localisation_table(ours),
    "localisation",
    "Area under the ROC curve for frames inside and beside known cuts, 95 % intervals; 0.5 is chance. Controlled set, real prompts, published run",
    2,
)

# %% [markdown]
# Shuffled against trained weights for three of the claims, on the same five recordings. DeepLIFT with ReLUs as modules
# agrees with integrated gradients better with shuffled weights ({glue:text}`agree_modules_shuffled`) than with trained
# ones ({glue:text}`agree_modules_trained`); the complete variant does not ({glue:text}`agree_complete_shuffled` against
# {glue:text}`agree_complete_trained`). Agreement of two methods is no evidence that either shows what was learnt.

# %% tags=["hide-input"]
figures.table(tables.controls_table(ours), "controls", "Trained and shuffled weights, real recordings, published run", 2)

# %% [markdown]
# ## Beyond the paper
#
# ### Through time and pooling
#
# The paper stops before the LSTM. Integrated gradients can pass through it: we replace the packed sequence by an
# equivalent in which each direction starts at a true end, built from plain operations. The map then explains MOS
# itself.

# %% tags=["hide-input"]
squares = frame.only(ours, "occlusion", network=plan.PAPERS_LAYOUT)
figures.shown(
    [r for r in (drawn, squares) if r] if drawn and squares else None,
    lambda pair: draw.whole_figure(*pair),
    lambda pair: drawing.maps_frame(pair[0].arrays()["mel"], draw.whole_maps(*pair)),
    "whole",
    alt="Three maps of one recording: integrated gradients of MOS through the whole network, all features of the CNN together, and occlusion by squares.",
    caption="MOS explained through the whole of nisqa-tts by integrated gradients, the sizes of all 20 features' maps together, and occlusion by squares of 24. Published run, real recording.",
)

# %% [markdown]
# ### Robustness of the maps
#
# Rank correlation of the absolute values of two maps of the same sound when one choice that the paper leaves open is
# changed, and between methods. At 1 all points keep their order.

# %% tags=["hide-input"]
figures.table(
    tables.stability_table(ours),
    "stability",
    "Stability of maps of MOS, mean over five real recordings, one column per network, published run",
    2,
)

# %% [markdown]
# ### Does each dimension respond to its own impairment?
#
# NISQA 2 predicts five scores. If `dis` measures discontinuity, hiding a cut should raise it more than the others, and
# hiding noise should raise `noi`. Each number is the mean change of a score when a column of 13 frames there is set to
# the file's mean level (a cut masked with silence would stay a cut). The prompts are sampled at 16 kHz, so the
# network's upper bands are empty.

# %% tags=["hide-input"]
figures.table(
    tables.dimensions_table(ours),
    "dimensions",
    "Mean change of each of nisqa's scores under columns that hide this, controlled set from real prompts, 95 % intervals, published run",
    3,
)

# %% [markdown]
# Occlusion shows what happens when something is hidden; attribution shows what the score consists of. So we ask the
# same with integrated gradients of each score through the whole network: is the absolute attribution larger inside a
# burst of noise than elsewhere, inside or beside a cut, in the bands that a telephone band limit (300 to 3400 Hz)
# leaves empty?
#
# Chance is 0.5, but that is not the reference here: with a baseline of 0 dB silence is large without any network, with
# −80 dB noise is. The controls are therefore the distance of the input from the baseline, here over all files with such
# a cut or noise, and the same network with shuffled weights. We show both baselines; an effect that occurs with only one of them is a property of the baseline.
# {glue:text}`dimensions_said`

# %% tags=["hide-input"]
figures.table(
    tables.names_table(ours),
    "names",
    "Does the matching score localise the impairment? AUC of nisqa's maps, and differences with 95 % intervals over conditions and talkers; controlled set, real prompts, published run",
    2,
)

# %% [markdown]
# The length of a cut matters: a short one is mostly edge, a long one is a pause.

# %% tags=["hide-input"]
figures.table(
    tables.cuts_by_length(ours),
    "cuts_by_length",
    "Area under the ROC curve for frames inside a cut, mean over talkers, published run",
    2,
)

# %% tags=["hide-input"]
figures.table(
    tables.dimension_maps_table(ours),
    "dimension_maps",
    "The same for all five scores, the contribution of noise to each (signed), the bands emptied by a band limit, and the completeness error; published run",
    2,
)

# %% [markdown]
# ## Try it on your own sound
#
# ```bash
# sqa explain my_recording.wav                       # occlusion
# sqa explain my_recording.wav --method ig           # the whole network, and its features
# sqa explain my_recording.wav --method deeplift
# sqa explain my_recording.wav --method conductance
# sqa explain a_long_one.wav --method ig --start 12 --seconds 8
# ```
#
# In a running kernel, the next cell shows sliders: choose a mask, move it, and read the new score.

# %% tags=["hide-input", "remove-output"]
figures.live_occlusion(impaired, plan.DEMO_NETWORK)

# %% [markdown]
# ## What is missing here
#
# - The paper's 216 files are closed, and the weights of the network it explains were never in the public repository.
# - `nisqa-tts` was trained on the naturalness of synthetic speech and has an 8 kHz bandwidth. Our networks were trained
#   on transmitted speech and are small. Neither is the paper's network.
# - The controlled set has four talkers; features are evaluated on two of them.
# - Dead units were counted in one of our networks, with one initialisation scheme and one learning rate.
# - The paper contains contradictions:

# %% tags=["hide-input"]
figures.table(published.contradictions(plan.SLUG), "contradictions", "Contradictions in the paper, and our choice")

# %% tags=["hide-input"]
figures.run_card(ours["record"].tolist() if len(ours) else [], this_run, settings)
