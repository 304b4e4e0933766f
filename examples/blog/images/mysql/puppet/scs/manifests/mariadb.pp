# The server, its user and its settings; no data: that is made on the volume, at start.
class scs::mariadb {
  # A fixed id, because volumes outlive images and the package would take the next free one.
  group { 'mysql':
    ensure => present,
    gid    => 800,
    system => true,
  }
  -> user { 'mysql':
    ensure => present,
    uid    => 800,
    gid    => 'mysql',
    home   => '/nonexistent',
    shell  => '/bin/false',
    system => true,
  }
  -> package { 'mariadb-server':
    ensure          => present,
    install_options => ['--no-install-recommends'],
  }

  # Sorts after the distribution's own files, so it has the last word.
  file { '/etc/mysql/mariadb.conf.d/99-scs.cnf':
    ensure  => file,
    mode    => '0644',
    content => epp('scs/scs.cnf.epp'),
    require => Package['mariadb-server'],
  }

  # The slow log; everything else goes to the container's output.
  file { '/var/log/mysql':
    ensure  => directory,
    owner   => 'mysql',
    group   => 'mysql',
    mode    => '0750',
    require => Package['mariadb-server'],
  }

  # The package makes a database, which would be the same secretless one in every container.
  file { '/var/lib/mysql':
    ensure  => directory,
    owner   => 'mysql',
    group   => 'mysql',
    mode    => '0700',
    recurse => true,
    purge   => true,
    force   => true,
    backup  => false,
    require => Package['mariadb-server'],
  }
}
