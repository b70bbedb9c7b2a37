"""What Redis holds and is told, what a process keeps of it, when neither is believed."""
