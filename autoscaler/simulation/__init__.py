"""The facility model: traces and scenarios in, what each policy would have made of them out. It touches no host."""
