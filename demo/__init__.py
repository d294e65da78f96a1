"""The `demo` model: how its text is found, how it is trained and measured. `make demo-model` runs it all."""
