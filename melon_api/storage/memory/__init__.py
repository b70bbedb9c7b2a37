"""What Redis holds of accounts, what a process keeps of that, and when neither is believed."""
