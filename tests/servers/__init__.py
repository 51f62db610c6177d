"""Every server, really run, and dumped at its worst moments."""
