"""What pytest leaves out where a package is missing."""

from importlib.util import find_spec

import mmresizer  # noqa: F401  # before torch is loaded, as in the tools

# It is imported by configs that need MMDetection only, and by doctests of everything.
collect_ignore = [] if find_spec("mmdet") else ["mmresizer/datasets/textured_shapes.py"]
