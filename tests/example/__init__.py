"""The app that the engine's tests run on, whatever is in `app/`: projects, and tasks in them."""
