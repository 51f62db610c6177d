"""What the golden dumps in ``analyzer/tests/golden`` are made with."""
