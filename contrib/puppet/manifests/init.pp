# The scs program, put where the units of server and agent find it.
#
# @param source
#   Where the program comes from: anything that Puppet's `file` takes, e.g. `puppet:///modules/profile/scs` or `/srv/dist/scs`.
# @param packages
#   What the program runs: `rsync` moves volumes, `mmdebstrap` makes bases.
class scs (
  String[1]     $source,
  Array[String] $packages = ['rsync', 'mmdebstrap'],
) {
  package { $packages: ensure => installed }

  file { '/usr/bin/scs':
    ensure => file,
    source => $source,
    owner  => 'root',
    group  => 'root',
    mode   => '0755',
  }

  file { '/etc/scs':
    ensure => directory,
    owner  => 'root',
    group  => 'root',
    mode   => '0755',
  }
}
