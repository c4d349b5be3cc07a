"""Runs the trackers of the package `trackers` on boxes; in an environment of its own.

    python peer_trackers.py < BOXES > IDS

Reads and writes JSON: by video a list of frames; of each frame the time and the boxes with scores,
then the id of each box, or -1.
"""

import json
import sys

import numpy as np
import supervision as sv  # type: ignore[import-not-found]
import trackers  # type: ignore[import-not-found]

NAMES = {"ByteTrack": "ByteTrackTracker", "OC-SORT": "OCSORTTracker", "BoT-SORT": "BoTSORTTracker"}


def ids(name: str, frames: list[tuple[float, list[list[float]]]], fps: float) -> list[list[int]]:
    """Return the id of each box of each frame."""
    # The camera stands still, and there are no pixels here to find its motion in.
    still = {"enable_cmc": False} if name == "BoT-SORT" else {}
    tracker = getattr(trackers, NAMES[name])(frame_rate=fps, **still)
    found = []
    for _, boxes in frames:
        rows = np.array(boxes, np.float32).reshape(-1, 5)
        detections = sv.Detections(
            xyxy=rows[:, :4],
            confidence=rows[:, 4],
            class_id=np.zeros(len(rows), int),
            data={"place": np.arange(len(rows))},
        )
        tracked = tracker.update(detections)
        of = dict.fromkeys(range(len(rows)), -1)
        if len(tracked):
            of |= dict(
                zip(tracked.data["place"].tolist(), tracked.tracker_id.tolist(), strict=True)
            )
        found.append([of[number] for number in range(len(rows))])
    return found


def main() -> None:
    videos = json.load(sys.stdin)
    json.dump(
        {name: [ids(name, video["frames"], video["fps"]) for video in videos] for name in NAMES},
        sys.stdout,
    )


if __name__ == "__main__":
    main()
