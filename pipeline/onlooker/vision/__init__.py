"""Image analysis.

`analyser` tells the whole flow; `faces` (with `face_detectors`), `mesher` (with `mesh` and
`way_up`), `attributes`, `quality`, `embed`, `text_finder` and `text_reader` are its parts. `crops`,
`tiles`, `pose` and the compiled `geometry`, `regions`, `ctc` and `beam` serve them; `letters`,
`text_gaps`, `look_alikes`, `machine_readable`, `seven_segments`, `lone_characters` and `text_lines`
make words of characters. All places are in pixels of the full image.
"""
