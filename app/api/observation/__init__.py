"""What the API shows of itself and of the work: metrics and traces."""
