"""One file a measure: what it needs, what it takes from each slice, and how it summarises."""
