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
# # JSQA: all tables
#
# The second page of [the chapter on JSQA](jsqa): pairs, embeddings, the course of training, other measures, the network. From
# the published run; each table says what it is over.

# %% tags=["remove-cell"]

from sqa_core import figures
from sqa_core.results import frame
from sqa_core.studies.jsqa import figures as draw
from sqa_core.studies.jsqa import page, plan, tables
from sqa_core.studies.shared import published_run

figures.style()
settings = plan.Settings(profile=profile, engine=engine, scheduler=scheduler, store=store, kinds=kinds, seeds=seeds)
this_run = settings.run(plan.trials(settings))  # stored already: the main page runs them
ours = published_run(plan.SLUG)
run = tables.Run(ours)

# %% tags=["remove-cell"]
figures.glue("crop_s", f"{plan.TUNING.seconds:g}")

# %% [markdown]
# ## Pairs
#
# Distributions that pairs can be drawn from, and the paper's own as it is drawn here.

# %% tags=["hide-input"]
figures.table(page.laws_table(), "laws", "Distributions that pairs can be drawn from")

# %% tags=["hide-input"]
figures.figure(
    draw.law,
    "law",
    alt="Histograms of the SNRs of the two members of a pair, and of the gap between them.",
    caption="The distribution of pairs: the first SNR uniform, the gap uniform between 2 and 6 dB with a random sign. Our choice where the summary says 'uniform'.",
)

# %% tags=["hide-input"]
figures.table(
    run.inside.drop(columns=["data", "levels without one", "0 to 6 dB", "paper, 2 to 6 dB", "draws"], errors="ignore"),
    "inside",
    "Share of pairs called the same, in percent, by the range of gaps; intervals over draws of talkers (listeners) or seeds (stated function)",
    1,
)

# %% [markdown]
# ## Embeddings

# %% tags=["hide-input"]
figures.table(tables.order_table(ours), "order", "Does the distance follow the gap? Intervals over pairs", 2)

# %% tags=["hide-input"]
figures.table(
    tables.embedding_table(ours),
    "embedding_table",
    "The embedding by what was pretrained on; intervals over seeds",
    2,
)

# %% tags=["hide-input"]
figures.table(
    tables.embedding_by_noise(ours),
    "embedding_by_noise",
    "A gap of 6 dB in percent of one of 20 dB, by noise; mean over seeds",
    0,
)

# %% [markdown]
# ## Training
#
# The loss of pretraining on validation pairs, and the PCC of tuning on validation calls, after each epoch.

# %% tags=["hide-input"]
figures.table(tables.epochs_table(ours), "epochs_table", "The course of training", 3)

# %% [markdown]
# ## Other measures

# %% tags=["hide-input"]
starts = tables.table1(ours)
figures.table(
    starts[["start", "test", *tables.table1_more(starts)]],
    "table1_more",
    "MAE, SRCC, and RMSE after the best line from predicted to rated scores; intervals over seeds",
    2,
)

# %% [markdown]
# Networks are trained on crops of {glue:text}`crop_s` s. Tests take each sound whole; the table compares that with the mean over
# windows of the same length.

# %% tags=["hide-input"]
figures.table(
    tables.lengths_table(ours),
    "lengths",
    "PCC of whole sounds and of the mean over windows; intervals of the difference over seeds",
    {"whole": 2, "windows": 2, "windows − whole": "+2"},
)

# %% [markdown]
# ## The network
#
# The summary gives 16 layers, a kernel of 15, 512 numbers and 26 million parameters. Few regular channel configurations meet all
# of these:

# %% tags=["hide-input"]
figures.table(
    tables.plans_table(),
    "plans",
    "Regular channel configurations of 16 layers",
    {"parameters": 0, "against 26 M, %": 1},
)

# %% [markdown]
# ## The run

# %% tags=["hide-input"]
figures.run_card(frame.records(ours, "arms"), this_run, settings)
