"""The configuration file: YAML with units, validated into frozen values; errors name file, line, key, reason."""
