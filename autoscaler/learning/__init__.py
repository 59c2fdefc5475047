"""How the demand of the next minutes is learned from a site's own past: features, forests, conformal correction.

Pure: no clock, no I/O, no host. Only ``training`` knows scikit-learn; a trained forest is arrays of numbers.
"""
