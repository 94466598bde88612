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
    # %pip install -q "sqa-core[labels] @ git+https://github.com/sqa-book/sqa-book@v0.1.0"
    pass

# %% tags=["parameters", "remove-cell"]
profile = "demo"
engine = "local"
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
# This chapter puts numbers to the first part of that. How well do NISQA's networks agree with listeners on recordings they have
# never heard? And when part of a sound is hidden, does the score move as the paper says?

# %% tags=["remove-input"]
from sqa_core import audio, claims, figures, published, trials
from sqa_core.corpora import registry
from sqa_core.studies import nisqa_explained as study
from sqa_core.studies.common import published_run

figures.style()
settings = study.Settings(profile=profile, engine=engine, store=store)
this_run = trials.run(study.trials(settings), settings.folder, settings.engine)
ours = published_run(study.SLUG)
figures.table_setup()

# %% [markdown]
# ## At a glance

# %% tags=["remove-cell"]
listeners = [r for r in ours if r.trial["kind"] == "listeners"]
best = next((r for r in listeners if r.trial["network"] == "nisqa"), None)
own = next((r for r in listeners if r.trial["network"] == "polyglot-pesq"), None)
figures.glue("official_file", f"{best.metrics['mos_pcc_file'][0]:.3f}" if best else "not available")
figures.glue("official_condition", f"{best.metrics['mos_pcc_condition'][0]:.3f}" if best else "not available")
figures.glue("ceiling_file", f"{best.metrics['mos_ceiling_file']:.3f}" if best else "not available")
figures.glue("own_file", f"{own.metrics['mos_pcc_file'][0]:.3f}" if own else "not available")
figures.glue("own_condition", f"{own.metrics['mos_pcc_condition'][0]:.3f}" if own else "not available")
verdicts = {f.id: f for f in study.findings(ours)}
figures.glue("verdict_silence", verdicts["C1"].verdict if "C1" in verdicts else "not available")
figures.glue("verdict_high_low", verdicts["C2"].verdict if "C2" in verdicts else "not available")

# %% [markdown]
# - On 78 real recordings, the official network's MOS correlates with the listeners' at {glue:text}`official_file` by file and
#   {glue:text}`official_condition` by condition. From the spread of the listeners' own votes, a perfect predictor
#   would reach about {glue:text}`ceiling_file` by file.
# - Our small network, taught by a machine on synthetic voices alone, reaches {glue:text}`own_file` by file and
#   {glue:text}`own_condition` by condition: it keeps the order and loses the level on real voices.
# - "Masking silence does not change the estimate": **{glue:text}`verdict_silence`**. "Masking lowers high scores and raises low
#   ones": **{glue:text}`verdict_high_low`**. Both by `nisqa-tts`, the published network nearest to the paper's. The other claims
#   are listed below with what would test them.

# %% tags=["remove-input"] mystnb={"image": {"alt": "Scatter plots of predicted against listeners' MOS for each network, 78 recordings each; points lie near the diagonal for the official networks."}, "figure": {"caption": "Predicted MOS against the listeners' overall score, 78 full-band recordings of the P.835 reference conditions; one panel a network. Published run, real recordings.", "name": "fig-listeners"}}
figures.listeners_scatter(listeners) if listeners else figures.absent("The published run is not here.")

# %% tags=["remove-input"]
items = listeners[0].items()[["file", "condition", "talker", "mos_ovrl"]] if listeners else None
if listeners:
    items = items.assign(**{r.trial["network"]: r.items()["mos"] for r in listeners})
figures.provenance(listeners, "listeners_scatter", items)

# %% [markdown]
# ## Hear it
#
# The demonstration is one synthetic sentence in pink noise, with a cut of 120 ms whose place is known.

# %% tags=["remove-input"]
clean, impaired = study.demo_sound()
figures.player(clean, "The sentence as it was spoken", "synthetic")

# %% tags=["remove-input"]
figures.player(impaired, "The same with noise at 12 dB and a cut at 1.3 s", "synthetic")

# %% tags=["remove-input"]
real = audio.load(study.p835_path(study.FILE)) if registry.find("p835") else None
figures.player(real, "P.835, condition c6, talker m1: speech and noise equally strong", "real") if real else figures.absent(
    "The real recording of the published run plays here where the corpus is found: sqa data fetch p835"
)

# %% [markdown]
# ## Data
#
# | | the paper | published run | this run (demo) |
# |---|---|---|---|
# | recordings | 216 of a closed POLQA set, 54 conditions | 78 of the P.835 reference conditions {cite}`naderi2021`, 13 conditions × 6 talkers, listeners' votes | synthetic speech with known impairments |
# | network | NISQA of 2019, weights not published | the three published networks of 2020 and 2021, and ours | ours |
# | status | closed | real recordings | synthetic speech |
#
# The conditions cross a speech-to-noise ratio with the modulated noise of MNRU. Each file has five to fifteen votes, about seven on
# average, on its signal, its background and the whole. Ours has never met these talkers. Nothing published says that the
# official networks were trained on them.

# %% [markdown]
# ## Method
#
# **Agreement.** Pearson's correlation by file, and by condition over the means of its talkers. Files of one talker, or of one
# condition, are not independent. The intervals therefore resample talkers and conditions, both with replacement.
#
# **The listeners' ceiling.** A mean of $n$ votes with standard deviation $s$ carries the error variance $s^2/n$. If $\bar e$ is its
# mean over files and $v$ the variance of the files' scores, a perfect predictor of the true means would reach
#
# $$ r_{\max} = \sqrt{1 - \bar e / v}. $$
#
# **Occlusion.** A part $m$ of the spectrogram $x$ is set to the file's floor, and the score $f$ read again {cite}`zeiler2014`:
#
# $$ \Delta_m = f(x_{\setminus m}) - f(x). $$
#
# A negative change means that the hidden part held the score up. The masks are the paper's: squares of 24 bands by 24 frames, bands
# of 2, 4, 6 and 8 over the whole file, columns of 13 frames (0.13 s). The stride is the mask's own size. The paper does not say
# what a mask puts in. We take the file's own minimum, the
# nearest to silence that the file holds; 0 dB would be full scale.

# %% [markdown]
# ## Agreement with listeners

# %% tags=["remove-input"]
figures.table(
    study.agreement_table(ours),
    "agreement",
    "Published run, real recordings: correlation with the listeners' overall score, 95 % intervals over talkers and conditions, and the ceiling that the listeners' votes set",
)

# %% [markdown]
# The paper prints no correlation, so there is nothing beside which to put these. They say whether the networks that are explained
# below are worth explaining.

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
explained = study.of_kind(ours, study.OcclusionTrial, network="nisqa")
arrays = explained[0].arrays() if explained else None
figures.stepper_of(arrays, real, "stepper_real", "real", "The occlusion of a real recording: sqa run nisqa_explained --profile paper")

# %% tags=["remove-input"]
figures.provenance(explained, "stepper_real")

# %% tags=["remove-input"]
demo = study.of_kind(this_run, study.OcclusionTrial, corpus="polyglot")
demo_arrays = demo[0].arrays() if demo else None
figures.stepper_of(demo_arrays, impaired, "stepper_demo", "synthetic", "The synthetic sentence is explained in the demo profile")

# %% tags=["remove-input"]
figures.provenance(demo, "stepper_demo")

# %% tags=["remove-input"] mystnb={"image": {"alt": "A mel spectrogram of noisy speech above six maps of the change of predicted MOS, one for each mask shape."}, "figure": {"caption": "Occlusion of one real recording (P.835, condition c6, talker m1) with the official network: the spectrogram, and the change of MOS under each of the paper's masks. Published run.", "name": "fig-occlusion"}}
figures.occlusion_figure(arrays) if arrays else figures.absent("The published run is not here.")

# %% tags=["remove-input"]
figures.provenance(explained, "occlusion")

# %% tags=["remove-input"] mystnb={"image": {"alt": "The mel spectrogram of a synthetic sentence with a cut, above six maps of the change of predicted MOS."}, "figure": {"caption": "The same for the synthetic sentence with a cut at 1.3 s, by our own network. This run, synthetic speech.", "name": "fig-occlusion-demo"}}
figures.occlusion_figure(demo_arrays) if demo_arrays else figures.absent("Drawn in the demo profile.")

# %% tags=["remove-input"]
figures.provenance(demo, "occlusion_demo")

# %% [markdown]
# ## The claims, tested
#
# A claim holds where the whole 95 % interval lies inside what its test demands, fails where none of it does, and is undecided
# otherwise. The network is `nisqa-tts`, whose layout is the paper's. Claims on the twenty features need attribution methods that this edition does not have yet; they say so.

# %% tags=["remove-input"]
figures.table(claims.table(published.claims(study.SLUG), study.findings(ours)), "claims", "The paper's claims and our verdicts")

# %% tags=["remove-input"]
figures.provenance(study.of_kind(ours, study.OcclusionSurveyTrial, network=study.PAPERS_LAYOUT), "claims_evidence")

# %% [markdown]
# ## Beyond the paper
#
# The paper leaves open how mask size and filling shape the maps, and whether the later networks behave like the one of 2019. The
# survey of all 78 recordings was run for each network; the claims above can be read for each of them.

# %% tags=["remove-input"]
figures.table(
    study.claims_by_network(ours),
    "claims_by_network",
    "The two occlusion claims for each network, published run, real recordings",
)

# %% [markdown]
# ## What is missing here
#
# - The paper's 216 files are closed, and the weights of the network it explains were never in the public repository.
# - The paper's Figures 1 to 6 show DeepLIFT, integrated gradients and conductance of twenty CNN outputs. They are not in this
#   edition.
# - The paper contradicts itself in places. These are known:

# %% tags=["remove-input"]
figures.table(published.read(study.SLUG, "contradictions"), "contradictions", "Contradictions in the paper, and what we do")

# %% tags=["remove-input"]
figures.run_card(ours, this_run, settings)
