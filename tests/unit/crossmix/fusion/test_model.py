"""Attention fusion and its heads in closed form: eq. 1-2, masks, and the entire-space probabilities."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from crossmix.config import laptop
from crossmix.fusion.behaviour import BehaviourEncoder
from crossmix.fusion.fit import joint_logit
from crossmix.fusion.model import Fusion, Sizes, attention, entire_space_loss, joint_log_probability
from crossmix.schema import DataError

CONFIG = replace(laptop().fusion, modality_dim=32, head_dim=4)
SIZES = Sizes(image=6, text=5, vocabulary=13, steps=8, platforms=("a", "b", "c", "d"))


def fusion(seed: int = 0, sizes: Sizes = SIZES) -> Fusion:
    torch.manual_seed(seed)
    return Fusion(CONFIG, sizes).eval()


def inputs(rows: int = 5) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    events = torch.randint(1, 13, (rows, 8))
    events[:, :3] = 0
    return torch.randn(rows, 6), torch.randn(rows, 5), events


def test_attention_matches_equation_2_by_hand():
    query = torch.tensor([[2.0, 0.0], [0.0, 0.0], [0.0, 1.0]]).view(1, 1, 3, 2)
    key = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]).view(1, 1, 3, 2)
    value = torch.tensor([[1.0, 0.0], [0.0, 1.0], [5.0, 5.0]]).view(1, 1, 3, 2)
    out, weight = attention(query, key, value, torch.ones(1, 3, dtype=torch.bool))
    e = math.exp(2 / math.sqrt(2))
    total = e + 2
    assert weight[0, 0, 0].tolist() == pytest.approx([e / total, 1 / total, 1 / total])
    assert weight[0, 0, 1].tolist() == pytest.approx([1 / 3] * 3)
    assert out[0, 0, 0].tolist() == pytest.approx([(e + 5) / total, 6 / total])
    # the third modality masked: it gets no weight, the rest shares it
    out, weight = attention(query, key, value, torch.tensor([[True, True, False]]))
    assert weight[0, 0, 0].tolist() == pytest.approx([e / (e + 1), 1 / (e + 1), 0.0])
    assert out[0, 0, 1].tolist() == pytest.approx([0.5, 0.5])


def test_attention_is_torchs_scaled_dot_product():
    torch.manual_seed(0)
    query, key, value = torch.randn(3, 4, 8, 3, 16).unbind()
    present = torch.tensor([[1, 1, 1], [1, 0, 1], [0, 0, 1], [1, 1, 0]]).bool()
    expected = torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=present[:, None, None])
    assert torch.allclose(attention(query, key, value, present)[0], expected, atol=1e-6)


def test_paper_sizes():
    from crossmix.config import paper

    module = Fusion(paper().fusion, Sizes(image=2048, text=768, vocabulary=31, steps=30, platforms=("a", "b")))
    assert module.context(torch.randn(2, 2048), torch.randn(2, 768), torch.ones(2, 30, dtype=torch.long)).shape == (
        2,
        512,
    )
    assert len(module.behaviour.blocks) == 4
    assert module.config.attention_heads == 8
    assert module.config.head_dim == 64
    # f_img and f_txt are layer-normalised rows of F in R^{3 x 512}
    token, _ = module.creative_tokens(torch.randn(2, 2048), torch.randn(2, 768), 2)
    assert token.shape == (2, 2, 512)
    assert torch.allclose(token.mean(-1), torch.zeros(2, 2), atol=1e-5)


@pytest.mark.parametrize("slot", [0, 1, 2])
def test_a_masked_modality_has_no_influence(slot: int):
    module = fusion()
    parts = list(inputs())
    masks = torch.ones(5, 3, dtype=torch.bool)
    masks[:, slot] = False
    before = module.context(*parts, masks)
    parts[slot] = torch.full_like(parts[slot], 7) if slot == 2 else torch.full_like(parts[slot], float("nan"))
    assert torch.equal(module.context(*parts, masks), before)
    assert not torch.allclose(before, module.context(*inputs()))
    if slot < 2:  # and not passing it at all is the same
        parts[slot] = None
        assert torch.equal(module.context(*parts, masks), before)


def test_a_masked_modality_gets_no_gradient():
    module = fusion().train()
    image, text, events = inputs()
    image.requires_grad_(True)
    text.requires_grad_(True)
    present = torch.tensor([[0, 1, 1]] * 5).bool()
    logits = module(image, text, torch.arange(5), events, present, torch.zeros(5, dtype=torch.long))
    sum(part.sum() for part in logits).backward()
    assert torch.equal(image.grad, torch.zeros_like(image))
    assert text.grad.abs().sum() > 0


def test_all_missing_is_one_finite_learned_context():
    module = fusion()
    image, text, events = inputs()
    nothing = module.context(image, text, events, torch.zeros(5, 3, dtype=torch.bool))
    assert torch.isfinite(nothing).all()
    assert torch.equal(nothing, nothing[:1].expand_as(nothing))
    assert torch.equal(nothing, module.context(events=torch.zeros(5, 8, dtype=torch.long)))
    assert torch.allclose(nothing[0], module.norm(module.nothing).detach())
    # it learns, and nothing turns into NaN on the way
    module.train()
    platform = torch.zeros(5, dtype=torch.long)
    logits = module(
        image, text, torch.arange(5), torch.zeros_like(events), torch.zeros(5, 3, dtype=torch.bool), platform
    )
    sum(part.sum() for part in logits).backward()
    assert module.nothing.grad.abs().sum() > 0
    assert all(torch.isfinite(part.grad).all() for part in module.parameters() if part.grad is not None)


def test_attention_weights_sum_to_one_over_present_modalities():
    module = fusion()
    present = torch.tensor([[1, 1, 1], [1, 0, 1], [0, 0, 1], [0, 0, 0]]).bool()
    token = torch.randn(4, 3, 32)
    _, weight = module.fuse(token, module.query_key_value(token), present)
    assert weight.sum(dim=1).tolist() == pytest.approx([1, 1, 1, 0])
    assert (weight[~present] == 0).all()


def test_the_context_knows_no_platform_but_the_heads_do():
    module = fusion()
    context = module.context(*inputs())
    first, second = (module.heads(context, torch.full((5,), index))[0] for index in (0, 3))
    assert not torch.allclose(first, second)


def test_leading_padding_changes_nothing():
    torch.manual_seed(0)
    encoder = BehaviourEncoder(
        vocabulary=13, steps=8, embedding=16, layers=2, hidden=32, heads=4, width=32, dropout=0.2
    )
    encoder.eval()
    events = torch.tensor([[0, 0, 0, 0, 0, 3, 4, 5], [0, 0, 0, 0, 0, 0, 0, 9]])
    assert torch.allclose(encoder(events), encoder(events[:, 4:]), atol=1e-6)
    assert torch.allclose(encoder(events)[1:], encoder(events[1:, 7:]), atol=1e-6)
    assert torch.isfinite(encoder(torch.zeros(2, 8, dtype=torch.long))).all()
    with pytest.raises(ValueError, match="9 steps, the encoder has 8"):
        encoder(torch.ones(1, 9, dtype=torch.long))


def test_order_of_events_matters():
    torch.manual_seed(0)
    encoder = BehaviourEncoder(
        vocabulary=13, steps=8, embedding=16, layers=1, hidden=32, heads=4, width=32, dropout=0.0
    )
    torch.nn.init.normal_(encoder.recency)
    ordered = torch.tensor([[3, 4, 5]])
    assert not torch.allclose(encoder(ordered), encoder(ordered.flip(1)), atol=1e-3)


def test_joint_probability_is_the_product_and_stable():
    click = torch.tensor([-30.0, -8.0, -1.0, 0.0, 2.0, 12.0], dtype=torch.float64)
    conversion = torch.tensor([-9.0, 8.0, 0.5, 0.0, 3.0, 11.0], dtype=torch.float64)
    yes, no = joint_log_probability(click, conversion)
    product = click.sigmoid() * conversion.sigmoid()
    assert torch.allclose(yes.exp(), product, rtol=1e-9)
    assert torch.allclose(no.exp(), 1 - product, rtol=1e-6)
    assert (product <= click.sigmoid()).all()
    assert joint_logit(click.numpy(), conversion.numpy()) == pytest.approx((yes - no).tolist(), rel=1e-6)


@pytest.mark.parametrize("scale", [1.0, 40.0])
def test_entire_space_loss_is_both_cross_entropies_with_finite_gradients(scale: float):
    torch.manual_seed(0)
    click, conversion = (scale * torch.randn(2, 64)).requires_grad_(True).unbind()
    clicked = (torch.rand(64) < 0.5).float()
    converted = clicked * (torch.rand(64) < 0.5).float()
    loss = entire_space_loss(click, conversion, clicked, converted)
    gradients = torch.autograd.grad(loss, [click, conversion])
    assert torch.isfinite(loss)
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    if scale == 1.0:
        p = click.sigmoid()
        entropy = torch.nn.functional.binary_cross_entropy
        expected = entropy(p, clicked) + entropy(p * conversion.sigmoid(), converted)
        assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_saved_and_loaded_is_the_same_module(tmp_path: Path):
    from crossmix.fusion.calibrate import Calibration

    module = fusion()
    module.standardise("image", torch.randn(20, 6) + 3)
    module.calibration = {"click": Calibration("platt", 0.9, [0.1, 0.0, 0.0, 0.2])}
    module.save(tmp_path)
    loaded = Fusion.load(tmp_path)
    assert torch.equal(loaded.context(*inputs()), module.context(*inputs()))
    assert loaded.calibration == module.calibration
    assert loaded.sizes == module.sizes
    (tmp_path / "fusion.safetensors").write_bytes(b"half")
    with pytest.raises(DataError, match="holds no fitted fusion"):
        Fusion.load(tmp_path)


def test_context_refuses_batches_that_differ():
    image, text, _ = inputs()
    with pytest.raises(ValueError, match="batches of"):
        fusion().context(image, text[:2])
    with pytest.raises(ValueError, match="pass at least one"):
        fusion().context()
