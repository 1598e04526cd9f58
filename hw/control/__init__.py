"""Fetching and dispatching instructions: what tells the engines when to start."""
