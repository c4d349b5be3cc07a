"""The states of a stateful step: one for each stream, as a struct."""

from typing import Generic, TypeVar

import msgspec

S = TypeVar("S", bound=msgspec.Struct)

_encoder = msgspec.msgpack.Encoder()


class StatesByStream(Generic[S]):
    """The part of a StatefulStep that keeps its states.

    kind: the struct. All that a state is made of must be in its fields.
    """

    def __init__(self, kind: type[S]) -> None:
        self.states: dict[str, S] = {}
        self._decoder = msgspec.msgpack.Decoder(kind)

    def snapshot(self, stream: str) -> bytes:
        """Return the stream's state after its last frame."""
        return _encoder.encode(self.states[stream])

    def restore(self, stream: str, state: bytes) -> None:
        """Set the stream's state to one that `snapshot` returned."""
        self.states[stream] = self._decoder.decode(state)

    def forget(self, stream: str) -> None:
        """Drop the stream's state."""
        self.states.pop(stream, None)
