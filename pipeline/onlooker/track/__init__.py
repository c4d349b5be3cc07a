"""Faces and lines of text over time: tracks, names, readings and appearances."""
