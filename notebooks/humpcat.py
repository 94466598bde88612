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
    # %pip install -q "sqa-core[prosody] @ git+https://github.com/sqa-book/sqa-book@v0.2.0"
    pass

# %% tags=["parameters", "remove-cell"]
profile = "demo"
engine = "local"
scheduler = ""
store = ""
kinds = ""
seeds = ""
targets = ""
width = 64
epochs = 0

# %% [markdown]
# # Does emotion recognition trained on English travel?
#
# *Leveraging Cross-Attention Transformer and Multi-Feature Fusion for Cross-Linguistic Speech Emotion Recognition (HuMP-CAT),
# {cite}`humpcat2025`. Only a summary of the paper is known to us.*

# %% tags=["remove-cell"]

from sqa_core import figures
from sqa_core.results import claims as verdicts
from sqa_core.results import frame, published
from sqa_core.studies.humpcat import claims, page, plan, tables, tables_controls
from sqa_core.studies.humpcat import figures as draw
from sqa_core.studies.shared import published_run

figures.style()
settings = plan.Settings(
    profile=profile, engine=engine, scheduler=scheduler, store=store, kinds=kinds, seeds=seeds, targets=targets, width=width, epochs=epochs
)
this_run = settings.run(plan.trials(settings))
ours = published_run(plan.SLUG)
judged = claims.findings(ours)
records = frame.records(ours, "transfer")

# %% tags=["remove-cell"]
for name, text in page.glue_values(ours).items():
    figures.glue(name, text)

# %% tags=["hide-input"]
figures.answer(**page.first_screen(ours, judged))

# %% tags=["hide-input"]
accuracy = tables.accuracy_table(ours)
figures.shown(
    records,
    lambda _: draw.targets(accuracy),
    lambda _: accuracy,
    "targets",
    alt="Accuracy on each target: after training on the source and a quarter of the target, on that quarter only, and on the source only; stars show what the paper prints.",
    caption="Accuracy on speakers that were not tuned on, mean over draws of speakers with 95 % intervals. Four classes, or those of them that a target has; real recordings. The stars are the paper's, with HuBERT and IEMOCAP.",
)

# %% [markdown]
# ## How this rerun differs from the paper

# %% tags=["hide-input"]
figures.table(
    page.deviations_table(ours), "deviations", "Differences from the paper", fold="Data, features, network and training, one by one"
)

# %% tags=["hide-input"]
figures.table(
    tables.corpora_table(),
    "corpora",
    "Sources and targets in four classes, as their owners distribute them. The paper names two of its seven targets; that another corpus in one of its five languages is among them is a guess. Corpora in other languages are targets of ours",
    fold="Sources and targets",
)

# %% [markdown]
# ## The claims, tested
#
# Each row quotes the summary of the paper. The bar shows the number that decides, with its 95 % interval; the shaded range
# meets the criterion. A fold is one target and one draw of its speakers.

# %% tags=["hide-input"]
ledger, quoted = published.claims(plan.SLUG), published.read(plan.SLUG, "quotations")
figures.forest(verdicts.judged(ledger, quoted, our_run=judged), slug=plan.SLUG)

# %% [markdown]
# ## Targets
#
# A network is trained on the source, then on {glue:text}`share` of the target's files, drawn by speaker: speakers are taken in
# random order, each with all of their files, until the share is reached. The test set contains only speakers unseen in tuning.
# Intervals of one target are over {glue:text}`draws` draws of speakers and initial weights; those of a difference over all
# targets are over folds, that is targets and draws. The network keeps its last epoch, so no file is needed to
# choose one. *Source + target* is this transfer; *target only* starts from random weights instead; *source only* is not
# tuned.

# %% tags=["hide-input"]
figures.table(
    tables.with_printed(accuracy).drop(columns=["language", "most frequent class, %", "tuned files", "draws"], errors="ignore"),
    "accuracy",
    "Accuracy, unweighted average recall (UAR) and macro F1 by target; intervals over draws of speakers",
    {"classes": 0},
)

# %% [markdown]
# Choose a target, a share, the start and the streams, and read the recall of each emotion and what was answered instead, on the
# speakers who are never tuned on; numbers are means over the draws in brackets. The line marks the share of the most frequent
# emotion: always answering that emotion scores as much.

# %% tags=["hide-input"]
groups, most_frequent, crossed = page.chooser(ours)
figures.bars(
    groups, most_frequent, "chooser", "target, share and streams", "%", "share of the most frequent emotion", crossed
) if groups else figures.absent()

# %% [markdown]
# ## Does the source help, and at what share does it stop helping?
#
# At {glue:text}`share` the source adds {glue:text}`gap_source` to training on the target only, tested on all speakers
# unseen in tuning. The figure needs one test set for all shares: the third of the speakers who are never tuned on. There
# the gain at {glue:text}`share` is {glue:text}`gap_source_fixed`. {glue:text}`turning` "All" are all files of the other two
# thirds of the speakers.
#
# A small share drawn by speaker can lack whole classes, in URDU most often, since most of its speakers appear in one emotion
# only. Without the source, a network cannot answer what it has never seen, and the table counts such classes.

# %% tags=["hide-input"]
by_share = tables.shares_table(ours)
figures.shown(
    records,
    lambda _: draw.shares(by_share),
    lambda _: by_share,
    "shares",
    alt="Accuracy over the share of the target that is tuned on, a panel for each target, source + target and target only.",
    caption="Accuracy by share of the target, source + target and target only, on the same test files at every share; 95 % intervals over draws of speakers. Real recordings.",
)

# %% tags=["hide-input"]
figures.table(
    by_share,
    "share-curves",
    "Accuracy by the share of the target's files; 100 % are all files of the speakers who may be tuned on. Intervals over draws of speakers",
    fold="The numbers",
)

# %% tags=["hide-input"]
related = tables.languages_table(ours)
figures.table(
    related,
    "languages",
    f"Gain by relation to English; {len(related)} targets are few to assess the effect of distance",
    fold="Gain by relation to English",
)

# %% [markdown]
# How much of the gain is knowledge of emotions? Two controls tell: the target's emotion labels are permuted, so that the labels
# learnt from the source no longer match, or the source's labels are shuffled over its files, so that the network learns from its
# speech but nothing about its emotions. {glue:text}`labels` Permuted labels leave what separates the emotions intact, and tuning
# only has to rename it; shuffled labels do not.
#
# Targets differ in size and classes, too. {glue:text}`size_matched`

# %% tags=["hide-input"]
figures.table(
    tables_controls.labels_table(ours),
    "labels",
    "Other labels, on the third of the speakers who are never tuned on. Synthetic voices: English to German and Italian, an encoder with random weights. Intervals over folds",
    fold="With other labels",
)

# %% tags=["hide-input"]
figures.table(
    tables_controls.size_table(ours),
    "size-matched",
    f"All files of each target, and {plan.EACH} drawn at random of each of {', '.join(plan.COMMON)}; intervals over draws",
    fold="Size-matched targets",
)

# %% [markdown]
# ## Is it the fusion?
#
# Each row changes one thing and is compared with the reference network, the one nearest to the paper's, on the same folds.
# Cross-attention changes accuracy by {glue:text}`gap_concatenation` compared with concatenation of the same size, and two
# stages by {glue:text}`gap_one_stage` compared with one. The encoder adds {glue:text}`gap_without_encoder`, MFCCs add
# {glue:text}`gap_without_MFCCs` and prosody {glue:text}`gap_without_prosody`. These numbers are of networks trained
# {glue:text}`begun`; their intervals are over folds.

# %% tags=["hide-input"]
changed = tables.variants_table(ours)
figures.shown(
    records if len(changed) else None,
    lambda _: draw.variants(changed),
    lambda _: changed,
    "variants",
    alt="Forest plot: accuracy of each variant minus that of the reference network, with intervals.",
    caption="Accuracy of each variant minus that of the reference network, paired over targets and draws of speakers, with 95 % intervals over these folds. Real recordings.",
)

# %% tags=["hide-input"]
figures.table(changed, "variants-table", "Variants; intervals over folds", {"change, points": "+1", "parameters": 0}, fold="The numbers")

# %% tags=["hide-input"]
layers = tables.layers_table(ours)
figures.shown(
    records if len(layers) else None,
    lambda _: draw.layers(layers),
    lambda _: layers,
    "layers",
    otherwise="Accuracy by pair of layers: not available here.",
    alt="Accuracy with each pair of the encoder's layers as a map; single layers on the diagonal.",
    caption="Accuracy with each pair of the encoder's layers, numbered as in HuBERT's 12; single layers on the diagonal. Trained on the target only, mean over targets, one draw of speakers. Real recordings.",
)

# %% [markdown]
# ## What can attention to one vector do?
#
# DisVoice gives one vector of 103 numbers for a whole file. Repeated at each step, it is a set of identical keys, and a softmax over
# identical keys is uniform: whatever its weights, every step of the MFCCs receives the same thing. Conversely,
# as queries it is identical at each step, and all of them receive one weighted mean of the MFCCs. So the first stage cannot relate a moment of
# one stream to a moment of the other. The measured normalised entropy of MFCCs' attention to prosody is {glue:text}`even_prosody`, 1
# being uniform. With F0, level and voicing over time instead of 103 numbers it is {glue:text}`even_contours`, and accuracy changes by
# {glue:text}`gap_contours`. If both are close to 1, the single vector cannot be the only cause.

# %% tags=["hide-input"]
figures.table(
    tables.attention_table(ours),
    "attention",
    "Normalised entropy of attention, of the mean over heads in the first layer; 1 is uniform. Heads that look at different places can have an even mean",
    4,
    fold="By direction",
)

# %% tags=["hide-input"]
by_epoch = tables.epochs_table(ours)
figures.shown(
    records if len(by_epoch) else None,
    lambda _: draw.epochs(by_epoch),
    lambda _: by_epoch,
    "entropy",
    alt=f"Normalised entropy of each direction of attention, and the loss, over the epochs of {page.stages(by_epoch)}.",
    caption=f"Normalised entropy of attention (mean over heads, first layer; the axis does not begin at 0) and AM-Softmax loss over the epochs of {page.stages(by_epoch)}. Real recordings.",
)

# %% [markdown]
# By the summary of the paper the method breaks where attention is uniform, where answers lean towards neutral, and where the
# source hurts. Each is tested below.

# %% tags=["hide-input"]
figures.table(
    claims.broken(ours),
    "broken",
    "The conditions under which the method breaks, by the summary of the paper; intervals over folds",
    2,
    fold="The conditions, tested",
)

# %% [markdown]
# ## Where it looks
#
# An angry sentence by a speaker whose recordings were not used for tuning. Each map shows one direction of attention over time;
# it does not vary with frequency. Orange marks moments that receive more attention than an even spread would give, violet less.

# %% tags=["hide-input"]
page.attention_chooser(ours)

# %% [markdown]
# The same for one sentence from each target. Only EmoDB's recordings may be redistributed, so the others have no sound.

# %% tags=["hide-input"]
looked = {name: draw.attention(**parts) for name, parts in page.attended(ours).items()}
figures.gallery(looked, "attention-targets", "target", "Spectrogram with F0, and attention over time by direction")

# %% [markdown]
# ## Hear it
#
# A synthetic voice acts out the four emotions by documented rules of pitch, rate, level and brightness. It shows what the
# demo learns and tells us nothing about how people express emotion.

# %% tags=["hide-input"]
figures.guess(page.synthetic_examples(), "synthetic")

# %% [markdown]
# One emotion, anger, in each language, and where the demo's network for German looks. Its encoder has random weights, so the
# maps show the method and not what emotion does to attention.

# %% tags=["hide-input"]
figures.folded(page.looked_at())

# %% [markdown]
# In a running kernel, the next cell shows sliders: change the voice's pitch, rate and level, listen, and see the cosine of the
# sound with each emotion, by the demo's network; the greatest is its answer.

# %% tags=["hide-input", "remove-output"]
figures.live_changes(page.changed_voice, page.CHANGES, page.answer, (-1.0, 1.0))

# %% [markdown]
# ## Do speakers have to be kept apart?
#
# If the tuning files are drawn at random, the test speakers are also heard in tuning. Accuracy changes by
# {glue:text}`gap_mixed`. In URDU most speakers have one emotion only, so a network that knows the speaker knows the
# emotion.

# %% tags=["hide-input"]
figures.table(
    tables.speakers_table(ours),
    "speakers",
    "Speakers apart and mixed; intervals over draws",
    {"mixed − apart, points": "+1"},
    fold="By target",
)

# %% tags=["hide-input"]
figures.table(
    tables.neutral_table(ours),
    "neutral",
    'How much more often "neutral" is answered than it occurs (negative: less often); intervals over draws of speakers. AESDD has no neutral file',
    {"neutral files, %": 0},
    fold='How often "neutral" is answered',
)

# %% [markdown]
# ## The source
#
# The paper tests each source speaker with a network trained on all the others. The published run has tested
# {glue:text}`source_said`. What the corpus holds, and its known problems, are in
# [the cards of the chapter on speech models](speech_models). The published run: {glue:text}`grid`, on cached features.

# %% tags=["hide-input"]
left_out = tables.source_table(ours)
figures.table(left_out, "source", "The source, each speaker left out once", fold="By speaker") if len(left_out) else None

# %% [markdown]
# ## The network

# %% tags=["hide-input"]
figures.table(tables.parts_table(), "parts", "Parameters at the paper's width of 252", 0, fold="Parameters of each part")

# %% [markdown]
# ## Contradictions in what is known of the paper

# %% tags=["hide-input"]
figures.table(
    published.contradictions(plan.SLUG),
    "contradictions",
    "Statements that contradict each other, with the arithmetic and our choice",
    fold="Statements, arithmetic and choices",
)

# %% [markdown]
# ## What is missing here
#
# - {glue:text}`absent`
# - A Chinese and a Spanish target, and a second English one.
# - The source for the variants from prosody over time on, and more than one draw of speakers at width 252. They are planned, and
#   the figures show them when they are computed.
# - Leaving speakers out of the source for more than one draw of initial weights.
# - Size-matched targets still differ in their number of speakers, and none is Chinese: whether the paper's low accuracy there
#   is distance or class mix stays open.
# - The network at its full width of 252 and 50 epochs: `sqa run humpcat --profile paper -p width=252 -p epochs=50`.
#
# ## Demo run (built with this page, synthetic speech)
#
# English to German and Italian with an encoder that has random weights: this tests the code and says nothing about emotion.

# %% tags=["hide-input"]
figures.run_card(records, this_run, settings)
