"""One file per framework that networks come from."""
