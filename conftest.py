"""What pytest leaves out where a package is missing."""

from importlib.util import find_spec

# It is imported by configs that need MMDetection only, and by doctests of everything.
collect_ignore = [] if find_spec("mmdet") else ["mmresizer/datasets/textured_shapes.py"]
