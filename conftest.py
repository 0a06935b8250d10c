"""What pytest leaves out where a package is missing."""

# First of all: what mmresizer sets has to be there before torch is loaded.
from mmresizer.config.checks import has_mmdet

# What imports it with the module; the tests among these have the marker `detection`.
NEED_MMDET = [
    "mmresizer/datasets/textured_shapes.py",
    "tests/datasets/test_textured_shapes.py",
    "tests/models/detectors/test_boxes_in_the_original_image.py",
    "tests/models/detectors/test_resizer_detector.py",
]
collect_ignore = [] if has_mmdet() else NEED_MMDET
