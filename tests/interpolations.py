"""The ways to interpolate, for tests of all of them."""

# Each with antialias.
INTERPOLATIONS = [
    ("nearest", False),
    ("bilinear", False),
    ("bicubic", False),
    ("area", False),
    ("bilinear", True),
    ("bicubic", True),
]
