"""The HTTP API: alerts come in, and what the controller does can be read. The only room that imports FastAPI."""
