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
recording = ""  # the path of your own sound file

# %% [markdown]
# # Score your own recording
#
# NISQA {cite}`mittag2021` predicts how listeners would rate a recording, from 1 (bad) to 5 (excellent), without a clean
# original.
#
# ```bash
# sqa data fetch nisqa-weights
# sqa score my_recording.wav --report
# sqa explain my_recording.wav
# ```
#
# Without the fetched weights, `sqa score` uses the book's own small network, which predicts MOS only, and says so.

# %% tags=["hide-input"]
from sqa_core import audio, figures, scoring
from sqa_core.models import weights
from sqa_core.studies.score import figures as draw
from sqa_core.studies.score import page, plan, tables
from sqa_core.studies.shared import published_run

figures.style()
settings = plan.Settings(profile=profile, engine=engine, scheduler=scheduler, store=store, recording=recording)
this_run = settings.run(plan.trials(settings))
ours = published_run(plan.SLUG)

# %% [markdown]
# ## What the five numbers mean
#
# | column | name | low when the recording … |
# |---|---|---|
# | `mos` | overall quality | is unpleasant to listen to, for whatever reason |
# | `noi` | noisiness | has background noise, hiss, hum or coding noise |
# | `dis` | discontinuity | has gaps, clicks, or lost packets |
# | `col` | coloration | sounds muffled, thin, distorted or like a telephone |
# | `loud` | loudness | is too quiet or too loud |
# High is good in all five: a `noi` of 4.5 means hardly any noise. The scores predict means over many listeners. The
# network's output can be below 1 or above 5; we do not clip it.
#
# ## At a glance
#
# If you have no recording of your own, here is one to score: a clean synthetic sentence, then one in white noise.

# %% tags=["hide-input"]
sound = audio.load(settings.recording) if settings.recording else page.example()
status = "real" if settings.recording else "synthetic"
figures.player(sound, settings.recording or "A clean sentence, half a second of silence, a sentence in noise at 15 dB", status)

# %% [markdown]
# ## The input report
#
# The network was trained on certain kinds of sound. `sqa score --report` measures the recording and says where it
# differs from them.

# %% tags=["hide-input"]
row, *_ = scoring.score_stream([settings.recording or sound], weights.load(weights.OWN), report=True)
figures.table(tables.report_table(row), "input_report", f"Input report and score by {row['model']}, this run, {status} speech")

# %% [markdown]
# ## What is read, and what a note says
#
# The first bytes of a file decide what it is, and the ending of its name does not: an error page saved as `call.wav` is
# refused, and a recording without an ending is scored. Every file is decoded to its end and checked against what its
# header promises.
#
# - **A file that was cut short is refused**, in every container that states a length or marks its end.
# - **A wrong header is repaired.** If a recorder was killed, if sizes passed 4 GiB or if an encoder wrote to a pipe, all
#   samples are scored, and the column `note` says what was wrong.
# - **Channels are mixed to one**, unless you choose one with `--channel`. The note says so. If the channels cancel, the
#   file is refused.
# - **In a folder**, what is no sound is left out and counted, and links are followed. A file that cannot be scored is a
#   row with its reason in the column `error`; the others are scored.
# - **Rows are written as they come.** After an interruption, `--csv scores.csv --resume` goes on.
#
# Arrays need a scale that is certain: floats in [−1, 1] or 16-bit integers. 64-bit integers, and 32-bit ones that look
# like 16-bit samples, are refused rather than guessed.

# %% [markdown]
# ## Windows over time
#
# One number for a long recording hides its worst moment. `sqa score --windows` cuts it into windows and scores each.
# The default is a window of ten seconds every five, since the official networks were trained on 6 to 12 s. If you need
# one number for the whole recording, report the mean of the windows and say so. Without `--windows`, a file of any
# length is scored in one piece.

# %% tags=["hide-input"]
windows = tables.windows_table(sound)
figures.figure(
    lambda: draw.windows_over_time(windows),
    "windows",
    "Steps: the predicted MOS of each window over time, high on the clean sentence and low on the noisy one.",
    f"Predicted MOS in windows of 1.5 s every 0.5 s. This run, {status} speech.",
)

# %% tags=["hide-input"]
figures.with_data(windows[["start_s", "end_s", "mos"]], "windows")

# %% [markdown]
# ## The rate of the file matters
#
# The released networks process a file at its own sampling rate: window, hop and FFT are set in seconds or samples of
# *that* rate. Some users resample every file to 48 kHz first. The same recording then has two scores. The wide-band
# files of the P.835 reference conditions {cite}`naderi2021` show how much they differ.

# %% tags=["hide-input"]
files, rates = tables.rates(ours)
figures.shown(
    ours["record"].tolist() if len(files) else None,
    lambda _: draw.rates_scatter(files),
    lambda _: files,
    "rates",
    alt="For each network, the score at 48 kHz against the score at the file's own rate of 16 kHz, with the diagonal.",
    caption="The same 72 wide-band recordings at their own 16 kHz and resampled to 48 kHz. Published run, real recordings.",
)

# %% tags=["hide-input"]
figures.table(
    rates,
    "rates_table",
    "Own rate against 48 kHz, and agreement with listeners at each. Published run, real recordings",
    {"mean change": "+2", "largest change": "+2", "PCC by file, own rate": 3, "PCC by file, 48 kHz": 3},
)

# %% [markdown]
# We keep the file's own rate, as in the released code. `--resample 48000` gives the other score.
#
# ## What to trust
#
# - **Trust differences more than absolute scores.** Two versions of one recording can be compared. What a 3.8 means
#   depends on the listening test.
# - **Use speech like the training data.** The official networks were trained on transmitted full-band speech. Music,
#   several talkers at once and enhanced speech are out of domain.
# - **Average over files.** The [agreement with listeners](nisqa_explained.ipynb) is far better for the mean of a
#   condition than for a single file.
# - **Check the level.** The score depends on the volume. The report gives the active speech level; −26 dBov is usual.
# - **Our own networks** were trained on PESQ, not on listeners. Without the official weights, `calls-nisqa` scores all five
#   dimensions; it has heard one human talker, at ten speeds, through most of what a call meets. `prompts-pesq` has heard
#   three, `polyglot-pesq` none: its ranking of human recordings is informative, its absolute scores are not, as the
#   [labels page](labels.ipynb) shows. Fetch the official weights where it matters.

# %% tags=["hide-input"]
figures.run_card(ours["record"].tolist() if len(ours) else [], this_run, settings)
