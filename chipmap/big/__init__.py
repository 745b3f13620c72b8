"""Pictures too big for memory: windows of them, and runs that go on where they were stopped."""
