"""Onlooker recognises faces and reads text in images and video, in Amazon Rekognition's words.

>>> import onlooker
>>> from onlooker.media import image
>>> analyse = onlooker.Analyser()
>>> portrait, page = analyse([image.read("portrait.png"), image.read("page.png")])
>>> [round(pixels) for pixels in portrait.faces[0].face.box]
[178, 63, 268, 176]
>>> page.lines[0].text
'Region-based segmentation'
>>> with onlooker.Collection("crew") as crew:
...     face = crew.index("portrait.png", "eileen_collins")
...     [match] = crew.search("visitor.png")
>>> match.face.external_image_id, match.similarity > 95
('eileen_collins', True)

`Analyser` finds faces and text in images; `Collection` knows people. `read_log` yields the records
of a log, and `subscribe` those that a run publishes. Video, cameras and the HTTP server are
commands: `onlooker --help`.

The packages, in the order in which to read them:

types        the nouns that travel: Frame, Face, TextLine, Identity
config       the configuration file, as structs
media        images, video files and cameras in; sampled; video out
models       model cards, weights, sessions, converters
vision       faces and text of an image: `analyser` is the whole of it on one page
identity     collections of people: store, search, enrolment
track        faces and lines of text over time: `stream_tracks` is the state of a stream
rekognition  Amazon's structures, and how pixels become their ratios
record       records of frames: their log, its sinks, subscribers
render       results drawn on images and into videos
stream       frames through processes: `stages` is the table, `hub` the middle
jobs         jobs over stored videos: `job_runner` is one job from video to results
api          the HTTP server for AWS clients: `rekognition.operations` is the table
console      pages for a browser: `site` is the table
cli          one module per command
"""

import importlib

TYPE_CHECKING = False
"""As in `typing`, which takes longer to load than all else that the program needs at first."""
if TYPE_CHECKING:
    from onlooker.identity.collection import Collection
    from onlooker.record.log.reader import read_log
    from onlooker.record.subscribe import subscribe
    from onlooker.vision.analyser import Analyser

__all__ = ["Analyser", "Collection", "read_log", "subscribe"]

_MODULES = {
    "Analyser": "onlooker.vision.analyser",
    "Collection": "onlooker.identity.collection",
    "read_log": "onlooker.record.log.reader",
    "subscribe": "onlooker.record.subscribe",
}
"""The module of each public name. It is imported on first use: a process of a run needs none."""


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
