"""`make real`: the sample texts, measured with a real trained model that a Python package contains."""
