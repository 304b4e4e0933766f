#!/bin/sh
# Makes the image: runs once, when the image is built.
set -eu
apt-get update
apt-get install -y --no-install-recommends redis-server
rm -rf /var/lib/apt/lists/*

cat > /usr/local/bin/start <<'END'
#!/bin/sh
# Process 1. The password comes through a file, so that no process list shows it.
set -eu
umask 077
mkdir -p /run/redis
printf 'dir /data\nappendonly yes\nbind * -::*\nrequirepass %s\n' "$(cat /run/secrets/PASSWORD)" > /run/redis/redis.conf
chown -R redis: /run/redis
exec setpriv --reuid=redis --regid=redis --clear-groups redis-server /run/redis/redis.conf
END

cat > /usr/local/bin/new-password <<'END'
#!/bin/sh
# The live update of the secret: tells the running server the new password. The old one still stands in the file.
set -eu
REDISCLI_AUTH=$(sed -n 's/^requirepass //p' /run/redis/redis.conf)
export REDISCLI_AUTH
new=$(cat /run/secrets/PASSWORD)
[ "$new" = "$REDISCLI_AUTH" ] && exit 0
printf 'CONFIG SET requirepass %s\n' "$new" | redis-cli | grep -qx OK
sed -i "s/^requirepass .*/requirepass $new/" /run/redis/redis.conf
END
chmod 755 /usr/local/bin/start /usr/local/bin/new-password
