"""The `demo` model: its training text, its training and its measurement (`make demo-model`)."""
