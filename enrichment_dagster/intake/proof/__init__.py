"""How senders prove that a request is their own, one documented scheme a file."""
