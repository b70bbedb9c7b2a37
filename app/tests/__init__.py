"""The app's tests: `scripts/test app/tests`."""
