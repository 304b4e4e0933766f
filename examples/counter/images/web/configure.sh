#!/bin/sh
# Makes the image: runs once, when the image is built. The parameter `greeting` arrives as SCS_PARAM_GREETING.
set -eu
apt-get update
apt-get install -y --no-install-recommends python3
rm -rf /var/lib/apt/lists/*
install -D -m 755 counter.py /usr/local/lib/counter.py
printf '%s' "$SCS_PARAM_GREETING" > /usr/local/lib/greeting
