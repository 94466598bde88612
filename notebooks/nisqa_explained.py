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
# *H. Tilkorn, G. Mittag and S. Möller: Visualising and Explaining Deep Learning Models for Speech Quality Prediction, DAGA 2021,
# {cite}`tilkorn2021`.*
#
# NISQA listens to a recording and predicts how listeners would rate it. It needs no clean original. The paper asks what such a
# network has learnt: which parts of a sound move its estimate, and what its twenty inner features stand for. It answers by eye,
# from maps. It prints no result in numbers.
#
# This chapter puts numbers to it. It explains the published network whose layout is the paper's, and three of our own, on 78
# recordings with listeners' scores and on 216 files in which every impairment's place is known. It tests all seventeen claims of the
# paper. And it asks whether the tools do what they say.

# %% tags=["remove-input"]
import pandas as pd

from sqa_core import audio, claims, figures, figures_explained, published
from sqa_core.corpora import registry
from sqa_core.studies import nisqa_explained as study
from sqa_core.studies import nisqa_explained_tables as tables
from sqa_core.studies import nisqa_explained_trials as measured
from sqa_core.studies.common import of_kind, published_run, the
from sqa_core.studies.listeners import ListenersTrial

figures.style()
settings = study.Settings(profile=profile, engine=engine, scheduler=scheduler, store=store)
this_run = settings.run(study.trials(settings))
this_run += settings.run(study.figure_trials(settings, this_run))
ours = published_run(study.SLUG)
figures.table_setup()

# %% [markdown]
# ## At a glance

# %% tags=["remove-cell"]
found = study.findings(ours)
figures.glue("verdicts", claims.count(found))
listeners = of_kind(ours, ListenersTrial)
by_network = {r.trial["network"]: r.metrics for r in listeners}
for name, short in (("nisqa", "official"), ("nisqa-tts", "tts"), ("prompts-pesq", "own"), ("prompts-pesq-20", "own20")):
    for by in ("file", "condition"):
        m = by_network.get(name)
        figures.glue(f"{short}_{by}", f"{m[f'mos_pcc_{by}'][0]:.3f}" if m else "not available")
figures.glue("ceiling_file", f"{by_network['nisqa']['mos_ceiling_file']:.3f}" if "nisqa" in by_network else "not available")
verdicts = {f.id: f.verdict for f in found}
for i in range(1, 18):
    figures.glue(f"verdict_C{i}", verdicts.get(f"C{i}", "not available"))
maps_record = the(ours, measured.AttributionTrial, network=study.PAPERS_LAYOUT, corpus="p835", steps=50, randomised=False)
for name, text in tables.completeness_in_words(maps_record).items():
    figures.glue(name, text)
for name, text in study.facts_in_words(ours).items():
    figures.glue(name, text)

# %% [markdown]
# - Of the paper's seventeen claims, on the published network nearest to the paper's: {glue:text}`verdicts`.
# - **DeepLIFT as captum has it does not add up** on this network. A file's worst map misses the mean difference that it should
#   explain by {glue:text}`error_modules` (median over files and features). A copy of the tensor before each max pool mends it:
#   {glue:text}`error_complete`. "DeepLIFT is like integrated gradients": **{glue:text}`verdict_C6`**.
# - **A ReLU decides which features are never detected.** With the one that NISQA's code of 2020 had on its 20 outputs,
#   {glue:text}`never_relu` of 20 are never active in our network; without it, {glue:text}`never_plain`. Nothing else was changed.
# - **Do the maps find what is known?** The best of `nisqa-tts` for frames inside a cut has an area under the curve of
#   {glue:text}`best_cut`. The sound's distance from 0 dB, without any network, has {glue:text}`cut_alone` on the same files. Do the
#   official network's five scores mind their names? {glue:text}`dimensions_said`
# - "Masking silence does not change the estimate": **{glue:text}`verdict_C1`**. "Masking lowers high scores and raises low ones":
#   **{glue:text}`verdict_C2`**. "One rare feature marks interruptions": **{glue:text}`verdict_C7`**.

# %% tags=["remove-input"] mystnb={"image": {"alt": "The spectrogram of a noisy sentence above the averaged maps of four features of the network, found by what they follow: cuts, pauses, voice, noise."}, "figure": {"caption": "A real recording (P.835, condition c6, talker m1) and what four features of `nisqa-tts` see in it: those that follow cuts, pauses, voice and noise best on the controlled set. Complete DeepLIFT, averaged over segments. Published run.", "name": "fig-roles"}}
drawn = the(ours, measured.FiguresTrial, network=study.PAPERS_LAYOUT)
arrays = drawn.arrays() if drawn else None
told = the(ours, measured.FeaturesTrial, network=study.PAPERS_LAYOUT, corpus="prompts", randomised=False)
roles = study.roles(told) if told else {}
figures_explained.roles_figure(drawn, roles) if drawn and told else figures.absent("The published run is not here.")

# %% tags=["remove-input"]
maps = figures_explained.maps_frame(arrays["mel"], figures_explained.roles_maps(drawn, roles)) if drawn and told else None
figures.provenance([drawn] if drawn else [], "roles", maps)

# %% [markdown]
# ## Hear it
#
# The demonstration is one synthetic sentence in pink noise, with a cut of 120 ms whose place is known.

# %% tags=["remove-input"]
clean, impaired = measured.demo_sound()
figures.player(clean, "The sentence as it was spoken", "synthetic")

# %% tags=["remove-input"]
figures.player(impaired, "The same with noise at 12 dB and a cut at 1.3 s", "synthetic")

# %% tags=["remove-input"]
real = audio.load(measured.p835_path(measured.FILE)) if registry.find("p835") else None
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
# The controlled set has the shape of the paper's. Its conditions are noise of four colours at six ratios, stretches of noise, cuts of
# 10 to 320 ms, clipping, band limits, MNRU, and silence put in. Every file has the noise of a quiet room, 70 dB below the speech.
# The prompts come from the Asterisk project: four people, one each for English, French, Italian and Russian.
#
# The paper's spectrograms are 1300 frames wide, which is its padded length, and take {glue:text}`padded_masks` masks. Ours are as long
# as the recordings. For one of them both were done: padded with its floor to 1300 frames, `nisqa-tts` gives it
# {glue:text}`padded_mos` instead of {glue:text}`padded_mos_unpadded`, and {glue:text}`padded_masks_on_padding` of the masks hide padding
# alone. They change the score by up to {glue:text}`padded_largest_change_on_padding`; those on the sound, by up to
# {glue:text}`padded_largest_change_on_sound`.
#
# Our networks learn PESQ from synthetic voices and real prompts, never from P.835's talkers. They are small: half the paper's channels,
# one segment in eight frames. `prompts-pesq-20` has the order of the paper's layers (20 outputs, BiLSTM), `prompts-pesq-20-relu` has
# besides the ReLU on its 20 outputs that NISQA's code of 2020 had, `prompts-pesq` has self-attention. **They have heard the people of
# the controlled set**, three in training and one in choosing the epoch. `nisqa-tts` has not.
#
# ## Method
#
# **Agreement.** Pearson's correlation by file, and by condition over the means of its talkers. Files of one talker, or of one
# condition, are not independent. The intervals therefore resample talkers and conditions, both with replacement.
#
# **The listeners' ceiling.** A mean of $n$ votes with standard deviation $s$ carries the error variance $s^2/n$. If $\bar e$ is its
# mean over files and $v$ the variance of the files' scores, a perfect predictor of the true means would reach
# $r_{\max} = \sqrt{1 - \bar e / v}$.
#
# **Occlusion.** A part $m$ of the spectrogram $x$ is set to the file's floor, and the score $f$ read again {cite}`zeiler2014`:
# $\Delta_m = f(x_{\setminus m}) - f(x)$. The masks are the paper's: squares of 24 bands by 24 frames, bands of 2, 4, 6 and 8 over the
# whole file, columns of 13 frames (0.13 s). The stride is the mask's own size. The paper does not say what a mask puts in. We take
# the file's own minimum, the nearest to silence that the file holds; 0 dB would be full scale.
#
# **Attribution.** Integrated gradients {cite}`sundararajan2017`, DeepLIFT {cite}`shrikumar2017` and layer conductance
# {cite}`dhamdhere2018` share a promise. The parts $a_i$ of a map add up to what the output is above that of a baseline $x_0$:
#
# $$ \sum_i a_i = f(x) - f(x_0). $$
#
# That is completeness, and it can be checked. Beside each map stands by how much it is missed, in relation to the mean difference
# over a file's segments. As in the paper the CNN is explained alone: one segment of 48 bands by 15 frames for each frame, 20 outputs.
# Thirty segments a file are looked at for every feature; for one feature all segments are averaged where they overlap. The baseline
# is $-80$ dB unless another is named. In the figures, integrated gradients and conductance take 50 steps, and where a map misses by
# more than 1 %, twice as many, up to 200. The survey of all recordings takes 50, and a part of it 200.
#
# **Features** are known by what they do and never by their number: other weights, other order. Two talkers of the controlled set
# choose a feature, the other two judge it. Two are few: intervals over them tell little of further talkers.
#
# %% [markdown]
# ## Agreement with listeners

# %% tags=["remove-input"]
figures.table(
    tables.agreement_table(ours),
    "agreement",
    "Published run, real recordings: correlation with the listeners' overall score, 95 % intervals over talkers and conditions, and the ceiling that the listeners' votes set",
)

# %% [markdown]
# The paper prints no correlation, so there is nothing beside which to put these. They say whether the networks that are explained
# below are worth explaining. The MOS of `nisqa` correlates with the listeners' at {glue:text}`official_file` by file and
# {glue:text}`official_condition` by condition, where {glue:text}`ceiling_file` by file is about as much as their own spread allows;
# that of `nisqa-tts`, trained for another task, at {glue:text}`tts_file` and {glue:text}`tts_condition`. Real prompts in training bring our self-attention network to {glue:text}`own_file` by file and
# {glue:text}`own_condition` by condition; ours of the paper's layout reaches {glue:text}`own20_file` and {glue:text}`own20_condition`.

# %% tags=["remove-input"] mystnb={"image": {"alt": "Scatter plots of predicted against listeners' MOS for each network, 78 recordings each; each has its own distance from the diagonal."}, "figure": {"caption": "Predicted MOS against the listeners' overall score, 78 full-band recordings of the P.835 reference conditions; one panel a network. Published run, real recordings.", "name": "fig-listeners"}}
figures.listeners_scatter(listeners) if listeners else figures.absent("The published run is not here.")

# %% tags=["remove-input"]
items = listeners[0].items()[["file", "condition", "talker", "mos_ovrl"]] if listeners else None
if listeners:
    items = items.assign(**{r.trial["network"]: r.items()["mos"] for r in listeners})
figures.provenance(listeners, "listeners_scatter", items)

# %% tags=["remove-cell"]
synthetic = [r for r in this_run if r.trial["kind"] == "synthetic"]
demo_pcc = synthetic[0].metrics["mos_pcc_file"] if synthetic else None
figures.glue("demo_pcc", "{:.2f} [{:.2f}, {:.2f}]".format(*demo_pcc) if demo_pcc else "not run in this profile")
figures.glue("demo_files", synthetic[0].metrics["files"] if synthetic else "none")

# %% [markdown]
# **This run, synthetic speech.** Our network on {glue:text}`demo_files` impaired utterances of voices and languages that it was not
# trained on correlates with PESQ, its teacher, at {glue:text}`demo_pcc`. That checks the machinery. It says nothing of listeners.

# %% [markdown]
# ## What moves the score
#
# Move the mask, and read the score under it. The first figure is the published run on a real recording, the second this run on the
# synthetic sentence.

# %% tags=["remove-input"]
masked = the(ours, measured.OcclusionTrial, network="nisqa")
masked_arrays = masked.arrays() if masked else None
figures_explained.stepper_of(
    masked_arrays, real, "stepper_real", "real", "The occlusion of a real recording: sqa run nisqa_explained --profile paper"
)

# %% tags=["remove-input"]
table = figures_explained.occlusion_frame(masked_arrays) if masked else None
figures.provenance([masked] if masked else [], "stepper_real", table)

# %% tags=["remove-input"]
demo = the(this_run, measured.OcclusionTrial, corpus="polyglot")
demo_arrays = demo.arrays() if demo else None
figures_explained.stepper_of(demo_arrays, impaired, "stepper_demo", "synthetic", "The synthetic sentence is explained in the demo profile")

# %% tags=["remove-input"]
table = figures_explained.occlusion_frame(demo_arrays) if demo else None
figures.provenance([demo] if demo else [], "stepper_demo", table)

# %% tags=["remove-input"] mystnb={"image": {"alt": "A mel spectrogram of noisy speech above six maps of the change of predicted MOS, one for each mask shape."}, "figure": {"caption": "Occlusion of one real recording (P.835, condition c6, talker m1) with the official network: the spectrogram, and the change of MOS under each of the paper's masks. Published run.", "name": "fig-occlusion"}}
figures_explained.occlusion_figure(masked_arrays) if masked_arrays else figures.absent("The published run is not here.")

# %% tags=["remove-input"]
table = figures_explained.occlusion_frame(masked_arrays) if masked else None
figures.provenance([masked] if masked else [], "occlusion", table)

# %% [markdown]
# ## What the features see
#
# Choose a feature, look at its map, and hear the sound under the cursor. Orange raises the feature, violet lowers it. In all maps the
# colours end at what half a percent of the points pass. First
# `nisqa-tts` on the real recording, then our network on the synthetic sentence.

# %% tags=["remove-input"]
figures_explained.chooser_of(arrays, real, "chooser_real", "real", "Maps of a real recording: sqa run nisqa_explained --profile paper")

# %% tags=["remove-input"]
maps = figures_explained.features_frame(arrays) if drawn else None
figures.provenance([drawn] if drawn else [], "chooser_real", maps)

# %% tags=["remove-input"]
demo_drawn = the(this_run, measured.FiguresTrial, corpus="polyglot")
demo_maps = demo_drawn.arrays() if demo_drawn else None
figures_explained.chooser_of(demo_maps, impaired, "chooser_demo", "synthetic", "The synthetic sentence is explained in the demo profile")

# %% tags=["remove-input"]
maps = figures_explained.features_frame(demo_maps) if demo_drawn else None
figures.provenance([demo_drawn] if demo_drawn else [], "chooser_demo", maps)

# %% [markdown]
# ## The paper's figures
#
# The paper's Figures 2 and 3 show a spectrogram over the map of a feature that marks interruptions, one that marks missing voice
# and one that marks voice. {numref}`fig-roles` above is ours. Its features are chosen on the controlled set.
#
# ### Figure 1: segments by features

# %% tags=["remove-input"] mystnb={"image": {"alt": "Ten segments of a spectrogram in the top row; below each, its map for each of five features."}, "figure": {"caption": "Ten of thirty segments (top) and their maps for five features of `nisqa-tts`. Complete DeepLIFT, baseline −80 dB. Published run, real recording. After the paper's Figure 1.", "name": "fig-segments"}}
figures_explained.segments_by_feature(drawn) if drawn else figures.absent(
    "The published run is not here: sqa run nisqa_explained --profile paper"
)

# %% tags=["remove-input"]
table = figures_explained.segments_frame(drawn) if drawn else None
figures.provenance([drawn] if drawn else [], "segments", table)

# %% [markdown]
# ### Figure 4: vertical focus

# %% tags=["remove-input"] mystnb={"image": {"alt": "Cutouts of averaged maps of seven features, from those whose weight lies high in the spectrogram to those whose weight lies low."}, "figure": {"caption": "Cutouts of averaged maps of `nisqa-tts`, features from the highest to the lowest centre of mass (dotted). Published run, real recording. After the paper's Figure 4.", "name": "fig-vertical"}}
figures_explained.vertical_focus(drawn) if drawn else figures.absent(
    "The published run is not here: sqa run nisqa_explained --profile paper"
)

# %% tags=["remove-input"]
maps = figures_explained.maps_frame(*figures_explained.vertical_maps(drawn)[:2]) if drawn else None
figures.provenance([drawn] if drawn else [], "vertical", maps)

# %% [markdown]
# ### Figures 5 and 6: conductance of the first two convolutions

# %% tags=["remove-input"] mystnb={"image": {"alt": "A segment of a spectrogram and the conductance maps of sixteen channels of the first convolution."}, "figure": {"caption": "One segment, and its conductance through the 16 channels of the first convolution to one feature of `nisqa-tts`. Published run, real recording. After the paper's Figure 5.", "name": "fig-conductance-1"}}
figures_explained.conductance_figure(drawn, 1, 1) if drawn else figures.absent(
    "The published run is not here: sqa run nisqa_explained --profile paper"
)

# %% tags=["remove-input"]
table = figures_explained.conductance_frame(drawn, 1, 1) if drawn else None
figures.provenance([drawn] if drawn else [], "conductance_1", table)

# %% tags=["remove-input"] mystnb={"image": {"alt": "Conductance maps of sixteen channels of the second convolution for two features, one above the other."}, "figure": {"caption": "The same for the second convolution and the two of the features shown above that oppose each other most; sixteen of 32 channels. Published run, real recording. After the paper's Figure 6.", "name": "fig-conductance-2"}}
figures_explained.conductance_figure(drawn, 2, 2) if drawn else figures.absent(
    "The published run is not here: sqa run nisqa_explained --profile paper"
)

# %% tags=["remove-input"]
table = figures_explained.conductance_frame(drawn, 2, 2) if drawn else None
figures.provenance([drawn] if drawn else [], "conductance_2", table)

# %% [markdown]
# ### The same for our network
#
# `prompts-pesq-20` was trained for degraded speech. Its features that follow cuts, pauses, voice and noise best have other numbers.

# %% tags=["remove-cell"]
own_drawn = the(ours, measured.FiguresTrial, network=study.DEMO_NETWORK)
own_told = the(ours, measured.FeaturesTrial, network=study.DEMO_NETWORK, corpus="prompts", randomised=False)

# %% tags=["remove-input"] mystnb={"image": {"alt": "The spectrogram of a noisy sentence above the averaged maps of the four features of our network that follow cuts, pauses, voice and noise."}, "figure": {"caption": "The paper's Figures 2 and 3 for `prompts-pesq-20`: features that follow cuts, pauses, voice and noise. Published run, real recording.", "name": "fig-roles-own"}}
figures_explained.roles_figure(own_drawn, study.roles(own_told)) if own_drawn and own_told else figures.absent(
    "The published run is not here: sqa run nisqa_explained --profile paper"
)

# %% tags=["remove-input"]
own_arrays = own_drawn.arrays() if own_drawn else {}
own_roles = figures_explained.roles_maps(own_drawn, study.roles(own_told)) if own_drawn and own_told else {}
maps = figures_explained.maps_frame(own_arrays["mel"], own_roles) if own_roles else None
figures.provenance([own_drawn] if own_drawn else [], "roles_own", maps)

# %% tags=["remove-input"] mystnb={"image": {"alt": "Ten segments of a spectrogram in the top row; below each, its map for each of five features of our network."}, "figure": {"caption": "Figure 1 for `prompts-pesq-20`. Published run, real recording.", "name": "fig-segments-own"}}
figures_explained.segments_by_feature(own_drawn) if own_drawn else figures.absent(
    "The published run is not here: sqa run nisqa_explained --profile paper"
)

# %% tags=["remove-input"]
table = figures_explained.segments_frame(own_drawn) if own_drawn else None
figures.provenance([own_drawn] if own_drawn else [], "segments_own", table)

# %% tags=["remove-input"] mystnb={"image": {"alt": "Cutouts of averaged maps of seven features of our network, from high to low in the spectrogram."}, "figure": {"caption": "Figure 4 for `prompts-pesq-20`. Published run, real recording.", "name": "fig-vertical-own"}}
figures_explained.vertical_focus(own_drawn) if own_drawn else figures.absent(
    "The published run is not here: sqa run nisqa_explained --profile paper"
)

# %% tags=["remove-input"]
maps = figures_explained.maps_frame(*figures_explained.vertical_maps(own_drawn)[:2]) if own_drawn else None
figures.provenance([own_drawn] if own_drawn else [], "vertical_own", maps)

# %% tags=["remove-input"] mystnb={"image": {"alt": "Conductance maps of the eight channels of the first convolution of our network."}, "figure": {"caption": "Figure 5 for `prompts-pesq-20`. Published run, real recording.", "name": "fig-conductance-1-own"}}
figures_explained.conductance_figure(own_drawn, 1, 1) if own_drawn else figures.absent(
    "The published run is not here: sqa run nisqa_explained --profile paper"
)

# %% tags=["remove-input"]
table = figures_explained.conductance_frame(own_drawn, 1, 1) if own_drawn else None
figures.provenance([own_drawn] if own_drawn else [], "conductance_1_own", table)

# %% tags=["remove-input"] mystnb={"image": {"alt": "Conductance maps of the second convolution of our network for two features that oppose each other."}, "figure": {"caption": "Figure 6 for `prompts-pesq-20`. Published run, real recording.", "name": "fig-conductance-2-own"}}
figures_explained.conductance_figure(own_drawn, 2, 2) if own_drawn else figures.absent(
    "The published run is not here: sqa run nisqa_explained --profile paper"
)

# %% tags=["remove-input"]
table = figures_explained.conductance_frame(own_drawn, 2, 2) if own_drawn else None
figures.provenance([own_drawn] if own_drawn else [], "conductance_2_own", table)

# %% [markdown]
# ## Is DeepLIFT what it says?
#
# DeepLIFT replaces the gradient of each nonlinear module by a multiplier, the difference of its outputs over the difference of its
# inputs. Captum does so with hooks on modules {cite}`kokhlikyan2020`. Three things follow.
#
# **Functions are not seen.** NISQA's code calls ReLU as a function, and uses one pool module twice. On the second, captum raises an
# error. The first it passes over in silence. So the published network cannot be explained by DeepLIFT as it is. It has to be
# rewritten, and how it is rewritten decides the maps. The paper does not say how.
#
# **A pool right behind a ReLU breaks the chain.** Captum 0.9.0 puts its hook on the tensor that enters a module. Where a max pool takes
# a ReLU's output as it is, the output of one is the very tensor that is the input of the other. Backward, the ReLU's hook reads the
# gradient of that tensor before the pool's hook has replaced it. The ReLU then passes on a plain gradient where the pool's multiplier
# belongs, and the sum is wrong. A copy of the tensor between the two modules restores the order. Captum's
# [issue 1104](https://github.com/pytorch/captum/issues/1104) describes the symptom. [Issue
# 1276](https://github.com/pytorch/captum/issues/1276) is another fault of the max pool's rule, and has no effect here. This script
# shows the first without anything of ours; it prints the largest completeness error without and with the copy:
#
# ```{literalinclude} ../book/_static/captum_relu_maxpool.py
# :language: python
# ```
#
# **Maxima that overlap.** Captum's rule for max pools holds for windows that stand apart. The adaptive pools of NISQA 2 overlap. We
# lay their windows side by side first, which changes no output.
#
# The three variants, on 78 recordings, 30 segments each and every feature. The completeness error is the largest of a file's 30 maps,
# in relation to the mean difference that they explain.

# %% tags=["remove-input"]
figures.table(
    tables.variants_table(ours),
    "variants",
    "Published run, real recordings: DeepLIFT with ReLUs called as functions, as modules, and complete (a copy before each max pool); integrated gradients. Medians over files and features",
)

# %% tags=["remove-input"] mystnb={"image": {"alt": "The map of one feature by DeepLIFT in three variants and by integrated gradients, one below the other."}, "figure": {"caption": "One feature of `nisqa-tts` by DeepLIFT in three variants and by integrated gradients. The first two miss completeness. Published run, real recording.", "name": "fig-variants"}}
figures_explained.variants_figure(drawn) if drawn else figures.absent("The published run is not here.")

# %% tags=["remove-input"]
maps = figures_explained.maps_frame(arrays["mel"], figures_explained.variants_maps(drawn)) if drawn else None
figures.provenance([drawn] if drawn else [], "variants_figure", maps)

# %% [markdown]
# In this recording the sizes of the complete maps have a rank correlation of {glue:text}`like_modules` with captum's as it is, of
# {glue:text}`like_functions` with those of ReLUs as functions, and of {glue:text}`like_ig` with integrated gradients.
#
# Which of the paper's observations need which variant? "DeepLIFT and integrated gradients look alike" is the one that hangs on it: the
# correlation stands in the table for each. Which features are active, and the stripes of the next section, can be read for each
# variant too. Sums, and so any statement of how much of an output a region explains, need the complete one.
#
# Integrated gradients have a grain of their own. Where a pool's inputs tie, as they do in a flat baseline, rounding decides which of
# them takes the gradient. The same captum call in single and in double precision differs in single points. Sums and pictures stay.
#
# ## Baselines and stripes
#
# The paper takes "an empty spectrogram" and sees horizontal stripes from segments that hold nothing. In decibels an array of zeros is
# not silence but full scale. And digital silence is not $-80$ dB either: NISQA's front end lifts all that lies more than 80 dB below
# a file's maximum. Where an empty segment equals the baseline, its map is zero by construction. So the segments here are empty as in
# a quiet room, at least 60 dB below the file's maximum in every band.

# %% tags=["remove-input"]
quiet = of_kind(ours, measured.AttributionTrial, network=study.PAPERS_LAYOUT, conditions=study.QUIET, randomised=False)
figures.table(
    tables.stripes_table(quiet),
    "stripes",
    "Mean size of attributions on empty segments over that on sounding ones, by baseline and method; nisqa-tts, controlled files from real prompts, pauses in a quiet room",
)

# %% tags=["remove-input"] mystnb={"image": {"alt": "The map of one feature under four baselines, one below the other: zero decibels, minus eighty, the file's minimum, noise."}, "figure": {"caption": "One feature of `nisqa-tts` against four baselines, complete DeepLIFT. Published run, real recording.", "name": "fig-baselines"}}
figures_explained.baselines_figure(drawn) if drawn else figures.absent("The published run is not here.")

# %% tags=["remove-input"]
maps = figures_explained.maps_frame(arrays["mel"], figures_explained.baselines_maps(drawn)) if drawn else None
figures.provenance([drawn] if drawn else [], "baselines", maps)

# %% [markdown]
# ## The claims, tested
#
# A claim holds where the whole 95 % interval lies inside what its test demands, fails where none of it does, and is undecided
# otherwise. Claims on counts (C5) have no interval. Where a test leaves a bound open, ours stands in the evidence or in the docstring of
# its function in `sqa_core/studies/nisqa_explained.py`. The network is `nisqa-tts`.

# %% tags=["remove-input"]
figures.table(claims.table(published.claims(study.SLUG), found), "claims", "The paper's claims and our verdicts, nisqa-tts, published run")

# %% tags=["remove-input"]
figures.provenance([r for r in ours if r.trial.get("network") == study.PAPERS_LAYOUT], "claims_evidence")

# %% tags=["remove-input"] mystnb={"image": {"alt": "Bars: the share of segments in which each of twenty features is active, for three networks."}, "figure": {"caption": "Share of segments in which each feature is active (its attribution passes 1 % of the file's largest), complete DeepLIFT, 78 real recordings; dotted: 10 and 90 %. Published run.", "name": "fig-activity"}}
by_name = {n: the(ours, measured.AttributionTrial, network=n, corpus="p835", steps=50, randomised=False) for n in study.TWENTY}
rates = {n: tables.activity(r) for n, r in by_name.items() if r}
figures_explained.feature_activity(rates) if rates else figures.absent("The published run is not here.")

# %% tags=["remove-input"]
figures.provenance([r for r in by_name.values() if r], "activity", pd.DataFrame(rates))

# %% tags=["remove-input"] mystnb={"image": {"alt": "Matrices of the correlations between twenty features, for three networks."}, "figure": {"caption": "Correlation of the features with each other over all segments of the controlled set, real prompts. Published run.", "name": "fig-correlations"}}
related = {n: the(ours, measured.FeaturesTrial, network=n, corpus="prompts", randomised=False) for n in study.TWENTY}
matrices = {n: study.correlation(r) for n, r in related.items() if r}
figures_explained.correlation_matrices(matrices) if matrices else figures.absent("The published run is not here.")

# %% tags=["remove-input"]
figures.provenance([r for r in related.values() if r], "correlations", tables.long_matrices(matrices))

# %% [markdown]
# "Active" needs a threshold, and the paper names none. Here is C5's count at others, as a share of the file's largest attribution.

# %% tags=["remove-input"]
figures.table(
    tables.thresholds_table(ours),
    "thresholds",
    "Features nearly always (over 90 % of segments) / rarely (up to 10 %) / never active, by threshold; complete DeepLIFT, 78 real recordings, published run",
)

# %% [markdown]
# The same tests for each network, and for the networks with their weights shuffled within each layer. A claim that holds for shuffled
# weights too says something of sound and layout, and nothing of learning. With a ReLU on the 20 outputs a unit can be dead: its maps
# are then zero everywhere, a third reason for features that are "never detected", beside the two that the paper gives. Of the 20
# outputs of `prompts-pesq-20-relu`, {glue:text}`dead_relu` are zero in every segment of the controlled set; of `prompts-pesq-20`,
# {glue:text}`dead_plain`.

# %% tags=["remove-input"]
figures.table(study.claims_by_network(ours), "claims_by_network", "Verdicts by network, with values and 95 % intervals, published run")

# %% [markdown]
# ### When does a unit die?
#
# Why does a trained network have features that never fire? With a ReLU on the outputs, some are dead soon. {glue:text}`dead_growth`
# The seeds are few, and their spread is as wide as what lies between the amounts of material: no trend with the amount can be told.

# %% tags=["remove-input"] mystnb={"image": {"alt": "Lines: how many of twenty outputs with a ReLU are zero everywhere, against optimiser steps, for a sixteenth, a quarter and all of the material."}, "figure": {"caption": "Networks trained anew by the recipe of `prompts-pesq-20-relu` with a share of its material: outputs that are zero in every segment of the validation set, after each epoch; a line a seed. Published run, synthetic voices and real prompts.", "name": "fig-dead"}}
growth = of_kind(ours, measured.DeadUnitsTrial)
figures_explained.dead_units(tables.dead_units(growth)) if growth else figures.absent("The published run is not here.")

# %% tags=["remove-input"]
figures.provenance(growth, "dead_units", tables.dead_units(growth) if growth else None)

# %% [markdown]
# ## Do the maps find what is known?
#
# The controlled set has cuts at known places. A good map of MOS, or of all features together, should be large there. It is not that
# simple. A cut is silence. If the baseline is silence too, sound and baseline agree inside the cut, and every method that multiplies
# by their difference must give nothing there. What it can do is point beside the cut, at the edges. With 0 dB as baseline the inside
# can speak. The table asks for both: frames inside a cut among those of speech, and the five frames beside one among the others.
#
# Two controls follow Adebayo et al. {cite}`adebayo2018`: maps whose frames are shuffled, and the network with shuffled weights. Where
# its map is much like the trained one's, the map shows the sound and not what was learnt. `nisqa` and `prompts-pesq` have
# self-attention and no layer of 20 outputs: of their hundreds, 20 drawn at random are explained. Their pools are adaptive; laying the
# windows side by side already parts a ReLU from the pool behind it, so their two rows of DeepLIFT are the same.

# %% tags=["remove-input"]
figures.table(
    tables.localisation_table(ours),
    "localisation",
    "Area under the ROC curve for frames inside and beside known cuts, 95 % intervals; 0.5 is chance. Controlled set, real prompts, published run",
)

# %% [markdown]
# What shuffled weights give for three of the claims, beside the trained ones on the same five recordings. DeepLIFT as captum has it
# agrees with integrated gradients better on shuffled weights ({glue:text}`agree_modules_shuffled`) than on trained ones
# ({glue:text}`agree_modules_trained`); the complete one does not ({glue:text}`agree_complete_shuffled` against
# {glue:text}`agree_complete_trained`). That two methods look alike is no sign that both show what was learnt.

# %% tags=["remove-input"]
figures.table(tables.controls_table(ours), "controls", "Trained and shuffled weights, real recordings, published run")

# %% [markdown]
# ## Beyond the paper
#
# ### Through time and pooling
#
# The paper stops before the LSTM. Integrated gradients pass it: the packed sequence becomes one in which each direction starts at a
# true end, equal to it and made of plain operations. The map is then of MOS itself.

# %% tags=["remove-input"] mystnb={"image": {"alt": "Three maps of one recording: integrated gradients of MOS through the whole network, all features of the CNN together, and occlusion by squares."}, "figure": {"caption": "MOS explained through the whole of `nisqa-tts` by integrated gradients, the sizes of all 20 features' maps together, and occlusion by squares of 24. Published run, real recording.", "name": "fig-whole"}}
squares = the(ours, measured.OcclusionTrial, network=study.PAPERS_LAYOUT)
figures_explained.whole_figure(drawn, squares) if drawn and squares else figures.absent("The published run is not here.")

# %% tags=["remove-input"]
maps = figures_explained.maps_frame(arrays["mel"], figures_explained.whole_maps(drawn, squares)) if drawn and squares else None
figures.provenance([r for r in (drawn, squares) if r], "whole", maps)

# %% [markdown]
# ### How firm are the maps?
#
# Rank correlation of the sizes of two maps of the same sound, when one of the choices that the paper leaves open is changed, and from
# one method to another. 1 means that the order of all points stays.

# %% tags=["remove-input"]
figures.table(
    tables.stability_table(ours), "stability", "Stability of maps of MOS, mean over five real recordings, a column a network, published run"
)

# %% [markdown]
# ### Do the dimensions mind their names?
#
# NISQA 2 predicts five scores. If `dis` hears discontinuity, hiding a cut should raise it more than the others, and hiding noise should
# raise `noi`. Each number is the mean change of a score when a column of 13 frames over such a place is set to the file's mean level
# (a cut hidden by silence would stay a cut). The prompts are 16 kHz, so the network's upper bands hold nothing.

# %% tags=["remove-input"]
figures.table(
    tables.dimensions_table(ours),
    "dimensions",
    "Mean change of each of nisqa's scores under columns that hide this, controlled set from real prompts, 95 % intervals, published run",
)

# %% [markdown]
# Occlusion asks what happens when something is hidden. Attribution asks what the score is made of. So the same question again, with
# integrated gradients of each whole score: are the sizes of its maps larger inside a stretch of noise than elsewhere, inside or beside
# a cut, in the bands that a telephone's limits (300 to 3400 Hz) leave empty?
#
# 0.5 is chance, and yet not what a map must pass here. A baseline of 0 dB makes silence large without any network, one of −80 dB makes
# noise large. So beside each score stands the distance of the sound from the baseline, and the same network with shuffled weights.
# Both baselines are shown; what only one of them says is a property of the baseline. {glue:text}`dimensions_said`

# %% tags=["remove-input"]
figures.table(
    tables.names_table(ours),
    "names",
    "Does the score so named find it? Areas under the ROC curve of nisqa's maps, and leads with 95 % intervals over conditions and talkers; controlled set, real prompts, published run",
)

# %% [markdown]
# Cuts of different length are different things: a short one is an edge, a long one a pause.

# %% tags=["remove-input"]
figures.table(
    tables.cuts_by_length(ours), "cuts_by_length", "Area under the ROC curve for frames inside a cut, mean over talkers, published run"
)

# %% tags=["remove-input"]
figures.table(
    tables.dimension_maps_table(ours),
    "dimension_maps",
    "The same for all five scores, what noise adds to each (signed), the bands that a limit empties, and how far completeness is missed; published run",
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
figures_explained.live_occlusion(impaired, study.DEMO_NETWORK)

# %% [markdown]
# ## What is missing here
#
# - The paper's 216 files are closed, and the weights of the network it explains were never in the public repository.
# - `nisqa-tts` was trained for the naturalness of synthetic speech and hears up to 8 kHz. Our networks were trained for transmitted
#   speech, and are small. Where the two disagree, neither is the paper's.
# - The controlled set has four people, of whom two judge.
# - Dead units were counted in one network of ours, with one kind of start and one learning rate.
# - The paper contradicts itself in places. These are known:

# %% tags=["remove-input"]
figures.table(published.read(study.SLUG, "contradictions"), "contradictions", "Contradictions in the paper, and what we do")

# %% tags=["remove-input"]
figures.run_card(ours, this_run, settings)
