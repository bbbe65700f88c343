"""Hair as meshes: a cap that follows the scalp, a sheet that hangs from it, a bun.

The cap covers more than the hair does; a mask in the head's texture cuts it at the hairline.
Lengths are in metres.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from training.people.atlas import HEIGHT, WIDTH, Atlas
from training.people.fields import (
    Hairline,
    above_hairline,
    direction,
    smooth_noise,
    smoothstep,
)
from training.people.head import Head
from training.people.materials import HAIR_CAP, HAIR_SHEET
from training.people.meshes import Part, grid, grid_uv
from training.people.person import Person
from training.people.rasteriser import vertex_normals

HANGING = ("bob", "long", "longfringe")
THICKNESS = {
    "short": 0.010,
    "short2": 0.016,
    "side": 0.016,
    "curly": 0.026,
    "afro": 0.042,
    "long": 0.014,
    "longfringe": 0.015,
    "bob": 0.017,
    "bun": 0.008,
    "buzz": 0.003,
}
ROUGHNESS = {"curly": 0.13, "afro": 0.07, "short": 0.10, "short2": 0.14, "side": 0.08}
SMOOTH_ROUGHNESS = 0.05  # of the thickness, for the other styles
RAGGEDNESS = {"curly": 0.004, "afro": 0.003, "buzz": 0.002}
PLAIN_RAGGEDNESS = 0.0025  # metres by which the hairline varies
UNDER_HAT = 0.006  # hair is pressed to this thickness

SHEET_ROWS, SHEET_COLUMNS = 14, 40
SHEET_START = {"bob": 62, "long": 78, "longfringe": 68}  # degrees from the nose
SHEET_DEPTH = 1.12  # of its half width
SHEET_ABOVE_EYES = 0.045
SHEET_BAND = (0.90, 0.94)  # heights on the average head between which the cap is measured
BUN_ROWS, BUN_COLUMNS = 12, 20


@dataclass(frozen=True, eq=False)
class HairModel:
    parts: list[Part]
    mask: np.ndarray  # (h, w) float32, the cap is cut away where it is below 0.5


def build_hair(
    head: Head, atlas: Atlas, person: Person, style: str, *, under_hat: bool
) -> HairModel:
    """A person's hair in a style; a hat presses it down and moves the bun to the nape."""
    if style == "bald":
        return HairModel([], np.zeros((4, 4), np.float32))
    line = _style_hairline(person, style)
    vertices = np.unique(head.faces[head.cap])
    thickness = _cap_thickness(head.mean[vertices], person, style, line)
    normals = vertex_normals(np.ascontiguousarray(person.vertices), head.faces)[vertices]
    loose = person.vertices[vertices] + normals * thickness[:, None]
    if under_hat:
        pressed = smoothstep(0.925, 0.94, head.mean[vertices, 2])
        thin = np.minimum(thickness, UNDER_HAT)
        thickness = thickness * (1 - pressed) + thin * pressed
    parts = [_cap(head, person, style, vertices, normals, thickness)]
    if style in HANGING:
        height = head.mean[vertices, 2]
        band = loose[(height > SHEET_BAND[0]) & (height < SHEET_BAND[1])]
        parts.append(_sheet(head, person, style, band))
    if style == "bun":
        parts.append(_bun(head, person, under_hat))
    return HairModel(parts, _cap_mask(atlas, person, style, line))


def _style_hairline(person: Person, style: str) -> Hairline:
    line, length = person.hair.line, person.hair.length
    if style == "longfringe":
        line = replace(line, front=-0.034 + 0.012 * (length - 0.5), temple=-0.012)
    if style == "bob" and length > 0.5:
        line = replace(line, front=-0.030, temple=-0.01)
    if style in HANGING:
        line = replace(line, side=-0.02, nape=-0.02)
    if style == "bun":
        line = replace(line, nape=0.0)
    return line


def _base_thickness(person: Person, style: str) -> float:
    return THICKNESS[style] * person.hair.thickness


def _cap_thickness(points: np.ndarray, person: Person, style: str, line: Hairline) -> np.ndarray:
    """How far hair stands off the scalp (N,) at points (N, 3) of the average head."""
    x, y, z = points.T
    height = above_hairline(z, direction(points), line)
    thickness = _base_thickness(person, style) * smoothstep(-0.012, 0.022, height)
    top = smoothstep(0.93, 1.01, z)
    if style == "short2":
        thickness = thickness * (1 + 0.9 * top * smoothstep(-0.02, -0.09, y))
        thickness = thickness * (0.55 + 0.45 * smoothstep(0.88, 0.95, z))
    if style == "short":
        thickness = thickness * (0.7 + 0.5 * top)
    if style == "side":
        lean = np.clip(0.55 + person.hair.parting * x / 0.07 * 0.8, 0, 1.3)
        thickness = thickness * (0.6 + 0.9 * top * lean)
    noise = smooth_noise(points, 45 if style == "afro" else 55, person.hair.seed)
    return thickness * (1 + ROUGHNESS.get(style, SMOOTH_ROUGHNESS) * noise)


def _cap(
    head: Head,
    person: Person,
    style: str,
    vertices: np.ndarray,
    normals: np.ndarray,
    thickness: np.ndarray,
) -> Part:
    renumber = -np.ones(len(head.mean), np.int64)
    renumber[vertices] = np.arange(len(vertices))
    points = person.vertices[vertices] + normals * thickness[:, None]
    # Roots are darker than ends.
    share = thickness / max(_base_thickness(person, style), 1e-4)
    occlusion = head.occlusion[vertices] * (0.72 + 0.28 * smoothstep(0, 0.02, share * 0.02))
    return Part(
        points.astype(np.float32),
        renumber[head.faces[head.cap]].astype(np.int32),
        head.uv[head.cap],
        HAIR_CAP,
        occlusion.astype(np.float32),
        head.twist[vertices],
    )


def _cap_mask(atlas: Atlas, person: Person, style: str, line: Hairline) -> np.ndarray:
    roll = (person.hair.seed % HEIGHT, person.hair.seed % WIDTH)
    ragged = RAGGEDNESS.get(style, PLAIN_RAGGEDNESS) * np.roll(atlas.pore_noise, roll, (0, 1))
    height = above_hairline(atlas.z, atlas.degrees, line)
    return ((height + ragged > 0) & (atlas.ears < 0.5)).astype(np.float32)


def _sheet(head: Head, person: Person, style: str, band: np.ndarray) -> Part:
    """Hair hanging round the head from a band (N, 3) of the cap; open at the face."""
    half_width, back = np.abs(band[:, 0]).max(), band[:, 1].max()
    middle_y = back - half_width * SHEET_DEPTH
    half_depth = back - middle_y
    length = person.hair.length
    start = np.radians(SHEET_START[style] + 8 * (length - 0.5))
    around = np.linspace(start, 2 * np.pi - start, SHEET_COLUMNS)
    heights = np.linspace(*_sheet_ends(head, person, style), SHEET_ROWS)
    waviness = np.random.RandomState(person.hair.seed).uniform(0, 1) * (style != "bob")
    points = np.zeros((SHEET_ROWS, SHEET_COLUMNS, 3))
    for row, height in enumerate(heights):
        down = row / (SHEET_ROWS - 1)
        flare = _flare(style, down, waviness)
        locks = 1 + 0.03 * np.sin(around * 9 + down * 3) * down + 0.02 * np.sin(around * 17 + 1)
        ends = 0.012 * np.cos(around * 7 + 2) + 0.006 * np.cos(around * 19)
        points[row, :, 0] = (half_width + flare) * np.sin(around) * locks
        points[row, :, 1] = middle_y - (half_depth + flare) * np.cos(around) * locks
        points[row, :, 2] = height - ends * down * (row == SHEET_ROWS - 1)
    vertices, faces = grid(points, closed=False)
    texture = np.linspace(0.02, 0.98, SHEET_COLUMNS), np.linspace(0.02, 0.98, SHEET_ROWS)
    average_height = heights - person.vertices[head.top, 2] + head.mean[head.top, 2]
    twist = smoothstep(0.70, 0.80, average_height) * 0.5 + 0.5
    darker_below = 0.95 - 0.25 * np.linspace(0, 1, SHEET_ROWS)
    return Part(
        vertices,
        faces,
        grid_uv(*texture)[faces],
        HAIR_SHEET,
        np.repeat(darker_below, SHEET_COLUMNS).astype(np.float32),
        np.repeat(twist, SHEET_COLUMNS).astype(np.float32),
    )


def _sheet_ends(head: Head, person: Person, style: str) -> tuple[float, float]:
    """Heights of the sheet's upper and lower edge."""
    chin, length = person.vertices[head.chin, 2], person.hair.length
    bottom = {
        "bob": chin + 0.025 - 0.04 * length,
        "long": chin - 0.06 - 0.10 * length,
        "longfringe": chin - 0.05 - 0.11 * length,
    }[style]
    return person.vertices[head.left_eye, 2].mean() + SHEET_ABOVE_EYES, bottom


def _flare(style: str, down: float, waviness: float) -> float:
    """How far the sheet stands off the cap, from its top (`down` = 0) to its ends (1)."""
    belly = 0.004 if style == "bob" else 0.012
    flare = -0.006 + 0.012 * smoothstep(0, 0.25, down)
    flare += belly * np.sin(min(1, down * 1.1) * np.pi * 0.8)
    flare += 0.004 * waviness * np.sin(down * 18)
    if style == "bob":
        flare -= 0.014 * smoothstep(0.75, 1, down)  # ends turn inwards
    return flare


def _bun(head: Head, person: Person, under_hat: bool) -> Part:
    """A ball on the crown or at the back of the head."""
    top, back = person.vertices[head.top], person.vertices[head.scalp, 1].max()
    radius = 0.030 + 0.012 * person.hair.length
    y, z = top[1] + 0.02, top[2] + radius * 0.45
    if person.hair.parting > 0:
        y, z = back + 0.006 + radius * 0.2, top[2] - 0.03
    elif under_hat:
        y, z = back + 0.01, top[2] - 0.07
    polar = np.linspace(0, np.pi, BUN_ROWS)[:, None]
    around = np.linspace(0, 2 * np.pi, BUN_COLUMNS + 1)[:-1]
    points = [
        radius * np.sin(polar) * np.cos(around),
        y - radius * np.sin(polar) * np.sin(around),
        z + radius * np.cos(polar) * np.ones(BUN_COLUMNS),
    ]
    vertices, faces = grid(np.stack(points, -1), closed=True)
    uv = grid_uv(np.linspace(0.1, 0.9, BUN_COLUMNS), np.linspace(0.1, 0.5, BUN_ROWS))
    return Part(
        vertices,
        faces,
        uv[faces],
        HAIR_SHEET,
        np.full(len(vertices), 0.9, np.float32),
        np.ones(len(vertices), np.float32),
    )
