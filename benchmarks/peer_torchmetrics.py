"""torchmetrics' NISQA on a folder of WAV files: `peer_torchmetrics.py FOLDER`. It looks for the weights in ~/.torchmetrics/NISQA."""

import json
import sys
import time
from pathlib import Path

import soundfile
import torch
from torchmetrics.functional.audio.nisqa import non_intrusive_speech_quality_assessment as nisqa

torch.set_num_threads(2)
files = sorted(Path(sys.argv[1]).glob("*.wav"))
start = time.perf_counter()
scores = []
for file in files:
    samples, rate = soundfile.read(file, dtype="float32")
    scores.append(float(nisqa(torch.from_numpy(samples), rate)[0]))
print(json.dumps({"seconds": time.perf_counter() - start, "files": len(files), "mos": sum(scores) / len(scores)}))
