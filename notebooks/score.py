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
# NISQA {cite}`mittag2021` predicts how listeners would rate a recording, from 1 (bad) to 5 (excellent), without a clean original.
#
# ```bash
# sqa data fetch nisqa-weights
# sqa score my_recording.wav --report
# sqa explain my_recording.wav
# ```
#
# Without the fetched weights, the book's own small network scores. It gives MOS alone, and `sqa score` says which network it was.

# %% tags=["remove-input"]
from sqa_core import audio, figures, scoring
from sqa_core.models import weights
from sqa_core.studies import score as study
from sqa_core.studies.common import published_run

figures.style()
settings = study.Settings(profile=profile, engine=engine, scheduler=scheduler, store=store, recording=recording)
this_run = settings.run(study.trials(settings))
ours = published_run(study.SLUG)
figures.table_setup()

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
#
# High is good in all five: a `noi` of 4.5 means hardly any noise. The scores are predictions of means over many listeners. The
# network can go below 1 or above 5, and nothing here clips it.
#
# ## At a glance
#
# Here is a recording to score where there is none of your own: a clean synthetic sentence, then one in white noise.

# %% tags=["remove-input"]
sound = audio.load(settings.recording) if settings.recording else study.example()
status = "real" if settings.recording else "synthetic"
figures.player(sound, settings.recording or "A clean sentence, half a second of silence, a sentence in noise at 15 dB", status)

# %% [markdown]
# ## The input report
#
# The network was trained on certain sounds. `sqa score --report` measures the recording, and says where it differs from those.

# %% tags=["remove-input"]
row, *_ = scoring.score_stream([sound.waveform], weights.load(weights.OWN), sample_rate=sound.sample_rate, report=True)
figures.table(study.report_table(row), "input_report", f"Input report and score by {row['model']}, this run, {status} speech")

# %% [markdown]
# ## Windows over time
#
# A long recording hides its worst moment in one number. `sqa score --windows` cuts it into windows and scores each. The windows
# are ten seconds every five unless you say otherwise, since the official networks were trained on 6 to 12 s. If you need one number
# for the whole, take the mean of the windows and say so. A whole file of any length is also scored in one piece.

# %% tags=["remove-input"] mystnb={"image": {"alt": "Predicted MOS of windows of 1.5 s over time: higher in the clean sentence, lower in the noisy one."}, "figure": {"caption": "Predicted MOS in windows of 1.5 s, by our own network. This run, synthetic speech unless a recording is given.", "name": "fig-windows"}}
windows = study.windows_table(sound)
figures.windows_over_time(windows)
# %% tags=["remove-input"]
figures.with_data(windows[["start_s", "end_s", "mos"]], "windows")

# %% [markdown]
# ## The rate of the file matters
#
# The released networks hear a file at its own rate: the window, the hop and the FFT are set in seconds or in samples of *that* rate.
# Others bring every file to 48 kHz first. The same recording then has two scores. The wide-band files of the P.835 reference
# conditions {cite}`naderi2021` show how far apart these are.

# %% tags=["remove-input"] mystnb={"image": {"alt": "For each network, the score at 48 kHz against the score at the file's own rate of 16 kHz, with the diagonal."}, "figure": {"caption": "The same 72 wide-band recordings at their own 16 kHz and brought to 48 kHz. Published run, real recordings.", "name": "fig-rates"}}
files, rates = study.rates(ours)
figures.rates_scatter(files) if len(files) else figures.absent("The published run is not here.")

# %% tags=["remove-input"]
figures.provenance(ours, "rates", files if len(files) else None)

# %% tags=["remove-input"]
figures.table(rates, "rates_table", "Own rate against 48 kHz, and agreement with listeners at each. Published run, real recordings")

# %% [markdown]
# We keep the file's own rate, since that is how the networks were released. `--resample 48000` gives the other score.
#
# ## What to trust
#
# - **Differences before levels.** Two versions of one recording can be compared. A 3.8 by itself depends on the listeners' test.
# - **Speech like the training's.** The official networks know transmitted speech in full band. Music, several talkers at once or
#   enhanced speech are outside.
# - **Not one file.** The [agreement with listeners](nisqa_explained.ipynb) is far better for the mean of a condition than for a
#   single file.
# - **Level counts.** The score moves with the volume. The report names the active level; −26 dBov is usual.
# - **Our own networks** are small, and learnt from a machine's judgement. `prompts-pesq` has heard four real talkers, `polyglot-pesq`
#   none: on people the order of the latter's scores means something and their level nothing, as the [labels page](labels.ipynb)
#   shows. Fetch the official weights where it matters.

# %% tags=["remove-input"]
figures.run_card(ours, this_run, settings)
