"""Makes ``tests/support`` importable as ``support``: pytest puts the folder of this file on the path."""
