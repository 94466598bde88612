"""captum 0.9.0: where a max pool follows a ReLU directly, DeepLIFT breaks completeness. A copy between them mends it."""

import torch
from captum.attr import DeepLift
from torch.nn import Conv2d, Flatten, Identity, Linear, MaxPool2d, ReLU, Sequential

torch.manual_seed(0)
x, x0 = torch.randn(4, 1, 8, 8), torch.randn(4, 1, 8, 8)
conv, linear = Conv2d(1, 3, 3), Linear(27, 1)
copy = Identity()
copy.forward = torch.clone
for between in (Identity(), copy):
    net = Sequential(conv, ReLU(), between, MaxPool2d(2), Flatten(), linear)
    explained = DeepLift(net).attribute(x, x0).sum(dim=(1, 2, 3))
    print((explained - (net(x) - net(x0))[:, 0]).abs().max().item())
