"""The faces and text of one stream that must be recognised, and those known from earlier frames."""

import msgspec
from msgspec.structs import replace

from onlooker.media.picture import Picture
from onlooker.track.followed_faces import FollowedFaces
from onlooker.track.followed_lines import FollowedLines
from onlooker.track.scene import Scene
from onlooker.types import Frame


class Associations(msgspec.Struct):
    """The state of one stream. The same state and frame give the same result."""

    epoch: str = ""
    scene: Scene = msgspec.field(default_factory=Scene)
    faces: FollowedFaces = msgspec.field(default_factory=FollowedFaces)
    lines: FollowedLines = msgspec.field(default_factory=FollowedLines)

    def take(self, frame: Frame, picture: Picture, carries: bool = False) -> Frame:
        """Return the frame with `like` in the faces and regions that need not be recognised.

        carries: whether frames after this one may be carried. Coordinates are those of the picture.
        Frames that have failed, or repeat another, are returned as they are.
        """
        if frame.error is not None or frame.same is not None:
            return frame
        if frame.epoch != self.epoch:
            # Another epoch counts its frames anew: `Like` cannot name those of this one.
            self.epoch, self.faces, self.lines = frame.epoch, FollowedFaces(), FollowedLines()
        time = frame.started + frame.time
        cut = self.scene.is_cut(picture)
        if frame.carried:
            nothing_new = frame.text == "none"
            faces = self.faces.carry(time, picture, cut, nothing_new)
            quads = self.lines.carry(time, picture, cut, nothing_new)
            return replace(frame, faces=faces, quads=quads, cut=cut, known=True)
        kept = picture if carries else None
        faces = self.faces.take(frame.index, time, frame.faces, cut, kept)
        finer = frame.text == "finer"
        quads = self.lines.take(frame.index, time, frame.quads, picture, cut, finer)
        return replace(
            frame,
            faces=faces,
            quads=quads,
            cut=cut,
            known=all(face.like is not None for face in faces)
            and all(quad.known for quad in quads),
        )
