"""Figures of the documents that are computed or counted instead of measured, and the tables of those that are measured."""
