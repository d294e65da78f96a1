"""What the reference of the HTTP interface shows in addition to the description."""
