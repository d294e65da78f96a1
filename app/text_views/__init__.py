"""What the pages show of the texts of a job."""
