"""Creatives of the generated log: rendered 224x224 images and copy, with the response each of them plants.

Image and copy carry separate signals, so that each modality adds: the palette and shape tell the category, the pattern
is the visual style; the words tell the offer and the tone. `appeal_K` is what they add to the log of click probability.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

SIZE = 224
"""Pixels a side (§2.1)."""

# name, background, foreground, shape, added to log click probability
CATEGORIES: tuple[tuple[str, str, str, str, float], ...] = (
    ("travel", "#2a9df4", "#ffe066", "circle", 0.30),
    ("fashion", "#d6336c", "#fff0f6", "diamond", 0.20),
    ("games", "#5f3dc4", "#63e6be", "cross", 0.45),
    ("food", "#e8590c", "#fff3bf", "ring", 0.05),
    ("finance", "#0b3d2e", "#b2f2bb", "bars", -0.45),
    ("home", "#a9825a", "#f8f0e3", "house", -0.15),
    ("fitness", "#212529", "#ff6b6b", "triangle", 0.00),
    ("software", "#ced4da", "#1c7ed6", "grid", -0.40),
)
# pattern drawn behind the shape, added to log click probability
STYLES: tuple[tuple[str, float], ...] = (("plain", -0.35), ("stripes", 0.0), ("dots", 0.10), ("burst", 0.35))
# words of the offer, added to log click probability, added to log conversion probability
OFFERS: tuple[tuple[str, float, float], ...] = (
    ("half price this week only", 0.50, 0.25),
    ("free delivery on every order", 0.25, 0.20),
    ("try it free for thirty days", 0.15, -0.15),
    ("join our members' club", -0.20, 0.05),
    ("learn more about our story", -0.45, -0.30),
    ("read the independent review", -0.25, 0.10),
)
TONES: tuple[tuple[str, float], ...] = (
    ("Hurry!", 0.15),
    ("Discover", 0.0),
    ("A note for our customers:", -0.20),
    ("You have earned it:", 0.05),
)
NOUNS: dict[str, tuple[str, ...]] = {
    "travel": ("weekend flights", "island hotels", "night trains"),
    "fashion": ("summer dresses", "leather boots", "wool coats"),
    "games": ("puzzle quests", "racing leagues", "card battles"),
    "food": ("fresh pasta boxes", "street food menus", "organic vegetables"),
    "finance": ("savings plans", "index funds", "travel insurance"),
    "home": ("oak tables", "reading lamps", "garden chairs"),
    "fitness": ("running shoes", "yoga courses", "home weights"),
    "software": ("cloud backups", "invoice tools", "team calendars"),
}


@dataclass(frozen=True, slots=True)
class Creatives:
    """K creatives and what they plant. `image[k]`: PNG bytes or None; `text[k]`: copy or None."""

    ids: list[str]
    campaign_K: np.ndarray
    category: list[str]
    image: list[bytes | None]
    text: list[str | None]
    appeal_K: np.ndarray
    """Added to the log of click probability."""
    conversion_K: np.ndarray
    """Added to the log of conversion probability given a click."""


def make(seed: int, count: int, campaigns: int) -> Creatives:
    """`count` creatives dealt over `campaigns` in turn; one in forty lacks its image and one in forty its copy."""
    rng = np.random.default_rng([seed, 1])
    ids: list[str] = []
    categories: list[str] = []
    images: list[bytes | None] = []
    texts: list[str | None] = []
    appeal_K, conversion_K = np.zeros(count), np.zeros(count)
    for k in range(count):
        name, _, _, _, category_effect = CATEGORIES[int(rng.integers(len(CATEGORIES)))]
        style, style_effect = STYLES[int(rng.integers(len(STYLES)))]
        offer, offer_effect, conversion_effect = OFFERS[int(rng.integers(len(OFFERS)))]
        tone, tone_effect = TONES[int(rng.integers(len(TONES)))]
        noun = NOUNS[name][int(rng.integers(3))]
        ids.append(f"cr{k:04d}")
        categories.append(name)
        image = render(name, style, int(rng.integers(2**31)))
        images.append(None if k % 40 == 17 else image)
        texts.append(None if k % 40 == 29 else f"{tone} {noun}, {offer}.")
        appeal_K[k] = category_effect + style_effect + offer_effect + tone_effect
        conversion_K[k] = conversion_effect
    return Creatives(ids, np.arange(count) % campaigns, categories, images, texts, appeal_K, conversion_K)


def render(category: str, style: str, seed: int) -> bytes:
    """One creative as PNG bytes, 224x224 RGB: pattern of the style behind the shape of the category."""
    rng = np.random.default_rng(seed)
    _, background, foreground, shape, _ = next(row for row in CATEGORIES if row[0] == category)
    canvas = Image.new("RGB", (SIZE, SIZE), background)
    draw = ImageDraw.Draw(canvas)
    _pattern(draw, style, foreground, int(rng.integers(0, 24)))
    x, y = (int(rng.integers(92, 132)) for _ in range(2))
    _shape(draw, shape, foreground, background, x, y, int(rng.integers(44, 66)))
    buffer = io.BytesIO()
    canvas.save(buffer, "PNG", optimize=False)
    return buffer.getvalue()


def _pattern(draw: ImageDraw.ImageDraw, style: str, colour: str, offset: int) -> None:
    if style == "stripes":
        for x in range(offset - SIZE, SIZE, 28):
            draw.line([(x, 0), (x + SIZE, SIZE)], fill=colour, width=5)
    elif style == "dots":
        for x in range(offset, SIZE, 26):
            for y in range(offset, SIZE, 26):
                draw.ellipse([x - 4, y - 4, x + 4, y + 4], fill=colour)
    elif style == "burst":
        for step in range(24):
            angle = 2 * np.pi * (step + offset / 24) / 24
            end = (112 + 170 * float(np.cos(angle)), 112 + 170 * float(np.sin(angle)))
            draw.line([(112, 112), end], fill=colour, width=6)


def _shape(draw: ImageDraw.ImageDraw, shape: str, colour: str, under: str, x: int, y: int, r: int) -> None:
    box = (x - r, y - r, x + r, y + r)
    if shape in {"circle", "ring"}:
        draw.ellipse(box, fill=colour, outline=under, width=4)
        if shape == "ring":
            draw.ellipse((x - r // 2, y - r // 2, x + r // 2, y + r // 2), fill=under)
    elif shape == "diamond":
        draw.polygon([(x, y - r), (x + r, y), (x, y + r), (x - r, y)], fill=colour, outline=under)
    elif shape == "triangle":
        draw.polygon([(x, y - r), (x + r, y + r), (x - r, y + r)], fill=colour, outline=under)
    elif shape == "cross":
        draw.rectangle((x - r, y - r // 3, x + r, y + r // 3), fill=colour)
        draw.rectangle((x - r // 3, y - r, x + r // 3, y + r), fill=colour)
    elif shape == "house":
        draw.rectangle((x - r, y, x + r, y + r), fill=colour, outline=under)
        draw.polygon([(x - r - 8, y), (x, y - r), (x + r + 8, y)], fill=colour, outline=under)
    elif shape == "bars":
        for step in range(4):
            left = x - r + step * r // 2
            draw.rectangle((left, y + r - (step + 1) * r // 2, left + r // 3, y + r), fill=colour, outline=under)
    else:
        draw.rectangle(box, fill=colour)
        for step in range(1, 4):
            edge = x - r + step * r // 2
            draw.line([(edge, y - r), (edge, y + r)], fill=under, width=4)
            draw.line([(x - r, y - r + step * r // 2), (x + r, y - r + step * r // 2)], fill=under, width=4)
