# What runs in the container: the start, the health check and the live updates.
class scs::scripts {
  file { '/usr/local/lib/scs':
    ensure => directory,
    mode   => '0755',
  }

  file { '/usr/local/lib/scs/settings.sh':
    ensure  => file,
    mode    => '0644',
    content => epp('scs/settings.sh.epp'),
  }

  file { '/usr/local/lib/scs/mysql.sh':
    ensure => file,
    mode   => '0644',
    source => 'puppet:///modules/scs/mysql.sh',
  }

  ['mysql-start', 'mysql-healthy', 'liveupdate-master', 'liveupdate-secrets'].each |$name| {
    file { "/usr/local/bin/${name}":
      ensure => file,
      mode   => '0755',
      source => "puppet:///modules/scs/${name}",
    }
  }
}
