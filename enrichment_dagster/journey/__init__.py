"""The journey of one event as data: what the command line and the gateway tell of it."""
