"""A module whose import takes as long as the test wants."""

from servers.moments import Meeting, tell

if Meeting.test is not None:
    tell(Meeting.test)
    Meeting.test.recv(1)
