#!/bin/sh
# Turns the base into the image. Each parameter NAME is in $SCS_PARAM_NAME, and all of them are in the JSON file
# $SCS_PARAMETERS; this directory is $SCS_SOURCE.
set -eu

apt-get update
apt-get install --yes --no-install-recommends busybox
apt-get clean
rm -rf /var/lib/apt/lists/*

mkdir -p /srv/www
cat >/srv/www/index.html <<END
<!doctype html>
<title>$SCS_PARAM_GREETING</title>
<h1>$SCS_PARAM_GREETING</h1>
END
