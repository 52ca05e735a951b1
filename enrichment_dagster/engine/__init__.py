"""Orchestration over ports: buying answers, the waterfall, a batch, deliveries. No I/O of its own."""
