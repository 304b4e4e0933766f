# Shared by the scripts of this image: where things are, who this server is, and how it is spoken to.
# shellcheck shell=sh disable=SC2034
# SC2034: the variables are used by the scripts that read this file.

# shellcheck source=/dev/null
. /usr/local/lib/scs/settings.sh
database=${database:?}
application_user=${application_user:?}
replication_user=${replication_user:?}
password_grace=${password_grace:?}

volume=/mnt/data
datadir=$volume/mysql
seeded=$volume/seeded          # there once a backup holds a complete first copy
run=/run/mysqld                # in memory, emptied by every start
socket=$run/mysqld.sock
ready=$run/ready               # there once users are set and, for a backup, the first copy is complete
superseded=$run/superseded     # its age is the age of the last change of a password

# Endpoints as they are now; the environment of process 1 is as old as the container.
if [ -r /run/scs/env ]; then
    # shellcheck source=/dev/null
    . /run/scs/env
fi

role=${MYSQL_ROLE:-master}

say() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
}

fail() {
    say "$*"
    exit 1
}

# Runs the SQL on its standard input (never an argument, and never through `echo`, which eats backslashes) as root: the socket tells the server who is calling, so there is no password.
sql() {
    mariadb --no-defaults --socket="$socket" --user=root --batch --raw --skip-column-names
}

# Prints a string as an SQL literal.
literal() {
    printf "'%s'" "$(printf '%s' "$1" | sed "s/[\\\\']/\\\\&/g")"
}

# Prints a secret. Only ever handed on through pipes and files in memory: arguments are there for all to see.
# To be assigned to a variable: a failure anywhere else, as inside a here-document, would go unnoticed.
secret() {
    [ -s "/run/secrets/$1" ] || fail "secret $1 is missing or empty in /run/secrets"
    cat "/run/secrets/$1"
}

# One live update at a time, and none beside the start.
lock() {
    exec 9>"$run/lock"
    flock --wait 50 9 || fail "another update has not ended within 50 s"
}
