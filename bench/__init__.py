"""Measures: ratios against named alternatives, printed and never asserted."""
