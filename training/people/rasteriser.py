"""Triangles to pixels: a depth buffer and one light, compiled by numba.

The canvas is square, its first row is the top. Colours are linear, not gamma-encoded.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from training.people.materials import EYE, HAIR_CAP, HAIR_SHEET, LASHES, SHIRT, SKIN, TEETH, TORSO

FAR = 1e9  # depth of an empty pixel
MARGIN = -1e-6  # tolerance on barycentric coordinates, so that neighbours leave no gap
SMALLEST_AREA = 1e-9  # square pixels; triangles below it are seen edge on
SKIN_WRAP = 0.2  # light reaches a little beyond the terminator on skin
GLOSS_EXPONENT = 20.0
EYE_GLOSS_EXPONENT = 120.0
HAIR_GLOSS_EXPONENT = 12.0


class Surface(NamedTuple):
    """What is drawn: one triangle soup with its per-vertex and per-triangle values."""

    faces: np.ndarray  # (F, 3) int32
    materials: np.ndarray  # (F,) int32
    uv: np.ndarray  # (F, 3, 2) float32, in the texture of the triangle's material
    normals: np.ndarray  # (V, 3) float32, in camera space
    occlusion: np.ndarray  # (V,) float32, 1 is open to the sky
    shirt: np.ndarray  # (V,) float32, positive below the neckline


class Paint(NamedTuple):
    """Textures (linear colours) and the colour and gloss of each material."""

    skin: np.ndarray  # (h, w, 3) float32
    eye: np.ndarray  # (h, w, 3) float32
    hair: np.ndarray  # (h, w, 1) float32, a factor around 1
    colours: np.ndarray  # (materials, 3) float32
    gloss: np.ndarray  # (materials,) float32


class Light(NamedTuple):
    """A lamp at infinity and light from everywhere, more of it from above."""

    direction: np.ndarray  # (3,) float32, unit, from the surface towards the lamp
    colour: np.ndarray  # (3,) float32
    ambient: float


@numba.njit(cache=True, fastmath=True)
def rasterise(points, faces, materials, uv, cap_mask, size):
    """The nearest triangle of every pixel.

    `points` (V, 3) are x and y in pixels and depth, smaller is nearer. HAIR_CAP triangles have
    holes where `cap_mask` is below 0.5. Returns depth (size, size), triangle (size, size) or -1,
    and the second and third barycentric coordinate (size, size, 2).
    """
    depth = np.full((size, size), FAR, np.float32)
    triangle = np.full((size, size), -1, np.int32)
    weights = np.zeros((size, size, 2), np.float32)
    for face in range(faces.shape[0]):
        a, b, c = points[faces[face, 0]], points[faces[face, 1]], points[faces[face, 2]]
        area = (b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1])
        if -SMALLEST_AREA < area < SMALLEST_AREA:
            continue
        if area > 0 and not _two_sided(materials[face]):
            continue
        cut = materials[face] == HAIR_CAP
        _fill(a, b, c, 1.0 / area, face, cut, uv[face], cap_mask, depth, triangle, weights)
    return depth, triangle, weights


@numba.njit(cache=True, fastmath=True)
def _two_sided(material):
    return material in (LASHES, HAIR_SHEET, TEETH, HAIR_CAP)


@numba.njit(cache=True, fastmath=True)
def _fill(a, b, c, per_area, face, cut, uv, cap_mask, depth, triangle, weights):
    """Enter one triangle, corners a, b and c, into the three buffers."""
    last = depth.shape[0] - 1
    left = max(0, int(np.floor(min(a[0], min(b[0], c[0])))))
    right = min(last, int(np.ceil(max(a[0], max(b[0], c[0])))))
    top = max(0, int(np.floor(min(a[1], min(b[1], c[1])))))
    bottom = min(last, int(np.ceil(max(a[1], max(b[1], c[1])))))
    for row in range(top, bottom + 1):
        y = row + 0.5
        for column in range(left, right + 1):
            x = column + 0.5
            w1 = ((x - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (y - a[1])) * per_area
            w2 = ((b[0] - a[0]) * (y - a[1]) - (x - a[0]) * (b[1] - a[1])) * per_area
            w0 = 1.0 - w1 - w2
            if w0 < MARGIN or w1 < MARGIN or w2 < MARGIN:
                continue
            z = w0 * a[2] + w1 * b[2] + w2 * c[2]
            if z < depth[row, column] and not (cut and _is_hole(uv, w0, w1, w2, cap_mask)):
                depth[row, column] = z
                triangle[row, column] = face
                weights[row, column, 0] = w1
                weights[row, column, 1] = w2


@numba.njit(cache=True, fastmath=True)
def _is_hole(uv, w0, w1, w2, mask):
    height, width = mask.shape
    u = w0 * uv[0, 0] + w1 * uv[1, 0] + w2 * uv[2, 0]
    v = w0 * uv[0, 1] + w1 * uv[1, 1] + w2 * uv[2, 1]
    column = min(width - 1, max(0, int(u * width)))
    row = min(height - 1, max(0, int(v * height)))
    return mask[row, column] < 0.5


@numba.njit(cache=True, fastmath=True)
def vertex_normals(vertices, faces):
    """Area-weighted unit normals (V, 3) of a triangle mesh, float32."""
    normals = np.zeros_like(vertices)
    for face in range(faces.shape[0]):
        a, b, c = vertices[faces[face, 0]], vertices[faces[face, 1]], vertices[faces[face, 2]]
        x = (b[1] - a[1]) * (c[2] - a[2]) - (b[2] - a[2]) * (c[1] - a[1])
        y = (b[2] - a[2]) * (c[0] - a[0]) - (b[0] - a[0]) * (c[2] - a[2])
        z = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
        for vertex in faces[face]:
            normals[vertex, 0] += x
            normals[vertex, 1] += y
            normals[vertex, 2] += z
    for normal in normals:
        length = np.sqrt(normal[0] ** 2 + normal[1] ** 2 + normal[2] ** 2) + 1e-12
        normal[0] /= length
        normal[1] /= length
        normal[2] /= length
    return normals


@numba.njit(cache=True, fastmath=True)
def shade(triangle, weights, surface, paint, light, background):
    """Linear colours (size, size, 3) of a rasterised surface in front of `background`."""
    size = triangle.shape[0]
    picture = np.empty((size, size, 3), np.float32)
    # Halfway between the lamp and the viewer, who looks along +z.
    x, y, z = light.direction[0], light.direction[1], light.direction[2] - 1.0
    length = np.sqrt(x * x + y * y + z * z)
    halfway = (x / length, y / length, z / length)
    for row in range(size):
        for column in range(size):
            face = triangle[row, column]
            if face < 0:
                picture[row, column] = background[row, column]
                continue
            w1, w2 = weights[row, column, 0], weights[row, column, 1]
            shares = (1 - w1 - w2, w1, w2)
            colour = _pixel(face, shares, surface, paint, light, halfway)
            picture[row, column, 0] = colour[0]
            picture[row, column, 1] = colour[1]
            picture[row, column, 2] = colour[2]
    return picture


@numba.njit(cache=True, fastmath=True)
def _pixel(face, shares, surface, paint, light, halfway):
    """The colour of one point of a triangle: diffuse with occlusion, plus a highlight."""
    material = surface.materials[face]
    corners = surface.faces[face]
    nx, ny, nz = _normal(surface.normals, corners, shares)
    if nz > 0 and _two_sided(material):
        nx, ny, nz = -nx, -ny, -nz
    open_sky = _mix(surface.occlusion, corners, shares)
    red, green, blue, gloss, exponent = _albedo(face, shares, surface, paint)
    facing = nx * light.direction[0] + ny * light.direction[1] + nz * light.direction[2]
    if material in (SKIN, TORSO):
        facing = (facing + SKIN_WRAP) / (1 + SKIN_WRAP)
    if facing < 0:
        facing = 0.0
    upward = 0.5 - 0.5 * ny
    ambient = light.ambient * (0.6 + 0.4 * upward) * open_sky
    diffuse = facing * (0.35 + 0.65 * open_sky)
    if material == EYE:
        diffuse = diffuse * 0.55 + 0.38
    mirror = nx * halfway[0] + ny * halfway[1] + nz * halfway[2]
    highlight = 0.0
    if mirror > 0 and gloss > 0:
        highlight = gloss * mirror**exponent * min(1.0, open_sky * 1.3)
    return (
        red * (ambient + diffuse * light.colour[0]) + highlight,
        green * (ambient + diffuse * light.colour[1]) + highlight,
        blue * (ambient + diffuse * light.colour[2]) + highlight,
    )


@numba.njit(cache=True, fastmath=True)
def _mix(values, corners, shares):
    """The value between three vertices."""
    first, second, third = values[corners[0]], values[corners[1]], values[corners[2]]
    return shares[0] * first + shares[1] * second + shares[2] * third


@numba.njit(cache=True, fastmath=True)
def _normal(normals, corners, shares):
    x = _mix(normals[:, 0], corners, shares)
    y = _mix(normals[:, 1], corners, shares)
    z = _mix(normals[:, 2], corners, shares)
    length = np.sqrt(x * x + y * y + z * z) + 1e-9
    return x / length, y / length, z / length


@numba.njit(cache=True, fastmath=True)
def _albedo(face, shares, surface, paint):
    """Colour (three numbers), gloss and gloss exponent of one point of a triangle."""
    material = surface.materials[face]
    uv = surface.uv[face]
    u = shares[0] * uv[0, 0] + shares[1] * uv[1, 0] + shares[2] * uv[2, 0]
    v = shares[0] * uv[0, 1] + shares[1] * uv[1, 1] + shares[2] * uv[2, 1]
    colours = paint.colours
    red, green, blue = colours[material, 0], colours[material, 1], colours[material, 2]
    gloss, exponent = paint.gloss[material], GLOSS_EXPONENT
    if material == SKIN:
        red, green, blue = _sample_colour(paint.skin, u, v)
    elif material == EYE:
        red, green, blue = _sample_colour(paint.eye, u, v)
        exponent = EYE_GLOSS_EXPONENT
    elif material in (HAIR_CAP, HAIR_SHEET):
        strand = _sample(paint.hair, u, v, 0)
        red, green, blue = red * strand, green * strand, blue * strand
        exponent = HAIR_GLOSS_EXPONENT
    if material in (SKIN, TORSO) and _mix(surface.shirt, surface.faces[face], shares) > 0:
        red, green, blue = colours[SHIRT, 0], colours[SHIRT, 1], colours[SHIRT, 2]
        gloss = 0.0
    return red, green, blue, gloss, exponent


@numba.njit(cache=True, fastmath=True)
def _sample_colour(texture, u, v):
    return _sample(texture, u, v, 0), _sample(texture, u, v, 1), _sample(texture, u, v, 2)


@numba.njit(cache=True, fastmath=True)
def _sample(texture, u, v, channel):
    """Bilinear look-up, the border repeated."""
    x = min(max(u * texture.shape[1] - 0.5, 0.0), texture.shape[1] - 1.001)
    y = min(max(v * texture.shape[0] - 0.5, 0.0), texture.shape[0] - 1.001)
    column, row = int(x), int(y)
    right, down = x - column, y - row
    upper = texture[row, column, channel] * (1 - right) + texture[row, column + 1, channel] * right
    lower = (
        texture[row + 1, column, channel] * (1 - right)
        + texture[row + 1, column + 1, channel] * right
    )
    return upper * (1 - down) + lower * down
