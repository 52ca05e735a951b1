"""Pure values and rules: no I/O, no clock but the one handed in."""
