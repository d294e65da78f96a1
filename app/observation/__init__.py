"""What the API and the workers have in common to show what they do: metrics and traces."""
