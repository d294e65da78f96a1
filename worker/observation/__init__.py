"""What a worker process shows of its work: metrics, and the spans of traces."""
