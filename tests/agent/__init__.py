"""The agent against programs that we did not write: an S3 server, and another implementation of age.

They are in the environment of `tests/requirements/deploy.txt`; the dumps are those of a real worker in another one.
"""
