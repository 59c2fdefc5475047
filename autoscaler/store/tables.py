"""The tables of the store; failed cycles have one of their own, which comes with the first."""

from sqlalchemy import Boolean, Column, Float, ForeignKey, Integer, MetaData, String, Table, Text

from autoscaler.store.tunings import tunings_table

metadata = MetaData()
decisions = Table(
    "decisions",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("at_s", Float, nullable=False, index=True),
    Column("changes", Boolean, nullable=False, index=True),
    Column("body", Text, nullable=False),
    sqlite_autoincrement=True,
)
outcomes = Table(
    "outcomes",
    metadata,
    Column("decision", ForeignKey("decisions.number"), primary_key=True),
    Column("host", String, primary_key=True),
    Column("body", Text, nullable=False),
)
asked = Table(
    "asked",
    metadata,
    Column("host", String, primary_key=True),
    Column("domain", String, primary_key=True),
    Column("memory_mib", Integer, nullable=False),
)
timers = Table(
    "timers",
    metadata,
    Column("host", String, primary_key=True),
    Column("grew_at_s", Float),
    Column("shrank_at_s", Float),
)
strains = Table(
    "strains",
    metadata,
    Column("host", String, primary_key=True),
    Column("at_s", Float, nullable=False),
)
quarantines = Table(
    "quarantines",
    metadata,
    Column("host", String, primary_key=True),
    Column("body", Text, nullable=False),
)
pauses = Table(
    "pauses",
    metadata,
    Column("host", String, primary_key=True),
    Column("direction", String, primary_key=True),
    Column("body", Text, nullable=False),
)
overrides = Table(
    "overrides",
    metadata,
    Column("host", String, primary_key=True),
    Column("body", Text, nullable=False),
)
tunings = tunings_table(metadata)
