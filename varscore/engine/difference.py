"""Reference and differences through the transformer together.

Beside the reference activation x goes d = alternative − x, for any number of alternatives at once. Linear layers act on
d alone; the others have rules that never subtract two large, nearly equal numbers. So a score keeps the digits that the
difference of two predictions loses, and the reference is computed once for all its alternatives.

Shapes: N bins, D channels, B alternatives.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from varscore.engine.attention import Blocks, DifferenceAttention, Spans
from varscore.engine.precision import Products
from varscore.engine.rules import layer_norm, relu_change
from varscore.network.enformer import Enformer, TransformerLayer, relative_position_features


class DifferenceTransformer:
    """From the trunk's output for a reference and B alternatives to the transformer's, in the predicted bins.

    Args:
        network: its weights are used as they are.
        products: precision of the matrix products.
        blocks: how much to work on at a time; by default what suits the device.
    """

    def __init__(self, network: Enformer, products: Products, blocks: Blocks | None = None) -> None:
        self.network, self.products = network, products
        config = network.config
        weight = network.final.conv.weight
        self.blocks = blocks or Blocks.on(weight.device)
        features = relative_position_features(config.bins, config.value_size, weight.dtype).to(weight.device)
        self.layers = [layer for layer in network.layers if isinstance(layer, TransformerLayer)]
        self.attention = [DifferenceAttention(layer, features, products, self.blocks) for layer in self.layers]

    def __call__(
        self, x: Tensor, d: Tensor, spans: Spans | None = None, *, careful: bool = False
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The reference and the changes after all layers.

        Args:
            x: the trunk's output for the reference [N, D].
            d: the alternatives' minus it [B, N, D]; overwritten.
            spans: where d is not zero, if that is in few bins: the first layer is cheap then.
            careful: compute attention's change by subtraction in rows where the fast formula loses its digits.

        Returns:
            x [bins_out, D], d [B, bins_out, D], and whether any row lost its digits (a bool tensor; then call again,
            carefully).
        """
        lost = torch.zeros((), dtype=torch.bool, device=x.device)
        crop = self.network.config.crop
        for index, (layer, attention) in enumerate(zip(self.layers, self.attention, strict=True)):
            last = index + 1 == len(self.layers)
            # of the last layer, only the bins that are predicted are needed
            rows = slice(crop, x.shape[0] - crop) if last else slice(0, x.shape[0])
            change, lost_here = attention(x, d, rows, None if index else spans, careful=careful)
            lost |= lost_here
            x, d = x[rows] + change, d[:, rows]
            self._feed_forward(layer, x, d)
        return x, d, lost

    def _feed_forward(self, layer: TransformerLayer, x: Tensor, d: Tensor) -> None:
        """Add what a layer's second half adds to x [N, D] and d [B, N, D]."""
        linear, norm, contract = self.products.linear, layer.feed_forward_norm, layer.contract
        for rows in self.blocks.of_rows(slice(0, len(x))):
            n = F.layer_norm(x[rows], norm.normalized_shape, norm.weight, norm.bias, norm.eps)
            hidden = linear(n, layer.expand.weight, layer.expand.bias)
            low, floor = hidden.clamp(max=0), -hidden.clamp(min=0)
            for some in self.blocks.of_alternatives(len(d)):
                dn = layer_norm(norm, x[rows], d[some, rows])[1]
                change = relu_change(low, floor, linear(dn, layer.expand.weight))
                d[some, rows] += linear(change, contract.weight)
            x[rows] += linear(hidden.relu_(), contract.weight, contract.bias)
