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
kinds = ""
seeds = ""

# %% [markdown]
# # Language barriers: all cells and tables
#
# The second page of [the chapter on language barriers](language_barriers): every cell of the paper's grid, data,
# training, mappings. From the published run; each table says on which voices.

# %% tags=["remove-cell"]

from sqa_core import figures
from sqa_core.results import published
from sqa_core.studies.language_barriers import figures as draw
from sqa_core.studies.language_barriers import page, plan, tables
from sqa_core.studies.shared import published_run

figures.style()
settings = plan.Settings(profile=profile, engine=engine, scheduler=scheduler, store=store, kinds=kinds, seeds=seeds)
this_run = settings.run(plan.trials(settings))  # stored already: the main page runs them
ours = published_run(plan.SLUG)
run = page.Run(ours)

# %% [markdown]
# ## Data
#
# Item k has the same impairments in every language: their kinds, strengths and random draws follow from k alone.
# Synthetic voices say the same sentences in every language too. Training, validation and tests share no sentence of the
# synthetic voices and no file of the real ones; tests have recorded noises and measured rooms of their own.

# %% tags=["hide-input"]
figures.table(tables.data_table(run.scores), "tested", "What was tested", 0)

# %% [markdown]
# ## Training
#
# NISQA by Adam with the paper's rate, AST by Adam with a rate that rises over the first epoch; the epoch with the least
# validation RMSE of MOS is kept.

# %% tags=["hide-input"]
figures.table(
    tables.training_table(ours), "trained", "How our networks were trained", {"learning rate": 4, "validation RMSE": 2, "minutes": 0}
)

# %% tags=["hide-input"]
trained = [r for r in run.records if r.trial.get("training")]
figures.shown(
    trained,
    draw.learning_curves,
    lambda _: tables.curves_table(ours),
    "learning_curves",
    alt="Training loss and validation error by epoch, a line for each network and seed.",
    caption="Training loss, and RMSE of MOS on validation calls, by epoch. Published run.",
)

# %% [markdown]
# ## Trained otherwise
#
# One training each, with the first seed, beside the same network with the same seed trained as usual: what a taught start
# (claim C9), a network for each dimension (C10), overall scores among the labels (C11), and the spectrogram that the paper
# states for both networks change. The intervals leave out chance in training, so no verdict hangs on one row.

# %% tags=["hide-input"]
figures.table(
    tables.variants_table(run.varied, "synthetic"),
    "variants",
    "PCC with a different training, mean over languages, synthetic voices; intervals over items",
    2,
)

# %% [markdown]
# ## The paper's grid, 2 networks × 6 languages × 5 dimensions

# %% tags=["hide-input"]
figures.table(
    tables.grid_table(run.scores, run.synthetic, "synthetic"),
    "grid_synthetic",
    "On synthetic voices, with the paper's known cells beside; intervals over items",
    2,
)

# %% tags=["hide-input"]
figures.table(tables.grid_table(run.scores, run.real, "real"), "grid_real", "On real voices; intervals over items", 2)

# %% [markdown]
# ## Spread over languages

# %% tags=["hide-input"]
figures.table(
    tables.spread_table(run.synthetic, tables.tested_languages(run.synthetic)),
    "spread_table",
    "Mean, range and SD of PCC over the five test languages, synthetic voices",
    2,
)

# %% [markdown]
# ## Mappings
#
# A mapping per language removes the offsets between languages; a single mapping for all languages keeps them. P.1401 maps
# each data set by itself, which hides the difference.

# %% tags=["hide-input"]
figures.table(tables.mapping_table(run.scores, "synthetic"), "mapping", "RMSE of MOS under each mapping, synthetic voices", 2)

# %% [markdown]
# ## By kind of impairment

# %% tags=["hide-input"]
kinds = tables.kinds_table(run.scores, "real")
figures.table(kinds, "kinds", "PCC of MOS with PESQ, real voices, calls with one kind alone", {c: 0 if c == "files" else 2 for c in kinds})

# %% [markdown]
# ## One voice left out

# %% tags=["hide-input"]
figures.table(tables.voices_table(run.scores), "voices", "PCC of MOS with each synthetic voice left out", 2)

# %% [markdown]
# ## Languages and talkers
#
# A real voice has a language, a talker and a recording at once. Where the mean errors of talkers of one corpus lie as far
# apart as those of corpora, a gap between two languages with one talker each may be a gap between talkers.

# %% tags=["hide-input"]
figures.table(tables.talkers_table(run.scores), "talkers", "Errors of MOS on real voices: corpora, each in one language, and talkers", 2)

# %% [markdown]
# ## Two sources of labels

# %% tags=["hide-input"]
figures.table(tables.teachers_table(ours), "teachers", "PESQ and ViSQOL's audio mode on the same calls", 2)

# %% [markdown]
# ## Contradictions in what is known of the paper

# %% tags=["hide-input"]
figures.table(published.contradictions(plan.SLUG), "contradictions", "Statements that contradict each other, and our choice")

# %% tags=["hide-input"]
figures.run_card(run.records, this_run, settings)
