"""The part of NISQA after its CNN for sounds of hours: the same numbers as `Nisqa.head`, in little memory.

Time dependency and pooling see the whole sound. What grows with its length is held at the smallest width there is, and everything
wider is computed for `STEPS` segments at a time.
"""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from .nisqa import AttentionBlock, AttentionOverTime, AttentionPool, LastStepPool, LstmOverTime, Nisqa

STEPS = 2048


@torch.inference_mode()
def head_of_blocks(model: Nisqa, features: Iterable[Float[Tensor, "segments features"]]) -> Float[Tensor, "1 outputs"]:
    """Scores from the CNN's outputs of one sound that come in blocks.

    Parameters
    ----------
    model : in evaluation mode.
    features : consecutive blocks of any number of segments, on the device of the model; at least one.

    Returns
    -------
    (1, outputs), as `Nisqa.head` gives them.
    """
    if isinstance(model.time_dependency, AttentionOverTime):
        over_time = model.time_dependency
        x = torch.cat([over_time.norm1(over_time.linear(block)) for block in features])
        for layer in over_time.layers:
            _attend_(layer, x)  # type: ignore[arg-type]
        return torch.stack([_pooled(pool, x) for pool in model.pool], dim=1)  # type: ignore[arg-type]
    assert isinstance(model.time_dependency, LstmOverTime)
    x = torch.cat(list(features))
    ends = _ends(model.time_dependency.lstm, x)
    return torch.cat([_linear_of(pool)(ends) for pool in model.pool], dim=1)


def _attend_(block: AttentionBlock, x: Float[Tensor, "segments width"]) -> None:
    """In place. Keys and values of all segments are held, queries of a few; a query's own row is not needed after it."""
    attention, width = block.self_attn, x.shape[1]
    weight, bias = attention.in_proj_weight, attention.in_proj_bias
    k, v = (F.linear(x, weight[i * width : (i + 1) * width], bias[i * width : (i + 1) * width])[None, None] for i in (1, 2))
    for part in x.split(STEPS):
        q = F.linear(part, weight[:width], bias[:width])[None, None]
        mixed = attention.out_proj(F.scaled_dot_product_attention(q, k, v)[0, 0])
        y = block.norm1(part + mixed)
        part.copy_(block.norm2(y + block.linear2(F.relu(block.linear1(y)))))


def _pooled(pool: AttentionPool, x: Float[Tensor, "segments width"]) -> Float[Tensor, "1"]:
    weights = torch.cat([pool.linear2(F.relu(pool.linear1(part))) for part in x.split(STEPS)]).squeeze(1).softmax(dim=0)
    return pool.linear3(weights @ x)


def _ends(lstm: nn.LSTM, x: Float[Tensor, "segments features"]) -> Float[Tensor, "1 twice_width"]:
    """Last step of the forward direction and first of the backward one, which is the last that it computes."""
    ends = []
    for suffix, parts in (("", x.split(STEPS)), ("_reverse", x.flip(0).split(STEPS))):
        one_way = nn.LSTM(lstm.input_size, lstm.hidden_size, batch_first=True).to(x.device)
        one_way.load_state_dict({name: getattr(lstm, name + suffix) for name in one_way.state_dict()})
        state = None
        for part in parts:
            _, state = one_way(part[None], state)
        assert state is not None
        ends.append(state[0][0])
    return torch.cat(ends, dim=1)


def _linear_of(pool: nn.Module) -> nn.Linear:
    assert isinstance(pool, LastStepPool)
    return pool.linear
