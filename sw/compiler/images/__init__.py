"""Programs of several images, which overlap.

One program of N images needs nothing of the machine that one of an image does not: tokens order the
engines, and a second image is in the feature memory beside the first. So what differs is

- which layers run once for all images (``joint``),
- when the others run, those of two images in turn (``schedule``),
- where their feature maps are then (``places``),
- and how all that becomes a program (``emission``).

How each layer runs is what was chosen for one image, and the weight streams are the same bytes.
Where memory is too tight for two images the program computes one after the other.
"""

from __future__ import annotations

from sw.compiler.images.emission import emit_images
from sw.compiler.images.planning import MOST_IMAGES, PlannedImages, plan_images

__all__ = ["MOST_IMAGES", "PlannedImages", "emit_images", "plan_images"]
