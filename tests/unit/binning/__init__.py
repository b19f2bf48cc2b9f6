"""Binning."""
