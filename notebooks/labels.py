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
# # Labels: PESQ, ViSQOL and the listeners
#
# Listeners are dear, and their scores are mostly closed. A network of our own must learn from something else. Intrusive measures
# compare a degraded recording with its clean original: PESQ {cite}`p8622` and ViSQOL {cite}`chinen2020`. This page asks whether they
# agree with listeners well enough to teach, and what a network taught so is worth on real voices.

# %% tags=["remove-input"]
from sqa_core import figures
from sqa_core.studies import labels as study
from sqa_core.studies.common import published_run

figures.style()
settings = study.Settings(profile=profile, engine=engine, scheduler=scheduler, store=store)
this_run = settings.run(study.trials(settings))
ours = published_run(study.SLUG)
figures.table_setup()

# %% [markdown]
# ## At a glance

# %% tags=["remove-cell"]
found = study.at_a_glance(ours)
for name, value in found.items():
    figures.glue(name, value)

# %% [markdown]
# - By file, PESQ correlates with the listeners at {glue:text}`pesq`, ViSQOL's speech mode at {glue:text}`visqol` (full band). The
#   choice of PESQ as our label was made beforehand.
# - From the spread of the listeners' votes, about seven a file, a perfect predictor would reach about {glue:text}`ceiling`.
# - A small NISQA, taught by PESQ on synthetic voices alone, does not carry over to real ones as it is. It keeps the order of the
#   conditions, {glue:text}`own_condition`, and loses the level: {glue:text}`own` by file, and on average {glue:text}`own_bias` MOS
#   beside the listeners.
# - The same network, taught with real prompts besides, reaches {glue:text}`prompts` by file and {glue:text}`prompts_condition` by
#   condition, {glue:text}`prompts_bias` MOS beside the listeners on average.

# %% tags=["remove-input"] mystnb={"image": {"alt": "Two rows of intervals of correlation with listeners, by file and by condition, for PESQ, ViSQOL and each network, with a line at the listeners' ceiling."}, "figure": {"caption": "Correlation with the listeners' overall score on P.835, full band, by file and by condition, with 95 % intervals over talkers and conditions. The vertical lines are the ceilings. Published run, real recordings.", "name": "fig-labels"}}
figures.agreement_intervals(study.intervals(ours, "fullband")) if ours else figures.absent("The published run is not here.")

# %% tags=["remove-input"]
figures.provenance(ours, "labels_intervals", study.intervals(ours, "fullband") if ours else None)

# %% [markdown]
# ## Method
#
# The degraded files are filtered and changed in level against their originals, and the wide-band ones are late by some 275 samples.
# Reference and degraded file are therefore shifted onto each other first, by the lag of their greatest correlation. Level and
# spectrum stay as they are. PESQ is the wide-band version of P.862.2 at 16 kHz; ViSQOL is in speech mode with its lattice model. The
# reference is the same talker's unimpaired full-band file.
#
# The ceiling and the intervals are those of the chapter [What has NISQA learnt?](nisqa_explained.ipynb).

# %% tags=["remove-input"]
figures.table(study.table(ours), "labels_table", "Published run, real recordings: agreement with the listeners' overall score")

# %% [markdown]
# ## Our own small network
#
# `polyglot-pesq` has the layout of NISQA v2.0 with fewer channels, one output, and hears 16 kHz, since its teacher hears no more.
# It learnt from synthetic sentences in nine languages by ten voices, with noise, MNRU, clipping, band limits and gaps drawn at
# random, each labelled by PESQ. Voices and languages of its validation set were not in its training set. The talkers of P.835 took
# no part: they are test material. `sqa train polyglot-pesq` makes it anew.
#
# **What it is worth on real voices.** Its highest score for any of the 78 real recordings is {glue:text}`own_top`, unimpaired ones
# among them. To a network that has heard nothing but eSpeak, the roughness of a natural voice is an impairment. Within a talker its
# scores still fall as the impairment grows. So it can compare versions of one recording, and its level on a real voice means nothing.
# We leave it as it came out: tuning it on these recordings would spend the only test there is.
#
# **What real prompts change.** `prompts-pesq` has the same layout and hears fewer synthetic sentences, and 1500 utterances put together
# from Asterisk's prompts: four talkers, one a language. A fifth, in Russian, helped to choose the epoch. Its highest score for the
# recordings is {glue:text}`prompts_top`. It is what `sqa score` takes where the official weights are not found.
#
# ## Hear it

# %% tags=["remove-input"]
heard = study.examples()
figures.players([(sound, f"{text}: PESQ {label:.2f}") for sound, text, label in heard], "synthetic")

# %% [markdown]
# ## This run, synthetic speech

# %% tags=["remove-input"] mystnb={"image": {"alt": "Predicted MOS against PESQ for impaired synthetic utterances."}, "figure": {"caption": "Our network against PESQ, its teacher, on synthetic voices and languages that it was not trained on. This run, synthetic speech.", "name": "fig-synthetic"}}
synthetic = [r for r in this_run if r.trial["kind"] == "synthetic"]
figures.pesq_scatter(synthetic[0].items()) if synthetic else figures.absent("Drawn in the demo profile.")

# %% tags=["remove-input"]
figures.provenance(synthetic, "synthetic_scatter", synthetic[0].items() if synthetic else None)

# %% [markdown]
# ## What is missing here
#
# - P.835 crosses noise with MNRU. It holds no gaps, no codecs and no band limits, so nothing is said here of PESQ on those.
# - Six talkers of one language. The intervals are over talkers and conditions, and they are wide.

# %% tags=["remove-input"]
figures.run_card(ours, this_run, settings)
