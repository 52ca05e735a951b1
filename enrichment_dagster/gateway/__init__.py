"""The resident process at the front door: it proves, records and answers; everything else happens behind it."""
