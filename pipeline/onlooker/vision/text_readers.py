"""The choice among recognisers: each line is read by the one that reads it best.

The first one reads every line. The others read only the lines that it doubts, so one that it reads
well costs nothing more; on street scenes in English that is every second word.
"""

from collections.abc import Sequence

from onlooker.config import schema
from onlooker.models import readers
from onlooker.vision.text_gaps import Character
from onlooker.vision.text_recogniser import TextRecogniser

MAX_DOUBTFUL_SCORE = 0.95
"""A line that the first recogniser reads with a lower mean score is read by the others as well."""
MIN_OTHER_SCORE = 0.8
"""Below this score most of what another reads is no text, or in a script that it does not know."""
MIN_OTHER_LETTERS = 2
"""A single letter is as often a stroke of something else."""
MIN_GAIN = 0.05
"""Another's reading is taken if its score is higher by this: the first one's language is the usual
one. Of 200 English words of street scenes none is then lost to a Cyrillic or an Arabic reader."""


class TextReaders:
    """The loaded recognisers of the settings."""

    def __init__(self, settings: schema.Text, provider: str) -> None:
        self.recognisers = [
            TextRecogniser(each.name, provider, settings.language_model)
            for each in readers.recognisers(settings)
        ]

    def __call__(self, crops: Sequence[bytes]) -> list[tuple[Character, ...]]:
        """Return the characters of each crop (CROP_HEIGHT, w, 3) BGR, from left to right."""
        first, *others = self.recognisers
        readings = list(first(crops))
        if not others:
            return readings
        doubtful = [n for n, each in enumerate(readings) if score(each) < MAX_DOUBTFUL_SCORE]
        second = [other([crops[n] for n in doubtful]) for other in others]
        for n, *found in zip(doubtful, *second, strict=True):
            best = max(found, key=score)
            threshold = max(MIN_OTHER_SCORE, score(readings[n]) + MIN_GAIN)
            if score(best) > threshold and _letters(best) >= MIN_OTHER_LETTERS:
                readings[n] = best
        return readings


def _letters(characters: Sequence[Character]) -> int:
    return sum(each.text.isalpha() for each in characters)


def score(characters: Sequence[Character]) -> float:
    """Return the mean score of all characters but spaces; 0 if there are none."""
    letters = [each.score for each in characters if each.text != " "]
    return sum(letters) / len(letters) if letters else 0.0
