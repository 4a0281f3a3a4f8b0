"""Nodes that let everything behind them run several times."""
