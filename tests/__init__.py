"""The tests: stories told against builders and fakes."""
