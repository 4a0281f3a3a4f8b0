"""Figures of the documents that are computed or counted instead of measured."""
