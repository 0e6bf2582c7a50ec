"""The behaviour encoder (§2.1): a Transformer over the user's last interactions, mean-pooled over present steps.

Letters: B batch, T steps (oldest first, padding 0 before the first), E embedding, H heads, D modality width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Block(nn.Module):
    """One pre-norm Transformer encoder layer; padding is never attended to."""

    def __init__(self, width: int, hidden: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.norm_attention = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm_hidden = nn.LayerNorm(width)
        self.hidden = nn.Linear(width, hidden)
        self.back = nn.Linear(hidden, width)

    def forward(self, x_BTE: Tensor, attended_BT: Tensor) -> Tensor:
        """(B, T, E) from (B, T, E); `attended_BT` is true where a step may be attended to, somewhere in every row."""
        batch, steps, width = x_BTE.shape
        query_BHTE, key_BHTE, value_BHTE = (
            self.query_key_value(self.norm_attention(x_BTE))
            .view(batch, steps, 3, self.heads, width // self.heads)
            .permute(2, 0, 3, 1, 4)
        )
        mixed_BHTE = functional.scaled_dot_product_attention(
            query_BHTE, key_BHTE, value_BHTE, attn_mask=attended_BT[:, None, None, :]
        )
        mixed_BTE = self.out(mixed_BHTE.transpose(1, 2).reshape(batch, steps, width))
        x_BTE = x_BTE + functional.dropout(mixed_BTE, self.dropout, self.training)
        hidden_BTE = self.back(functional.gelu(self.hidden(self.norm_hidden(x_BTE))))
        return x_BTE + functional.dropout(hidden_BTE, self.dropout, self.training)


class BehaviourEncoder(nn.Module):
    """Behaviour ids -> f_usr of width D."""

    def __init__(
        self,
        *,
        vocabulary: int,
        steps: int,
        embedding: int,
        layers: int,
        hidden: int,
        heads: int,
        width: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.steps = steps
        self.embedding = nn.Embedding(vocabulary, embedding, padding_idx=0)
        self.recency = nn.Parameter(0.02 * torch.randn(steps, embedding))
        """Added by position counted from the newest step, so that leading padding may be cut off."""
        self.blocks = nn.ModuleList(Block(embedding, hidden, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(embedding)
        self.project = nn.Linear(embedding, width)

    def forward(self, events_BT: Tensor) -> Tensor:
        """Encode histories.

        Args:
            events_BT: int ids, (B, T) with T <= steps, oldest first, zeros before the oldest.

        Returns:
            (B, D). A row without any event gets a finite vector that nobody may use (its modality is masked).

        Raises:
            ValueError: T is more than the encoder's steps.
        """
        steps = events_BT.shape[1]
        if steps > self.steps:
            raise ValueError(f"events: {steps} steps, the encoder has {self.steps}; pass the newest ones")
        present_BT = events_BT > 0
        # An empty row would leave softmax without any key: let it attend to its own padding.
        attended_BT = present_BT | ~present_BT.any(dim=1, keepdim=True)
        x_BTE = self.embedding(events_BT) + self.recency[self.steps - steps :]
        for block in self.blocks:
            x_BTE = block(x_BTE, attended_BT)
        weight_BT1 = present_BT.unsqueeze(-1).to(x_BTE.dtype)
        pooled_BE = (self.norm(x_BTE) * weight_BT1).sum(dim=1) / weight_BT1.sum(dim=1).clamp(min=1)
        projected_BD: Tensor = self.project(pooled_BE)
        return projected_BD
