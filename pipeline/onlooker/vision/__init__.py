"""Image analysis.

`analyser` tells the whole flow; `faces` (with `face_detectors`), `mesh`, `attributes`, `quality`,
`embed`, `text_finder` and `text_reader` are its parts. `crops`, `tiles`, `pose`, `text_lines` and
the compiled `geometry`, `regions` and `ctc` serve them. All places are in pixels of the full image.
"""
