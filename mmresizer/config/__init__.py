"""Loading, checking and building of configs.

``import mmresizer`` imports this package, so nothing slow to import belongs here.
"""
