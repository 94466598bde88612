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
#
# NISQA listens to a recording and predicts how listeners would rate it. It needs no clean original. The paper asks what
# such a network has learnt: which parts of a sound move its estimate, and what its twenty inner features stand for. It
# answers by eye, from maps. It prints no result in numbers.
#
# This chapter puts numbers to it. It explains the published network whose layout is the paper's, and three of our own,
# on 78 recordings with listeners' scores and on 216 files in which every impairment's place is known. It tests all
# seventeen claims of the paper. And it asks whether the tools do what they say.

# %% tags=["hide-input"]
import pandas as pd

from sqa_core import audio, figures
from sqa_core.corpora import registry
from sqa_core.figures import charts
from sqa_core.figures import maps as drawing
from sqa_core.results import claims, frame, published
from sqa_core.studies.nisqa_explained import claims as tested
from sqa_core.studies.nisqa_explained import figures as draw
from sqa_core.studies.nisqa_explained import inputs, page, plan, tables
from sqa_core.studies.nisqa_explained.roles import correlation, roles
from sqa_core.studies.shared import published_run

figures.style()
settings = plan.Settings(profile=profile, engine=engine, scheduler=scheduler, store=store)
this_run = settings.run(plan.trials(settings))
this_run += settings.run(plan.figure_trials(settings, frame.of(this_run)))
now = frame.of(this_run)
ours = published_run(plan.SLUG)

# %% [markdown]
# ## At a glance

# %% tags=["remove-cell"]
found = tested.findings(ours)
for name, text in (page.glue_values(ours, found) | page.demo_values(this_run)).items():
    figures.glue(name, text)

# %% [markdown]
# - Of the paper's seventeen claims, on the published network nearest to the paper's: {glue:text}`verdicts`.
# - **DeepLIFT as captum has it does not add up** on this network. A file's worst map misses the mean difference that it
#   should explain by {glue:text}`error_modules` (median over files and features). A copy of the tensor before each max
#   pool mends it: {glue:text}`error_complete`. "DeepLIFT is like integrated gradients": **{glue:text}`verdict_C6`**.
# - **A ReLU decides which features are never detected.** With the one that NISQA's code of 2020 had on its 20 outputs,
#   {glue:text}`never_relu` of 20 are never active in our network; without it, {glue:text}`never_plain`. Nothing else
#   was changed.
# - **Do the maps find what is known?** The best of `nisqa-tts` for frames inside a cut has an area under the curve of
#   {glue:text}`best_cut`. The sound's distance from 0 dB, without any network, has {glue:text}`cut_alone` on the same
#   files. Do the official network's five scores mind their names? {glue:text}`dimensions_said`
# - "Masking silence does not change the estimate": **{glue:text}`verdict_C1`**. "Masking lowers high scores and raises
#   low ones": **{glue:text}`verdict_C2`**. "One rare feature marks interruptions": **{glue:text}`verdict_C7`**.

# %% tags=["hide-input"] mystnb={"image": {"alt": "The spectrogram of a noisy sentence above the averaged maps of four features of the network, found by what they follow: cuts, pauses, voice, noise."}, "figure": {"caption": "A real recording (P.835, condition c6, talker m1) and what four features of `nisqa-tts` see in it: those that follow cuts, pauses, voice and noise best on the controlled set. Complete DeepLIFT, averaged over segments. Published run.", "name": "fig-roles"}}
drawn = frame.only(ours, "figures", network=plan.PAPERS_LAYOUT)
behaviour = frame.only(ours, "features", network=plan.PAPERS_LAYOUT, corpus="prompts", randomised=False)
role_maps = draw.roles_maps(drawn, roles(behaviour)) if drawn and behaviour else {}
figures.shown(
    drawn if behaviour else None,
    lambda r: drawing.maps_over_time(r.arrays()["mel"], role_maps, "attribution"),
    lambda r: drawing.maps_frame(r.arrays()["mel"], role_maps),
    "roles",
)

# %% [markdown]
# ## Hear it
#
# The demonstration is one synthetic sentence in pink noise, with a cut of 120 ms whose place is known.

# %% tags=["hide-input"]
clean, impaired = inputs.demo_sound()
figures.player(clean, "The sentence as it was spoken", "synthetic")

# %% tags=["hide-input"]
figures.player(impaired, "The same with noise at 12 dB and a cut at 1.3 s", "synthetic")

# %% tags=["hide-input"]
real = audio.load(inputs.p835_path(inputs.FILE)) if registry.find("p835") else None
figures.player(real, "P.835, condition c6, talker m1: speech and noise equally strong", "real") if real else figures.absent(
    "The real recording of the published run plays here where the corpus is found: sqa data fetch p835"
)

# %% [markdown]
# ## Data
#
# | | the paper | published run | this run (demo) |
# |---|---|---|---|
# | recordings | 216 of a closed POLQA set, 54 conditions of 4 | 78 of the P.835 reference conditions {cite}`naderi2021`, 13 conditions × 6 talkers, listeners' votes | synthetic speech |
# | known truth | none | the controlled set: 54 conditions × 4 talkers from real prompts, every cut, pause and noise known frame by frame | the same conditions from synthetic voices, a few of them |
# | network | NISQA of 2019, weights not published | `nisqa-tts` (standard CNN, 20 outputs, BiLSTM: the paper's layout), and ours | ours |
# | status | closed | real recordings | synthetic speech |
#
# The controlled set has the shape of the paper's. Its conditions are noise of four colours at six ratios, stretches of
# noise, cuts of 10 to 320 ms, clipping, band limits, MNRU, and silence put in. Every file has the noise of a quiet
# room, 70 dB below the speech. The prompts come from the Asterisk project: four people, one each for English, French,
# Italian and Russian.
#
# The paper's spectrograms are 1300 frames wide, which is its padded length, and take {glue:text}`padded_masks` masks.
# Ours are as long as the recordings. For one of them both were done: padded with its floor to 1300 frames, `nisqa-tts`
# gives it {glue:text}`padded_mos` instead of {glue:text}`padded_mos_unpadded`, and {glue:text}`padded_masks_on_padding`
# of the masks hide padding alone. They change the score by up to {glue:text}`padded_largest_change_on_padding`; those
# on the sound, by up to {glue:text}`padded_largest_change_on_sound`.
#
# Our networks learn PESQ from synthetic voices and real prompts, never from P.835's talkers. They are small: half the
# paper's channels, one segment in eight frames. `prompts-pesq-20` has the order of the paper's layers (20 outputs,
# BiLSTM), `prompts-pesq-20-relu` has besides the ReLU on its 20 outputs that NISQA's code of 2020 had, `prompts-pesq`
# has self-attention. **They have heard the people of the controlled set**, three in training and one in choosing the
# epoch. `nisqa-tts` has not.
#
# ## Method
#
# **Agreement.** Pearson's correlation by file, and by condition over the means of its talkers. Files of one talker, or
# of one condition, are not independent. The intervals therefore resample talkers and conditions, both with replacement.
#
# **The listeners' ceiling.** A mean of $n$ votes with standard deviation $s$ carries the error variance $s^2/n$. If
# $\bar e$ is its mean over files and $v$ the variance of the files' scores, a perfect predictor of the true means would
# reach $r_{\max} = \sqrt{1 - \bar e / v}$.
#
# **Occlusion.** A part $m$ of the spectrogram $x$ is set to the file's floor, and the score $f$ read again
# {cite}`zeiler2014`: $\Delta_m = f(x_{\setminus m}) - f(x)$. The masks are the paper's: squares of 24 bands by 24
# frames, bands of 2, 4, 6 and 8 over the whole file, columns of 13 frames (0.13 s). The stride is the mask's own size.
# The paper does not say what a mask puts in. We take the file's own minimum, the nearest to silence that the file
# holds; 0 dB would be full scale.
#
# **Attribution.** Integrated gradients {cite}`sundararajan2017`, DeepLIFT {cite}`shrikumar2017` and layer conductance
# {cite}`dhamdhere2018` share a promise. The parts $a_i$ of a map add up to what the output is above that of a baseline
# $x_0$:
#
# $$ \sum_i a_i = f(x) - f(x_0). $$
#
# That is completeness, and it can be checked. Beside each map stands by how much it is missed, in relation to the mean
# difference over a file's segments. As in the paper the CNN is explained alone: one segment of 48 bands by 15 frames
# for each frame, 20 outputs. Thirty segments a file are looked at for every feature; for one feature all segments are
# averaged where they overlap. The baseline is $-80$ dB unless another is named. In the figures, integrated gradients
# and conductance take 50 steps, and where a map misses by more than 1 %, twice as many, up to 200. The survey of all
# recordings takes 50, and a part of it 200.
#
# **Features** are known by what they do and never by their number: other weights, other order. Two talkers of the
# controlled set choose a feature, the other two judge it. Two are few: intervals over them tell little of further
# talkers.

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
# The paper prints no correlation, so there is nothing beside which to put these. They say whether the networks that are
# explained below are worth explaining. The MOS of `nisqa` correlates with the listeners' at {glue:text}`official_file`
# by file and {glue:text}`official_condition` by condition, where {glue:text}`ceiling_file` by file is about as much as
# their own spread allows; that of `nisqa-tts`, trained for another task, at {glue:text}`tts_file` and
# {glue:text}`tts_condition`. Real prompts in training bring our self-attention network to {glue:text}`own_file` by file
# and {glue:text}`own_condition` by condition; ours of the paper's layout reaches {glue:text}`own20_file` and
# {glue:text}`own20_condition`.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Scatter plots of predicted against listeners' MOS for each network, 78 recordings each; each has its own distance from the diagonal."}, "figure": {"caption": "Predicted MOS against the listeners' overall score, 78 full-band recordings of the P.835 reference conditions; one panel a network. Published run, real recordings.", "name": "fig-listeners"}}
listeners = frame.records(ours, "listeners")
figures.shown(
    listeners,
    charts.listeners_scatter,
    lambda found: (
        found[0].items()[["file", "condition", "talker", "mos_ovrl"]].assign(**{r.trial["network"]: r.items()["mos"] for r in found})
    ),
    "listeners_scatter",
)

# %% [markdown]
# **This run, synthetic speech.** Our network on {glue:text}`demo_files` impaired utterances of voices and languages
# that it was not trained on correlates with PESQ, its teacher, at {glue:text}`demo_pcc`. That checks the machinery. It
# says nothing of listeners.

# %% [markdown]
# ## What moves the score
#
# Move the mask, and read the score under it. The first figure is the published run on a real recording, the second this
# run on the synthetic sentence.

# %% tags=["hide-input"]
masked = frame.only(ours, "occlusion", network="nisqa")
figures.shown(
    masked, lambda r: draw.stepper_of(r.arrays(), real, "stepper_real", "real"), lambda r: draw.occlusion_frame(r.arrays()), "stepper_real"
)

# %% tags=["hide-input"]
figures.shown(
    frame.only(now, "occlusion", corpus="polyglot"),
    lambda r: draw.stepper_of(r.arrays(), impaired, "stepper_demo", "synthetic"),
    lambda r: draw.occlusion_frame(r.arrays()),
    "stepper_demo",
    "The synthetic sentence is explained in the demo profile.",
)

# %% tags=["hide-input"] mystnb={"image": {"alt": "A mel spectrogram of noisy speech above six maps of the change of predicted MOS, one for each mask shape."}, "figure": {"caption": "Occlusion of one real recording (P.835, condition c6, talker m1) with the official network: the spectrogram, and the change of MOS under each of the paper's masks. Published run.", "name": "fig-occlusion"}}
figures.shown(masked, lambda r: draw.occlusion_figure(r.arrays()), lambda r: draw.occlusion_frame(r.arrays()), "occlusion")

# %% [markdown]
# ## What the features see
#
# Choose a feature, look at its map, and hear the sound under the cursor. Orange raises the feature, violet lowers it.
# In all maps the colours end at what half a percent of the points pass. First `nisqa-tts` on the real recording, then
# our network on the synthetic sentence.

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
# The paper's Figures 2 and 3 show a spectrogram over the map of a feature that marks interruptions, one that marks
# missing voice and one that marks voice. {numref}`fig-roles` above is ours. Its features are chosen on the controlled
# set.
#
# ### Figure 1: segments by features

# %% tags=["hide-input"] mystnb={"image": {"alt": "Ten segments of a spectrogram in the top row; below each, its map for each of five features."}, "figure": {"caption": "Ten of thirty segments (top) and their maps for five features of `nisqa-tts`. Complete DeepLIFT, baseline −80 dB. Published run, real recording. After the paper's Figure 1.", "name": "fig-segments"}}
figures.shown(drawn, draw.segments_by_feature, draw.segments_frame, "segments")

# %% [markdown]
# ### Figure 4: vertical focus

# %% tags=["hide-input"] mystnb={"image": {"alt": "Cutouts of averaged maps of seven features, from those whose weight lies high in the spectrogram to those whose weight lies low."}, "figure": {"caption": "Cutouts of averaged maps of `nisqa-tts`, features from the highest to the lowest centre of mass (dotted). Published run, real recording. After the paper's Figure 4.", "name": "fig-vertical"}}
figures.shown(drawn, draw.vertical_focus, lambda r: drawing.maps_frame(*draw.vertical_maps(r)[:2]), "vertical")

# %% [markdown]
# ### Figures 5 and 6: conductance of the first two convolutions

# %% tags=["hide-input"] mystnb={"image": {"alt": "A segment of a spectrogram and the conductance maps of sixteen channels of the first convolution."}, "figure": {"caption": "One segment, and its conductance through the 16 channels of the first convolution to one feature of `nisqa-tts`. Published run, real recording. After the paper's Figure 5.", "name": "fig-conductance-1"}}
figures.shown(drawn, lambda r: draw.conductance_figure(r, 1, 1), lambda r: draw.conductance_frame(r, 1, 1), "conductance_1")

# %% tags=["hide-input"] mystnb={"image": {"alt": "Conductance maps of sixteen channels of the second convolution for two features, one above the other."}, "figure": {"caption": "The same for the second convolution and the two of the features shown above that oppose each other most; sixteen of 32 channels. Published run, real recording. After the paper's Figure 6.", "name": "fig-conductance-2"}}
figures.shown(drawn, lambda r: draw.conductance_figure(r, 2, 2), lambda r: draw.conductance_frame(r, 2, 2), "conductance_2")

# %% [markdown]
# ### The same for our network
#
# `prompts-pesq-20` was trained for degraded speech. Its features that follow cuts, pauses, voice and noise best have
# other numbers.

# %% tags=["remove-cell"]
own_drawn = frame.only(ours, "figures", network=plan.DEMO_NETWORK)
own_behaviour = frame.only(ours, "features", network=plan.DEMO_NETWORK, corpus="prompts", randomised=False)
own_maps = draw.roles_maps(own_drawn, roles(own_behaviour)) if own_drawn and own_behaviour else {}

# %% tags=["hide-input"] mystnb={"image": {"alt": "The spectrogram of a noisy sentence above the averaged maps of the four features of our network that follow cuts, pauses, voice and noise."}, "figure": {"caption": "The paper's Figures 2 and 3 for `prompts-pesq-20`: features that follow cuts, pauses, voice and noise. Published run, real recording.", "name": "fig-roles-own"}}
figures.shown(
    own_drawn if own_behaviour else None,
    lambda r: drawing.maps_over_time(r.arrays()["mel"], own_maps, "attribution"),
    lambda r: drawing.maps_frame(r.arrays()["mel"], own_maps),
    "roles_own",
)

# %% tags=["hide-input"] mystnb={"image": {"alt": "Ten segments of a spectrogram in the top row; below each, its map for each of five features of our network."}, "figure": {"caption": "Figure 1 for `prompts-pesq-20`. Published run, real recording.", "name": "fig-segments-own"}}
figures.shown(own_drawn, draw.segments_by_feature, draw.segments_frame, "segments_own")

# %% tags=["hide-input"] mystnb={"image": {"alt": "Cutouts of averaged maps of seven features of our network, from high to low in the spectrogram."}, "figure": {"caption": "Figure 4 for `prompts-pesq-20`. Published run, real recording.", "name": "fig-vertical-own"}}
figures.shown(own_drawn, draw.vertical_focus, lambda r: drawing.maps_frame(*draw.vertical_maps(r)[:2]), "vertical_own")

# %% tags=["hide-input"] mystnb={"image": {"alt": "Conductance maps of the eight channels of the first convolution of our network."}, "figure": {"caption": "Figure 5 for `prompts-pesq-20`. Published run, real recording.", "name": "fig-conductance-1-own"}}
figures.shown(own_drawn, lambda r: draw.conductance_figure(r, 1, 1), lambda r: draw.conductance_frame(r, 1, 1), "conductance_1_own")

# %% tags=["hide-input"] mystnb={"image": {"alt": "Conductance maps of the second convolution of our network for two features that oppose each other."}, "figure": {"caption": "Figure 6 for `prompts-pesq-20`. Published run, real recording.", "name": "fig-conductance-2-own"}}
figures.shown(own_drawn, lambda r: draw.conductance_figure(r, 2, 2), lambda r: draw.conductance_frame(r, 2, 2), "conductance_2_own")

# %% [markdown]
# ## Is DeepLIFT what it says?
#
# DeepLIFT replaces the gradient of each nonlinear module by a multiplier, the difference of its outputs over the
# difference of its inputs. Captum does so with hooks on modules {cite}`kokhlikyan2020`. Three things follow.
#
# **Functions are not seen.** NISQA's code calls ReLU as a function, and uses one pool module twice. On the second,
# captum raises an error. The first it passes over in silence. So the published network cannot be explained by DeepLIFT
# as it is. It has to be rewritten, and how it is rewritten decides the maps. The paper does not say how.
#
# **A pool right behind a ReLU breaks the chain.** Captum 0.9.0 puts its hook on the tensor that enters a module. Where
# a max pool takes a ReLU's output as it is, the output of one is the very tensor that is the input of the other.
# Backward, the ReLU's hook reads the gradient of that tensor before the pool's hook has replaced it. The ReLU then
# passes on a plain gradient where the pool's multiplier belongs, and the sum is wrong. A copy of the tensor between the
# two modules restores the order. Captum's [issue 1104](https://github.com/pytorch/captum/issues/1104) describes the
# symptom. [Issue 1276](https://github.com/pytorch/captum/issues/1276) is another fault of the max pool's rule, and has
# no effect here. This script shows the first without anything of ours; it prints the largest completeness error without
# and with the copy:
#
# ```{literalinclude} ../book/_static/captum_relu_maxpool.py
# :language: python
# ```
#
# **Maxima that overlap.** Captum's rule for max pools holds for windows that stand apart. The adaptive pools of NISQA 2
# overlap. We lay their windows side by side first, which changes no output.
#
# The three variants, on 78 recordings, 30 segments each and every feature. The completeness error is the largest of a
# file's 30 maps, in relation to the mean difference that they explain.

# %% tags=["hide-input"]
figures.table(
    tables.variants_table(ours),
    "variants",
    "Published run, real recordings: DeepLIFT with ReLUs called as functions, as modules, and complete (a copy before each max pool); integrated gradients. Medians over files and features",
    {"largest completeness error": 2, "maps within 1 %, %": 0, "correlation with IG": 2},
)

# %% tags=["hide-input"] mystnb={"image": {"alt": "The map of one feature by DeepLIFT in three variants and by integrated gradients, one below the other."}, "figure": {"caption": "One feature of `nisqa-tts` by DeepLIFT in three variants and by integrated gradients. The first two miss completeness. Published run, real recording.", "name": "fig-variants"}}
figures.shown(drawn, draw.variants_figure, lambda r: drawing.maps_frame(r.arrays()["mel"], draw.variants_maps(r)), "variants_figure")

# %% [markdown]
# In this recording the sizes of the complete maps have a rank correlation of {glue:text}`like_modules` with captum's as
# it is, of {glue:text}`like_functions` with those of ReLUs as functions, and of {glue:text}`like_ig` with integrated
# gradients.
#
# Which of the paper's observations need which variant? "DeepLIFT and integrated gradients look alike" is the one that
# hangs on it: the correlation stands in the table for each. Which features are active, and the stripes of the next
# section, can be read for each variant too. Sums, and so any statement of how much of an output a region explains, need
# the complete one.
#
# Integrated gradients have a grain of their own. Where a pool's inputs tie, as they do in a flat baseline, rounding
# decides which of them takes the gradient. The same captum call in single and in double precision differs in single
# points. Sums and pictures stay.
#
# ## Baselines and stripes
#
# The paper takes "an empty spectrogram" and sees horizontal stripes from segments that hold nothing. In decibels an
# array of zeros is not silence but full scale. And digital silence is not $-80$ dB either: NISQA's front end lifts all
# that lies more than 80 dB below a file's maximum. Where an empty segment equals the baseline, its map is zero by
# construction. So the segments here are empty as in a quiet room, at least 60 dB below the file's maximum in every
# band.

# %% tags=["hide-input"]
quiet = frame.records(ours, "attribution", network=plan.PAPERS_LAYOUT, conditions=plan.QUIET, randomised=False)
figures.table(
    tables.stripes_table(quiet),
    "stripes",
    "Mean absolute attribution on empty segments over that on segments with sound, by baseline and method; nisqa-tts, controlled files from real prompts, pauses in a quiet room",
    3,
)

# %% tags=["hide-input"] mystnb={"image": {"alt": "The map of one feature under four baselines, one below the other: zero decibels, minus eighty, the file's minimum, noise."}, "figure": {"caption": "One feature of `nisqa-tts` against four baselines, complete DeepLIFT. Published run, real recording.", "name": "fig-baselines"}}
figures.shown(drawn, draw.baselines_figure, lambda r: drawing.maps_frame(r.arrays()["mel"], draw.baselines_maps(r)), "baselines")

# %% [markdown]
# ## The claims, tested
#
# A claim holds where the whole 95 % interval lies inside what its test demands, fails where none of it does, and is
# undecided otherwise. Claims on counts (C5) have no interval. Where a test leaves a bound open, ours stands in the
# evidence or in the docstring of its function in `sqa_core/studies/nisqa_explained.py`. The network is `nisqa-tts`.

# %% tags=["hide-input"]
figures.table(
    claims.table(published.claims(plan.SLUG), found), "claims", "The paper's claims and our verdicts, nisqa-tts, published run", 2
)

# %% tags=["hide-input"]
figures.provenance([r for r in ours["record"] if r.trial.get("network") == plan.PAPERS_LAYOUT], "claims_evidence")

# %% tags=["hide-input"] mystnb={"image": {"alt": "Bars: the share of segments in which each of twenty features is active, for three networks."}, "figure": {"caption": "Share of segments in which each feature is active (its attribution passes 1 % of the file's largest), complete DeepLIFT, 78 real recordings; dotted: 10 and 90 %. Published run.", "name": "fig-activity"}}
by_name = {n: frame.only(ours, "attribution", network=n, corpus="p835", steps=50, randomised=False) for n in plan.CNN20_NETWORKS}
rates = {n: tables.activity(r) for n, r in by_name.items() if r}
figures.shown([r for r in by_name.values() if r], lambda _: draw.feature_activity(rates), lambda _: pd.DataFrame(rates), "activity")

# %% tags=["hide-input"] mystnb={"image": {"alt": "Matrices of the correlations between twenty features, for three networks."}, "figure": {"caption": "Correlation of the features with each other over all segments of the controlled set, real prompts. Published run.", "name": "fig-correlations"}}
related = {n: frame.only(ours, "features", network=n, corpus="prompts", randomised=False) for n in plan.CNN20_NETWORKS}
matrices = {n: correlation(r) for n, r in related.items() if r}
figures.shown(
    [r for r in related.values() if r],
    lambda _: drawing.correlation_matrices(matrices),
    lambda _: tables.long_matrices(matrices),
    "correlations",
)

# %% [markdown]
# "Active" needs a threshold, and the paper names none. Here is C5's count at others, as a share of the file's largest
# attribution.

# %% tags=["hide-input"]
figures.table(
    tables.thresholds_table(ours),
    "thresholds",
    "Features nearly always (over 90 % of segments), rarely (up to 10 %) and never active, by threshold; complete DeepLIFT, 78 real recordings, published run",
)

# %% [markdown]
# The same tests for each network, and for the networks with their weights shuffled within each layer. A claim that
# holds for shuffled weights too says something of sound and layout, and nothing of learning. With a ReLU on the 20
# outputs a unit can be dead: its maps are then zero everywhere, a third reason for features that are "never detected",
# beside the two that the paper gives. Of the 20 outputs of `prompts-pesq-20-relu`, {glue:text}`dead_relu` are zero in
# every segment of the controlled set; of `prompts-pesq-20`, {glue:text}`dead_plain`.

# %% tags=["hide-input"]
figures.table(
    tested.claims_by_network(ours, found), "claims_by_network", "Verdicts by network, with values and 95 % intervals, published run"
)

# %% [markdown]
# ### When does a unit die?
#
# Why does a trained network have features that never fire? With a ReLU on the outputs, some are dead soon.
# {glue:text}`dead_growth` The seeds are few, and their spread is as wide as what lies between the amounts of material:
# no trend with the amount can be told.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Lines: how many of twenty outputs with a ReLU are zero everywhere, against optimiser steps, for a sixteenth, a quarter and all of the material."}, "figure": {"caption": "Networks trained anew by the recipe of `prompts-pesq-20-relu` with a share of its material: outputs that are zero in every segment of the validation set, after each epoch; a line a seed. Published run, synthetic voices and real prompts.", "name": "fig-dead"}}
figures.shown(frame.records(ours, "dead_units"), lambda found: draw.dead_units(tables.dead_units(found)), tables.dead_units, "dead_units")

# %% [markdown]
# ## Do the maps find what is known?
#
# The controlled set has cuts at known places. A good map of MOS, or of all features together, should be large there. It
# is not that simple. A cut is silence. If the baseline is silence too, sound and baseline agree inside the cut, and
# every method that multiplies by their difference must give nothing there. What it can do is point beside the cut, at
# the edges. With 0 dB as baseline the inside can speak. The table asks for both: frames inside a cut among those of
# speech, and the five frames beside one among the others.
#
# Two controls follow Adebayo et al. {cite}`adebayo2018`: maps whose frames are shuffled, and the network with shuffled
# weights. Where its map is much like the trained one's, the map shows the sound and not what was learnt. `nisqa` and
# `prompts-pesq` have self-attention and no layer of 20 outputs: of their hundreds, 20 drawn at random are explained.
# Their pools are adaptive; laying the windows side by side already parts a ReLU from the pool behind it, so their two
# rows of DeepLIFT are the same.

# %% tags=["hide-input"]
figures.table(
    tables.localisation_table(ours),
    "localisation",
    "Area under the ROC curve for frames inside and beside known cuts, 95 % intervals; 0.5 is chance. Controlled set, real prompts, published run",
    2,
)

# %% [markdown]
# What shuffled weights give for three of the claims, beside the trained ones on the same five recordings. DeepLIFT as
# captum has it agrees with integrated gradients better on shuffled weights ({glue:text}`agree_modules_shuffled`) than
# on trained ones ({glue:text}`agree_modules_trained`); the complete one does not ({glue:text}`agree_complete_shuffled`
# against {glue:text}`agree_complete_trained`). That two methods look alike is no sign that both show what was learnt.

# %% tags=["hide-input"]
figures.table(tables.controls_table(ours), "controls", "Trained and shuffled weights, real recordings, published run", 2)

# %% [markdown]
# ## Beyond the paper
#
# ### Through time and pooling
#
# The paper stops before the LSTM. Integrated gradients pass it: the packed sequence becomes one in which each direction
# starts at a true end, equal to it and made of plain operations. The map is then of MOS itself.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Three maps of one recording: integrated gradients of MOS through the whole network, all features of the CNN together, and occlusion by squares."}, "figure": {"caption": "MOS explained through the whole of `nisqa-tts` by integrated gradients, the sizes of all 20 features' maps together, and occlusion by squares of 24. Published run, real recording.", "name": "fig-whole"}}
squares = frame.only(ours, "occlusion", network=plan.PAPERS_LAYOUT)
figures.shown(
    [r for r in (drawn, squares) if r] if drawn and squares else None,
    lambda pair: draw.whole_figure(*pair),
    lambda pair: drawing.maps_frame(pair[0].arrays()["mel"], draw.whole_maps(*pair)),
    "whole",
)

# %% [markdown]
# ### How firm are the maps?
#
# Rank correlation of the sizes of two maps of the same sound, when one of the choices that the paper leaves open is
# changed, and from one method to another. 1 means that the order of all points stays.

# %% tags=["hide-input"]
figures.table(
    tables.stability_table(ours),
    "stability",
    "Stability of maps of MOS, mean over five real recordings, a column a network, published run",
    2,
)

# %% [markdown]
# ### Do the dimensions mind their names?
#
# NISQA 2 predicts five scores. If `dis` hears discontinuity, hiding a cut should raise it more than the others, and
# hiding noise should raise `noi`. Each number is the mean change of a score when a column of 13 frames over such a
# place is set to the file's mean level (a cut hidden by silence would stay a cut). The prompts are 16 kHz, so the
# network's upper bands hold nothing.

# %% tags=["hide-input"]
figures.table(
    tables.dimensions_table(ours),
    "dimensions",
    "Mean change of each of nisqa's scores under columns that hide this, controlled set from real prompts, 95 % intervals, published run",
    3,
)

# %% [markdown]
# Occlusion asks what happens when something is hidden. Attribution asks what the score is made of. So the same question
# again, with integrated gradients of each whole score: are the sizes of its maps larger inside a stretch of noise than
# elsewhere, inside or beside a cut, in the bands that a telephone's limits (300 to 3400 Hz) leave empty?
#
# 0.5 is chance, and yet not what a map must pass here. A baseline of 0 dB makes silence large without any network, one
# of −80 dB makes noise large. So beside each score stands the distance of the sound from the baseline, and the same
# network with shuffled weights. Both baselines are shown; what only one of them says is a property of the baseline.
# {glue:text}`dimensions_said`

# %% tags=["hide-input"]
figures.table(
    tables.names_table(ours),
    "names",
    "Does the score so named find it? Areas under the ROC curve of nisqa's maps, and leads with 95 % intervals over conditions and talkers; controlled set, real prompts, published run",
    2,
)

# %% [markdown]
# Cuts of different length are different things: a short one is an edge, a long one a pause.

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
    "The same for all five scores, what noise adds to each (signed), the bands that a limit empties, and how far completeness is missed; published run",
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
# In a running kernel, the next cell brings sliders: choose a mask, move it, and the network scores at once.

# %% tags=["hide-input", "remove-output"]
figures.live_occlusion(impaired, plan.DEMO_NETWORK)

# %% [markdown]
# ## What is missing here
#
# - The paper's 216 files are closed, and the weights of the network it explains were never in the public repository.
# - `nisqa-tts` was trained for the naturalness of synthetic speech and hears up to 8 kHz. Our networks were trained for
#   transmitted speech, and are small. Where the two disagree, neither is the paper's.
# - The controlled set has four people, of whom two judge.
# - Dead units were counted in one network of ours, with one kind of start and one learning rate.
# - The paper contradicts itself in places. These are known:

# %% tags=["hide-input"]
figures.table(published.contradictions(plan.SLUG), "contradictions", "Contradictions in the paper, and our choice")

# %% tags=["hide-input"]
figures.run_card(ours["record"].tolist() if len(ours) else [], this_run, settings)
