"""The parts of the JSON state of a job."""
