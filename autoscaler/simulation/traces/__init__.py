"""Recorded workloads: files in SWF or CSV, dirty as they come, to sessions, jobs and readings with a clock.

What cannot be used of a row is skipped and counted; a file that as a whole makes no sense is a ``TraceError``.
"""
