"""The record log."""
