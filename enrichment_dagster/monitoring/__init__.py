"""Rules that say whether a lane keeps its promises, over plain values."""
