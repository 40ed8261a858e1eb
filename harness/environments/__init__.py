"""One virtual environment per framework, shared by all clones; what machine this is."""
