"""Attention fusion of image, text and behaviour (§2.1, eq. 1-2) and the click and conversion heads.

Letters: B batch, C distinct creatives of the batch, M = 3 modalities (image, text, behaviour), H heads, K width of one
head (d_k), D = H x K width of a modality and of the fused context, T behaviour steps.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from crossmix.artifacts.networks import load_tensors, save_tensors
from crossmix.config import Fusion as FusionConfig
from crossmix.fusion.behaviour import BehaviourEncoder
from crossmix.fusion.calibrate import Calibration
from crossmix.schema import DataError

MODALITIES = ("image", "text", "behaviour")
PLATFORM_EMBEDDING = 16
HEAD_HIDDEN = 128


@dataclass(frozen=True, kw_only=True, slots=True)
class Sizes:
    """What the module is rebuilt from, beside the fusion config."""

    image: int | None
    """Width of the image encoder's vectors; `None`: the log has no images."""
    text: int | None
    """Width of the text encoder's vectors; `None`: the log has no copies."""
    vocabulary: int
    """Behaviour ids, padding included."""
    steps: int
    """Longest behaviour sequence."""
    platforms: tuple[str, ...]
    """The heads' extra input; the fused context knows no platform."""


def attention(query_BHMK: Tensor, key_BHMK: Tensor, value_BHMK: Tensor, present_BM: Tensor) -> tuple[Tensor, Tensor]:
    """Scaled dot-product attention over modalities, eq. 2: softmax(Q K^T / sqrt(d_k)) V.

    Args:
        query_BHMK, key_BHMK, value_BHMK: (B, H, M, K).
        present_BM: true where a modality may be attended to, at least one in every row.

    Returns:
        (B, H, M, K) attended values and (B, H, M, M) weights; a masked key has weight 0 exactly.
    """
    score_BHMM = query_BHMK @ key_BHMK.transpose(2, 3) / query_BHMK.shape[-1] ** 0.5
    weight_BHMM = score_BHMM.masked_fill(~present_BM[:, None, None, :], float("-inf")).softmax(dim=-1)
    return weight_BHMM @ value_BHMK, weight_BHMM


class Fusion(nn.Module):
    """f_fusion = LayerNorm(mean over present modalities of (F + W_o Attention(F))), and two heads on it.

    F = [f_img; f_txt; f_usr] (eq. 1). A missing modality is neither query nor key nor pooled; where all three are
    missing, f_fusion is the LayerNorm of a learned vector. W_o is linear, so it is applied after the pooling.
    """

    def __init__(self, config: FusionConfig, sizes: Sizes) -> None:
        super().__init__()
        width = config.modality_dim
        self.config = config
        self.sizes = sizes
        self.calibration: dict[str, Calibration] = {}
        """Per head, once fitted: "click" and "conversion" (the latter of p_click x p_conv)."""
        self.project = nn.ModuleDict(
            {
                name: nn.Sequential(nn.Linear(dim, width), nn.LayerNorm(width))
                for name, dim in (("image", sizes.image), ("text", sizes.text))
                if dim is not None
            }
        )
        for name, dim in (("image", sizes.image), ("text", sizes.text)):
            self.register_buffer(f"{name}_mean", torch.zeros(dim or 0))
            self.register_buffer(f"{name}_scale", torch.ones(()))
        self.behaviour = BehaviourEncoder(
            vocabulary=sizes.vocabulary,
            steps=sizes.steps,
            embedding=config.behaviour_embedding,
            layers=config.behaviour_layers,
            hidden=config.behaviour_hidden,
            heads=config.behaviour_heads,
            width=width,
            dropout=0.0,  # the paper names dropout for the fusion only
        )
        self.behaviour_norm = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.nothing = nn.Parameter(torch.randn(width))
        self.norm = nn.LayerNorm(width)
        self.platform = nn.Embedding(len(sizes.platforms), PLATFORM_EMBEDDING)
        self.click = self._head(width)
        self.conversion = self._head(width)

    def _head(self, width: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Dropout(self.config.dropout),
            nn.Linear(width + PLATFORM_EMBEDDING, HEAD_HIDDEN),
            nn.ReLU(),
            nn.Linear(HEAD_HIDDEN, 1),
        )

    def standardise(self, name: str, vectors_CI: Tensor) -> None:
        """Fix the centre and scale of a modality's encoder vectors from the training creatives, (C, I).

        Encoders put most of a vector's length into what all creatives share; centred, the projection sees differences.
        One scale for all coordinates: a coordinate that hardly varies is not blown up.
        """
        mean_I = vectors_CI.mean(dim=0)
        self.get_buffer(f"{name}_mean").copy_(mean_I)
        self.get_buffer(f"{name}_scale").copy_((vectors_CI - mean_I).square().mean().sqrt().clamp(min=1e-6))

    def creative_tokens(self, image_CI: Tensor | None, text_CI: Tensor | None, count: int) -> tuple[Tensor, Tensor]:
        """f_img and f_txt of distinct creatives, (C, 2, D), and their queries, keys, values, (C, 2, 3 D).

        A modality that the log has not, or that is `None`, gives zeros; its mask keeps them out.
        """
        rows = []
        for name, vectors in (("image", image_CI), ("text", text_CI)):
            if name in self.project and vectors is not None:
                centred_CI = (vectors - self.get_buffer(f"{name}_mean")) / self.get_buffer(f"{name}_scale")
                rows.append(self.project[name](centred_CI))
            else:
                rows.append(self.nothing.new_zeros(count, self.config.modality_dim))
        token_C2D = torch.stack(rows, dim=1)
        return token_C2D, self.query_key_value(token_C2D)

    def behaviour_tokens(self, events_BT: Tensor) -> tuple[Tensor, Tensor]:
        """f_usr, (B, D), and its query, key, value, (B, 3 D)."""
        token_BD = self.behaviour_norm(self.behaviour(events_BT))
        return token_BD, self.query_key_value(token_BD)

    def fuse(self, token_BMD: Tensor, query_key_value_BMD3: Tensor, present_BM: Tensor) -> tuple[Tensor, Tensor]:
        """Eq. 1-2, pooled.

        Args:
            token_BMD: F, (B, 3, D).
            query_key_value_BMD3: its projections, (B, 3, 3 D).
            present_BM: true where the impression has the modality.

        Returns:
            f_fusion (B, D), and the weight each modality got (B, M): the mean over heads and present queries, summing
            to 1 where any is present and 0 elsewhere.
        """
        batch, modalities, width = token_BMD.shape
        some_B1 = present_BM.any(dim=1, keepdim=True)
        query_BHMK, key_BHMK, value_BHMK = query_key_value_BMD3.view(
            batch, modalities, 3, self.config.attention_heads, self.config.head_dim
        ).permute(2, 0, 3, 1, 4)
        attended_BHMK, weight_BHMM = attention(query_BHMK, key_BHMK, value_BHMK, present_BM | ~some_B1)
        pool_BM = present_BM.to(token_BMD.dtype)
        pool_BM = pool_BM / pool_BM.sum(dim=1, keepdim=True).clamp(min=1)
        attended_BD = (attended_BHMK * pool_BM[:, None, :, None]).sum(dim=2).reshape(batch, width)
        mixed_BD = functional.dropout(self.out(attended_BD), self.config.dropout, self.training)
        fused_BD = torch.where(some_B1, (token_BMD * pool_BM.unsqueeze(-1)).sum(dim=1) + mixed_BD, self.nothing)
        return self.norm(fused_BD), (weight_BHMM.mean(dim=1) * pool_BM.unsqueeze(-1)).sum(dim=1)

    def heads(self, context_BD: Tensor, platform_B: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of p(click) and of p(conversion | click), each (B,), from f_fusion and the platform's index."""
        input_B = torch.cat([context_BD, self.platform(platform_B)], dim=1)
        return self.click(input_B).squeeze(1), self.conversion(input_B).squeeze(1)

    def forward(
        self,
        image_CI: Tensor | None,
        text_CI: Tensor | None,
        creative_B: Tensor,
        events_BT: Tensor,
        present_BM: Tensor,
        platform_B: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Logits of both heads, (B,) each; `creative_B` indexes the distinct creatives' vectors."""
        creatives = self.creative_tokens(image_CI, text_CI, 1 + int(creative_B.max()))
        return self.logits(creatives, creative_B, events_BT, present_BM, platform_B)

    def logits(
        self,
        creatives: tuple[Tensor, Tensor],
        creative_B: Tensor,
        events_BT: Tensor,
        present_BM: Tensor,
        platform_B: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """As `forward`, of what `creative_tokens` made of the distinct creatives."""
        creative_token_C2D, creative_qkv_C2D3 = creatives
        token_BD, qkv_BD3 = self.behaviour_tokens(events_BT)
        context_BD, _ = self.fuse(
            torch.cat([creative_token_C2D[creative_B], token_BD.unsqueeze(1)], dim=1),
            torch.cat([creative_qkv_C2D3[creative_B], qkv_BD3.unsqueeze(1)], dim=1),
            present_BM,
        )
        return self.heads(context_BD, platform_B)

    @torch.inference_mode()
    def context(
        self,
        image: Tensor | None = None,
        text: Tensor | None = None,
        events: Tensor | None = None,
        masks: Tensor | None = None,
    ) -> Tensor:
        """f_fusion of any impressions, without dropout: what serving asks for.

        Args:
            image: encoder vectors (B, image width), or `None`.
            text: encoder vectors (B, text width), or `None`.
            events: behaviour ids (B, T), oldest first, zeros before the oldest, or `None`.
            masks: (B, 3) bool, true where image, text, behaviour is there; `None`: all that is passed. A modality that
                is not passed, that the model was not trained with, or a history without events is masked anyway.

        Returns:
            (B, D).

        Raises:
            ValueError: nothing is passed, or the batches differ.
        """
        sizes = {len(part) for part in (image, text, events, masks) if part is not None}
        if len(sizes) != 1:
            raise ValueError(f"image, text, events, masks: batches of {sorted(sizes)}; pass at least one, all alike")
        batch = sizes.pop()
        there = [image is not None and "image" in self.project, text is not None and "text" in self.project]
        if events is None:
            events = torch.zeros(batch, 1, dtype=torch.long)
        present_BM = torch.stack([*(torch.full((batch,), flag) for flag in there), (events > 0).any(dim=1)], dim=1)
        if masks is not None:
            present_BM = present_BM & masks.bool()
        # A masked vector may hold anything, NaN included, and 0 x NaN is NaN: put zeros in its place.
        image, text = (
            None if part is None else torch.where(present_BM[:, [slot]], part, part.new_zeros(()))
            for slot, part in enumerate((image, text))
        )
        training = self.training
        self.eval()
        try:
            creative_token_B2D, creative_qkv_B2D3 = self.creative_tokens(image, text, batch)
            token_BD, qkv_BD3 = self.behaviour_tokens(events.long())
            context_BD, _ = self.fuse(
                torch.cat([creative_token_B2D, token_BD.unsqueeze(1)], dim=1),
                torch.cat([creative_qkv_B2D3, qkv_BD3.unsqueeze(1)], dim=1),
                present_BM,
            )
        finally:
            self.train(training)
        return context_BD

    def save(self, folder: Path, **more: object) -> None:
        """Write fusion.safetensors (weights) and fusion.json (sizes, config, calibration, and what else is `told`)."""
        save_tensors(folder / "fusion.safetensors", self.state_dict())
        record = {
            "sizes": asdict(self.sizes),
            "config": asdict(self.config),
            "calibration": {head: asdict(fitted) for head, fitted in self.calibration.items()},
            **more,
        }
        (folder / "fusion.json").write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The fitted module of a fusion step's folder, in eval mode, calibration included.

        Raises `DataError` where the folder holds no readable fit.
        """
        try:
            record = json.loads((folder / "fusion.json").read_text())
            sizes = Sizes(**{**record["sizes"], "platforms": tuple(record["sizes"]["platforms"])})
            module = cls(FusionConfig(**record["config"]), sizes)
            module.load_state_dict(load_tensors(folder / "fusion.safetensors"))
            module.calibration = {head: Calibration(**fitted) for head, fitted in record["calibration"].items()}
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            raise DataError(f"fusion: {folder.name!r} holds no fitted fusion ({reason}); run the fusion step") from None
        return module.eval()


def joint_log_probability(click_B: Tensor, conversion_B: Tensor) -> tuple[Tensor, Tensor]:
    """ln(p_click p_conv) and ln(1 - p_click p_conv) from both logits, stable for rare events: the entire-space loss."""
    yes_B = functional.logsigmoid(click_B) + functional.logsigmoid(conversion_B)
    # ln(1 - e^x) for x < 0, each branch where it is accurate (Mächler 2012); the clamps keep gradients finite.
    rare_B = torch.log1p(-yes_B.clamp(max=-0.6).exp())
    sure_B = torch.log(-torch.expm1(yes_B.clamp(min=-0.7, max=-1e-6)))
    return yes_B, torch.where(yes_B < -0.6931, rare_B, sure_B)


def entire_space_loss(click_B: Tensor, conversion_B: Tensor, clicked_B: Tensor, converted_B: Tensor) -> Tensor:
    """Mean over all impressions of both cross-entropies: clicks by p_click, conversions by p_click x p_conv.

    Args:
        click_B, conversion_B: the heads' logits.
        clicked_B, converted_B: the labels, floats 0 or 1.
    """
    yes_B, no_B = joint_log_probability(click_B, conversion_B)
    joint = -(converted_B * yes_B + (1 - converted_B) * no_B).mean()
    return functional.binary_cross_entropy_with_logits(click_B, clicked_B) + joint
