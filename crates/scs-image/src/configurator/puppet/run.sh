apt() { apt-get -q -y -o Dpkg::Use-Pty=0 -o Acquire::Retries=3 "$@"; }
installed() { dpkg-query -W -f='${db:Status-Status} ${Package}\n' 2>/dev/null | sed -n 's/^installed //p'; }
# The lines of the first list that are in the second.
both() { { printf '%s\n' "$1" | sort -u; printf '%s\n' "$2" | sort -u; } | sort | uniq -d; }

step '1/3: install Puppet'
own=
if ! command -v puppet >/dev/null 2>&1; then
  if ! command -v apt-get >/dev/null 2>&1; then
    echo 'The base has neither puppet nor apt-get to install it: use a Debian base, or one with Puppet in it.'
    exit 1
  fi
  own=yes
  # What the base has must survive the removal of what nobody needs any more.
  automatic=$(apt-mark showauto)
  if [ -n "$automatic" ]; then apt-mark manual $automatic >/dev/null; fi
  apt update
  apt install --no-install-recommends puppet-agent
fi

step '2/3: puppet apply'
work=/tmp/scs-puppet
mkdir -m 0700 "$work"
code=0
puppet apply --confdir "$work" --vardir "$work" --color=false --detailed-exitcodes \
  --hiera_config /dev/scs-build/puppet/hiera.yaml \
  --modulepath /dev/scs-build/source/puppet:/dev/scs-build/puppet/modules \
  /dev/scs-build/puppet/site.pp || code=$?
# 0: nothing to change; 2: changed; 1, 4, 6: failed.
case $code in 0 | 2) ;; *) exit "$code" ;; esac

step '3/3: remove Puppet'
wanted=$(cat "$work/packages")
rm -rf "$work"
if [ -n "$own" ]; then
  keep=$(both "$wanted" "$(installed)")
  if [ -n "$keep" ]; then apt-mark manual $keep >/dev/null; fi
  case " $(echo $keep) " in
    *' puppet-agent '*) ;;
    *)
      apt purge --auto-remove puppet-agent
      rm -rf /etc/puppet /var/lib/puppet /var/cache/puppet /var/log/puppet /run/puppet
      if command -v userdel >/dev/null 2>&1; then userdel puppet >/dev/null 2>&1 || :; fi
      ;;
  esac
  automatic=$(both "$automatic" "$(installed)")
  if [ -n "$automatic" ]; then apt-mark auto $automatic >/dev/null; fi
fi
if command -v apt-get >/dev/null 2>&1; then
  apt-get clean
  rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin
fi
finish
