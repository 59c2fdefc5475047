"""The xrootd servers: what they read and write, for whom, and whether they answer."""
