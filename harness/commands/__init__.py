"""What each command does, once ``cli`` has parsed it: the floor where all the others meet."""
