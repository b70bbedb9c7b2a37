"""An app with records that people share, on three levels, a diary that nobody does, a catalogue."""
