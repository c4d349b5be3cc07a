"""Cuts: images of another scene than the ones before."""

import msgspec
import numpy as np

from onlooker.media import area
from onlooker.media.picture import Picture

SCENE_SIZE = (32, 18)
"""Width and height at which images are compared."""
STEP = 4
"""Only so many rows and columns of the image are read: enough for so small an image."""
CUT_CHANGE = 8.0
"""Mean change of brightness, of 255, that a cut has at least."""
CUT_CORRELATION = 0.5
"""Images on both sides of a cut correlate less than this; whatever moves, those of one scene more
(above .69 in videos whose cuts have -.26 to .49)."""


class Scene(msgspec.Struct):
    """The last image of a stream, SCENE_SIZE, one byte a pixel; empty if there is none."""

    image: bytes = b""

    def is_cut(self, picture: Picture) -> bool:
        """Return whether the image is of another scene than the last one, which it replaces."""
        if not picture.width:
            return False
        luma = picture.luma(0, 0, picture.width, picture.height, STEP)
        scene = area.resize(luma, *SCENE_SIZE)
        before, self.image = self.image, scene.tobytes()
        if not before:
            return False
        now, then = scene.ravel().astype(np.float64), np.frombuffer(before, np.uint8)
        if np.abs(now - then).mean() < CUT_CHANGE:
            return False
        now, old = now - now.mean(), then - then.mean()
        return float(now @ old) < CUT_CORRELATION * float(np.linalg.norm(now) * np.linalg.norm(old))
