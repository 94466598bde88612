"""One epoch of training by the original code (PyPI `nisqa`) on a folder of WAV files: `peer_nisqa_training.py FOLDER CHECKPOINT BATCH`.

Its dataset, network, bias loss and optimiser, with the checkpoint's settings, from random weights. Its own loop needs a folder of labels
and writes results as it goes, so the loop is rebuilt here step by step. Prints seconds of the best of five epochs.
"""

import contextlib
import io
import json
import sys
import time
from pathlib import Path

with contextlib.redirect_stdout(io.StringIO()):
    import numpy as np
    import pandas as pd
    import torch
    from nisqa import NISQA_lib as lib

torch.set_num_threads(2)
torch.manual_seed(0)
folder, checkpoint, batch = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
args = torch.load(checkpoint, map_location="cpu", weights_only=False)["args"]
files = sorted(p.name for p in folder.glob("*.wav"))
rng = np.random.default_rng(0)
labels = {name: rng.uniform(1, 5, len(files)) for name in ("mos", "noi", "dis", "col", "loud")}
df = pd.DataFrame({"filename": files, "db": "one"} | labels)
keys = ("ms_n_fft", "ms_hop_length", "ms_win_length", "ms_n_mels", "ms_sr", "ms_fmax", "ms_channel")
dataset = lib.SpeechQualityDataset(
    df,
    data_dir=str(folder),
    seg_length=args["ms_seg_length"],
    seg_hop_length=args["ms_seg_hop_length"],
    max_length=args["ms_max_segments"],
    dim=True,
    **{k: args.get(k) for k in keys},
)
wanted = lib.NISQA_DIM.__init__.__code__.co_varnames
model = lib.NISQA_DIM(**{k: v for k, v in args.items() if k in wanted and k != "self"})
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
losses = [lib.biasLoss(df.db, anchor_db=None, mapping="first_order", min_r=None, do_print=False) for _ in range(5)]
loader = torch.utils.data.DataLoader(dataset, batch_size=batch, shuffle=True)
taken = []
for _ in range(5):
    start = time.perf_counter()
    model.train()
    for x, y, (index, n_wins) in loader:
        predicted = model(x, n_wins)
        loss = sum(of.get_loss(y[:, i].view(-1, 1), predicted[:, i].view(-1, 1), index) for i, of in enumerate(losses))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    taken.append(time.perf_counter() - start)
print(json.dumps({"seconds": min(taken), "files": len(files), "parameters": sum(p.numel() for p in model.parameters())}))
