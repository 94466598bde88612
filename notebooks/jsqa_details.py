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
size = "book"

# %% [markdown]
# # JSQA: all tables
#
# The second page of [the chapter on JSQA](jsqa): pairs, embeddings, the course of training, other measures, the network. Everything
# is from the published run; each caption says what is averaged.

# %% tags=["remove-cell"]

from sqa_core import figures
from sqa_core.results import frame
from sqa_core.studies.jsqa import figures as draw
from sqa_core.studies.jsqa import page, plan, tables
from sqa_core.studies.shared import published_run

figures.style()
settings = plan.Settings(profile=profile, engine=engine, scheduler=scheduler, store=store, kinds=kinds, seeds=seeds, size=size)
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
    "Share of pairs called the same, in percent, by the range of gaps, and how well SVMs on the stated function answer for fresh pairs; intervals over draws of talkers (listeners) or seeds (stated function)",
    {"threshold, dB": 1, "2 to 6 dB": 1, "0 to 3 dB": 1, "0 to 12 dB": 1, "10 to 20 dB": 1}
    | {f"{what}, fresh pairs": 2 for what, _ in tables.FRESH},
)

# %% [markdown]
# ## The SVM
#
# The maps show what an SVM answers for each level or SNR and each gap, the curve how its probabilities compare with what
# listeners said.

# %% tags=["hide-input"]
surfaces = tables.surfaces_table(ours)
figures.shown(
    frame.records(ours, "listeners_surface"),
    lambda _: draw.surfaces(surfaces),
    lambda _: surfaces,
    "surfaces",
    alt="Two maps of the SVM's decision function over the gap: by level for listeners' answers, by SNR for the stated function; a line divides the same from different.",
    caption="Decision surfaces of the SVM: violet is called the same, orange different, and the black line is the boundary. The paper's gaps are between the dashed lines. Left: listeners' answers on noises, real; right: the stated function with its midpoint at 3 dB, synthetic answers.",
)

# %% tags=["hide-input"]
calibration = tables.calibration_table(ours)
figures.shown(
    frame.records(ours, "judgements"),
    lambda _: draw.calibration(calibration),
    lambda _: calibration,
    "calibration",
    alt="Share of pairs called different over the SVM's probability of different, with the diagonal of perfect calibration.",
    caption="Calibration of the SVM on kinds of sound that it was not trained on, all kinds together; 95 % intervals over talkers. Real listeners.",
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
    "By noise: values at a gap of 6 dB as a percentage of those at 20 dB, and their ratio, 1 for a distance in proportion to PESQ; means over seeds",
    {"distance / PESQ": 2},
    fold="By noise",
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

# %% tags=["hide-input"]
figures.table(
    tables.gains_table(ours),
    "gains",
    "Changes against scratch in percent, beside those that the paper prints for the NISQA corpus; intervals over pairs of seeds. None where a measure from scratch is near 0",
    1,
)

# %% tags=["hide-input"]
figures.table(
    tables.impairments_table(ours),
    "impairments",
    f"Gain in PCC with PESQ from pretraining without a head, by impairment, real voices; intervals over seeds, all on the same calls, so they say nothing about other calls. Impairments of fewer than {tables.MIN_CALLS} calls are left out",
    {"calls": 0, "PCC from scratch": 2, "gain in PCC": "+2"},
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
