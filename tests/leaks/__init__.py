"""Applications that leak, each in a way that is met in practice.

A module has ``serve(numbers)``, which does what the application does for requests with these numbers, and `CULPRIT`:
what a report of the leak must name, if it has a name. `leaks.site` has one behind a real server;
``python -m leaks.run NAME FILE`` runs one by itself and dumps it.
"""
