"""Applications that leak, each in a way that is met in practice.

A module has ``serve(times)``, which does what the application does for that many requests, and `CULPRIT`: what a report
of the leak must name. ``python -m leaks.run NAME FILE`` runs one and dumps it.
"""
