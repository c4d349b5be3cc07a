"""Records and answers reduced to what a reader of them would notice: faces, names, words, numbers.

Identifiers, versions and times of day are left out; they may change where nothing else does.
"""

import os
from typing import Any, TypeAlias

Json: TypeAlias = Any
"""What the json module reads."""

DETAILED = 10
"""Every how many frames all numbers are kept, and not only names and words."""

TOLERANCES = {"ratio": 0.001, "percent": 0.1, "degree": 0.1}
"""Largest difference of two numbers that are taken as equal: the last digits depend on the
processor."""


def inherited() -> dict[str, str]:
    """Return the environment without Onlooker's own variables, but for the models' folder."""
    kept = {"ONLOOKER_MODELS"}
    return {k: v for k, v in os.environ.items() if k in kept or not k.startswith("ONLOOKER_")}


def face(detail: Json) -> Json:
    """Return a DetectedFace or FaceDetail as lists of numbers by their unit."""
    box, pose, quality = detail["BoundingBox"], detail["Pose"], detail["Quality"]
    found: Json = {
        "ratio": [round(box[side], 5) for side in ("Left", "Top", "Width", "Height")],
        "percent": [round(detail["Confidence"], 3)],
        "degree": [round(pose[axis], 3) for axis in ("Roll", "Yaw", "Pitch")],
    }
    found["percent"] += [round(quality[key], 3) for key in ("Brightness", "Sharpness")]
    for mark in sorted(detail.get("Landmarks", []), key=lambda each: str(each["Type"])):
        found["ratio"] += [round(mark["X"], 5), round(mark["Y"], 5)]
    for name in sorted(detail):
        value = detail[name]
        if isinstance(value, dict) and "Confidence" in value:
            found["percent"].append(round(value["Confidence"], 3))
            if "Value" in value:
                found.setdefault("values", {})[name] = value["Value"]
    for emotion in sorted(detail.get("Emotions", []), key=lambda each: str(each["Type"])):
        found["percent"].append(round(emotion["Confidence"], 3))
    return found


def text(detection: Json) -> Json:
    """Return a TextDetection as its words and its numbers by their unit."""
    polygon = detection["Geometry"]["Polygon"]
    return {
        "text": f"{detection['Type']} {detection['DetectedText']}",
        "percent": [round(detection["Confidence"], 3)],
        "ratio": [round(point[axis], 5) for point in polygon for axis in ("X", "Y")],
    }


def names(record: Json) -> list[str]:
    """Return who is named in a record, face by face, and what is written there, line by line."""
    found = []
    for each in record["FaceSearchResponse"]:
        who = [match["Face"]["ExternalImageId"] for match in each["MatchedFaces"]]
        found.append("face " + ",".join(who))
    lines = [each for each in record["TextDetections"] if each["Type"] == "LINE"]
    return found + [f"line {each['DetectedText']}" for each in lines]


def numbers(record: Json) -> Json:
    """Return all faces, similarities and texts of a record."""
    faces = record["FaceSearchResponse"]
    return {
        "faces": [face(each["DetectedFace"]) for each in faces],
        "percent": [
            round(match["Similarity"], 3) for each in faces for match in each["MatchedFaces"]
        ],
        "texts": [text(each) for each in record["TextDetections"]],
    }


def video(records: list[Json]) -> Json:
    """Return what is kept of a video's records."""
    return {
        "times": [round(record["FrameInformation"]["Time"], 3) for record in records],
        "names": [names(record) for record in records],
        "numbers": [numbers(record) for record in records[::DETAILED]],
    }


def image(answer: Json) -> Json:
    """Return what is kept of DetectFaces' or DetectText's answer."""
    if "FaceDetails" in answer:
        return [face(detail) for detail in answer["FaceDetails"]]
    return [text(detection) for detection in answer["TextDetections"]]


def differences(found: Json, expected: Json, place: str = "") -> list[str]:
    """Return where two reduced values differ by more than the tolerances, one line each."""
    if isinstance(expected, dict):
        if not isinstance(found, dict) or found.keys() != expected.keys():
            return [f"{place}: {found} instead of {expected}"]
        return [
            line
            for key in expected
            for line in differences(found[key], expected[key], f"{place}.{key}")
        ]
    if isinstance(expected, list):
        if not isinstance(found, list) or len(found) != len(expected):
            return [f"{place}: {found} instead of {expected}"]
        pairs = enumerate(zip(found, expected, strict=True))
        return [line for n, (a, b) in pairs for line in differences(a, b, f"{place}[{n}]")]
    unit = place.rpartition(".")[2].partition("[")[0]
    if unit in TOLERANCES and isinstance(expected, (int, float)):
        near = abs(found - expected) <= TOLERANCES[unit]
        return [] if near else [f"{place}: {found} instead of {expected}"]
    return [] if found == expected else [f"{place}: {found!r} instead of {expected!r}"]
