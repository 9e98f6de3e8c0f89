"""Readers, splits and sources: files on disk become rows."""
