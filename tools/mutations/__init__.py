"""Deliberate mistakes, and the tests that notice them."""
