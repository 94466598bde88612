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
# Listening tests are expensive, and most of their scores are not public. To train a network of our own we need other
# labels. Full-reference metrics compare a degraded recording with its clean original: PESQ {cite}`p8622` and ViSQOL
# {cite}`chinen2020`. This page asks whether they agree with listeners well enough to serve as labels, and how well a
# network trained on them generalises to human voices.

# %% tags=["hide-input"]
from sqa_core import figures
from sqa_core.figures import charts
from sqa_core.studies.labels import figures as draw
from sqa_core.studies.labels import page, plan, tables
from sqa_core.studies.shared import published_run

figures.style()
settings = plan.Settings(profile=profile, engine=engine, scheduler=scheduler, store=store)
this_run = settings.run(plan.trials(settings))
ours = published_run(plan.SLUG)

# %% [markdown]
# ## At a glance

# %% tags=["remove-cell"]
for name, value in page.glue_values(ours).items():
    figures.glue(name, value)

# %% [markdown]
# - By file, the correlation with listeners is {glue:text}`pesq` for PESQ and {glue:text}`visqol` for ViSQOL in speech
#   mode (full band). We chose PESQ as our label before we saw these numbers.
# - With about seven votes per file, a perfect predictor would reach a correlation of about {glue:text}`ceiling`,
#   judging by the spread of the votes.
# - A small NISQA trained on PESQ scores of synthetic voices does not generalise to human voices without adaptation. It
#   ranks the conditions well ({glue:text}`own_condition`) but its level is wrong: {glue:text}`own` by file, with a mean
#   bias of {glue:text}`own_bias` MOS.
# - The same network trained on real prompts as well reaches {glue:text}`prompts` by file and
#   {glue:text}`prompts_condition` by condition, with a mean bias of {glue:text}`prompts_bias` MOS.

# %% tags=["hide-input"]
figures.shown(
    ours["record"].tolist() if len(ours) else None,
    lambda _: charts.agreement_intervals(tables.intervals(ours, "fullband")),
    lambda _: tables.intervals(ours, "fullband"),
    "labels_intervals",
    alt="Two rows of intervals of correlation with listeners, by file and by condition, for PESQ, ViSQOL and each network, with a line at the listeners' ceiling.",
    caption="Correlation with the listeners' overall score on P.835, full band, by file and by condition, with 95 % intervals over talkers and conditions. The vertical lines are the ceilings. Published run, real recordings.",
)

# %% [markdown]
# ## Method
#
# The degraded files are filtered, their level differs from the originals', and the wide-band ones are delayed by about
# 275 samples. We therefore align reference and degraded file first, by the lag of their largest cross-correlation.
# Level and spectrum stay unchanged. PESQ is the wide-band version of P.862.2 at 16 kHz; ViSQOL is in speech mode with
# its lattice model. The reference is the same talker's unimpaired full-band file.
#
# The ceiling and the intervals are those of the chapter [What has NISQA learnt?](nisqa_explained.ipynb). `nisqa-mos` is
# left out: it is `nisqa`'s first score plus {glue:text}`mos_offset`, so it would not be a second witness.

# %% tags=["hide-input"]
figures.table(tables.table(ours), "labels_table", "Published run, real recordings: agreement with the listeners' overall score", 3)

# %% [markdown]
# ## Our own small network
#
# `polyglot-pesq` has the layout of NISQA v2.0 with fewer channels and one output. Its input is sampled at 16 kHz, since
# wideband PESQ has an 8 kHz bandwidth. It was trained on synthetic sentences in nine languages by ten voices, with
# noise, MNRU, clipping, band limits and gaps drawn at random, each labelled by PESQ. The voices and languages of its
# validation set are not in its training set. The talkers of P.835 are test material and took no part. `sqa train
# polyglot-pesq` trains it again.
#
# **On human voices** its highest score for any of the 78 recordings, unimpaired ones included, is {glue:text}`own_top`.
# To a network trained on nothing but eSpeak, the roughness of a natural voice is an impairment. Within a talker, its
# scores still fall as the impairment grows. It can therefore compare versions of one recording, but its absolute scores
# of human speech are not meaningful. We do not tune it: these recordings are our only test set.
#
# **With real prompts.** `prompts-pesq` has the same layout. It was trained on the same synthetic sentences and on 1500
# utterances assembled from Asterisk's prompts, recorded by three talkers; a fourth, in Russian, is part of the
# validation set. Its highest score for the recordings is {glue:text}`prompts_top`. `sqa score` uses it where the
# official weights are missing.
#
# ## Listen

# %% tags=["hide-input"]
figures.players([(sound, f"{text}: PESQ {label:.2f}") for sound, text, label in page.examples()], "synthetic")

# %% [markdown]
# ## Demo run (built with this page, synthetic speech)

# %% tags=["hide-input"]
synthetic = [r for r in this_run if r.trial["kind"] == "synthetic"]
figures.shown(
    synthetic,
    lambda found: draw.pesq_scatter(found[0].items()),
    lambda found: found[0].items(),
    "synthetic_scatter",
    "Drawn in the demo profile.",
    alt="Predicted MOS against PESQ for impaired synthetic utterances.",
    caption="Our network's predictions against the PESQ scores it was trained to predict, on synthetic voices and languages that are not in its training set. This run, synthetic speech.",
)

# %% [markdown]
# ## What is missing here
#
# - P.835 combines noise with MNRU. It contains no gaps, codecs or band limits, so these results say nothing about PESQ
#   on them.
# - There are six talkers of one language. The intervals are over talkers and conditions, and they are wide.

# %% tags=["hide-input"]
figures.run_card(ours["record"].tolist() if len(ours) else [], this_run, settings)
