# Common to all builds by script; read by /bin/sh.
set -eu
# One stream, so that lines come in the order in which they were written.
exec 2>&1
# The one who runs us tries again as root.
if [ "$(id -u)" != 0 ]; then exit 97; fi
export DEBIAN_FRONTEND=noninteractive

step() { printf '%s%s\n' '--- step ' "$1"; }

# No init runs here: a package that starts its service would leave a process behind, or fail.
policy=
if command -v dpkg >/dev/null 2>&1 && [ ! -e /usr/sbin/policy-rc.d ]; then
  policy=/usr/sbin/policy-rc.d
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 0755 "$policy"
fi
finish() { if [ -n "$policy" ]; then rm -f "$policy"; fi; }
