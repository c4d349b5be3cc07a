"""A stream's source: the frames that it has offered to the hub, and the ring with their pixels.

It keeps each frame until the hub has settled it, and offers it again to a hub that was restarted
since. Never more frames are in flight than the window allows: a video waits, and frames
of a camera that come meanwhile are offered without their pixels, to be counted.
"""

from typing import TYPE_CHECKING, TypeAlias

from msgspec.structs import replace

from onlooker.media.motion import LiveGate
from onlooker.stream import messages
from onlooker.stream.feeds import Feed
from onlooker.stream.ring_slots import RingSlots

if TYPE_CHECKING:
    from onlooker.media.picture import Planes
    from onlooker.types import Frame

DETECT_EVERY = 5
"""`detect_every` of cameras that set none."""

Sends: TypeAlias = list[tuple[messages.ToHub, bytes]]
"""Messages to the hub, each with a frame or nothing."""


class Source:
    """The state of a stream's source. Send the hub what its methods return.

    place: the beginning of the rings' paths, which no other process uses.
    window: maximum frames in flight.
    session: higher than that of any source that the stream had before.
    """

    def __init__(self, feed: Feed, place: str, window: int, session: int) -> None:
        self.feed = feed
        self.window = window
        self.session = session
        self.next = feed.start
        """Index of the next frame to be decoded."""
        self.started = False
        """Whether the hub has said where to begin."""
        self.ended = False
        self._end: Sends = []
        self._counts = feed.counts
        self._epoch = ""
        """Of the last frame."""
        self.gate = self._new_gate()
        self._offered: dict[int, tuple[messages.Offer, bytes]] = {}
        """Frames that are not settled, by index, ascending."""
        self._slots = RingSlots(place, window)

    @property
    def ready(self) -> bool:
        """Whether the next frame may come."""
        return self.started and not self.ended and len(self._offered) < self.window

    @property
    def settled(self) -> bool:
        """Whether the stream has ended and no frame is in flight."""
        return self.ended and not self._offered

    def registration(self, hub: int | None) -> messages.Open:
        """Return the Open message; `hub` is set if it answers that hub's RegisterAgain."""
        feed, held = self.feed, tuple(self._offered)
        policy: messages.Policy = "live" if feed.live else "every"
        return messages.Open(
            feed.stream,
            self.session,
            policy,
            self.next,
            held,
            feed.frames,
            self._counts,
            hub,
            (feed.source.detect_every or DETECT_EVERY) - 1 if feed.live else 0,
        )

    def offer(
        self,
        frame: "Frame",
        planes: "Planes | None",
        seconds: float,
        captured: float,
        dropped: messages.Drop | None = None,
    ) -> Sends:
        """Offer a decoded frame. seconds: spent decoding so far. captured: as in messages.Offer.

        Call it for a video only while `ready`. Frames of a camera that are `dropped`, or that the
        ring has no room for, go without their pixels. Raises OSError if there is no room for a
        ring.
        """
        slot = None
        if frame.epoch != self._epoch:
            # The camera was connected again: a RecordId of this epoch names no earlier frame.
            self._epoch, self.gate = frame.epoch, self._new_gate()
        if planes is not None and dropped is None:
            same = self.gate.same(planes)
            if same is not None:
                frame, planes = replace(frame, same=same), None
        if planes is not None and dropped is None:
            self.gate.offered(frame.index)
            slot = self._slots.write(planes)
            dropped = "shed" if slot is None else None
        offer = messages.Offer(
            self.feed.stream,
            self.session,
            frame.index,
            slot,
            frame.error,
            dropped,
            frame.same is not None or frame.carried,
            seconds,
            captured,
        )
        frame = replace(frame, feed=self.feed.number)
        self._offered[frame.index] = sent = offer, messages.pack_frame(frame)
        self.next = frame.index + 1
        return [sent]

    def end(self, error: str | None) -> Sends:
        """End the stream; `error` is the cause if it ends early."""
        self.ended = True
        self._end = [(messages.End(self.feed.stream, self.session, self.next, error), b"")]
        return self._end

    def receive(self, message: messages.FromHub) -> Sends:
        """Take a message of the hub."""
        match message:
            case messages.Free() if message.session == self.session:
                self._counts = message.counts
                self.gate.settled(message.index, message.done)
                self._settle(message.index)
            case messages.Start() if message.session == self.session:
                self._counts = message.counts
                if not self.started:
                    self.started, self.next = True, message.next
                for index in list(self._offered):
                    if index < message.next and index not in message.in_flight:
                        # Only the hub before this one knew its result.
                        self.gate.settled(index, False)
                        self._settle(index)
                again = [sent for i, sent in self._offered.items() if i >= message.next]
                return again + self._end
        return []

    def _new_gate(self) -> LiveGate:
        return LiveGate(self.feed.source.motion_threshold if self.feed.live else None)

    def _settle(self, index: int) -> None:
        offer, _ = self._offered.pop(index, (None, b""))
        if offer is not None and offer.slot is not None:
            self._slots.release(offer.slot)
