"""The statements of the engine: whole sets, one account each; decides nothing."""
