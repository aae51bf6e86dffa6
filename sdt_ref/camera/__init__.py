"""Recordings of event cameras: read what sensors and data sets write, and count it into frames for the network."""
