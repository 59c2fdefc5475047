"""PROOF sessions and workers, as xproofd shows them in its files, its log, its protocol and its processes."""
