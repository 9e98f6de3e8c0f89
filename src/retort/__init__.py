"""Retort turns labelled text into a fast, trustworthy JSON API."""

__version__ = "0.1.0"
