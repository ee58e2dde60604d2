#!/usr/bin/python3
"""find_marker.py MARKER_FILE NAME STORE_DIRECTORY LOCAL_DIRECTORY

Fails if any 16 bytes of the marker stand in any file of either directory, or the name in a file or file name of
the store.
"""
import os
import sys

marker_file, name, store, local = sys.argv[1:]
marker = open(marker_file, "rb").read()
needles = {marker[i:i + 16] for i in range(0, len(marker) - 16, 16)}
found = False
for root in (store, local):
    for folder, _, files in os.walk(root):
        for file in files:
            path = os.path.join(folder, file)
            if not os.path.isfile(path) or os.path.islink(path):
                continue
            data = open(path, "rb").read()
            if any(needle in data for needle in needles):
                print("marker in", path)
                found = True
            if root == store and (name.encode() in data or name in path[len(store):]):
                print("name in", path)
                found = True
sys.exit(found)
