"""Sends recorded requests to a new version, as gently as asked. Floor 5."""
