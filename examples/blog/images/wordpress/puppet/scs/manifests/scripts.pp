# What runs in the container: the start and the live update.
class scs::scripts {
  ['wordpress-start', 'liveupdate-mysql'].each |$name| {
    file { "/usr/local/bin/${name}":
      ensure => file,
      mode   => '0755',
      source => "puppet:///modules/scs/${name}",
    }
  }

  file { '/usr/local/lib/scs':
    ensure => directory,
    mode   => '0755',
  }

  file { '/usr/local/lib/scs/configure.php':
    ensure  => file,
    mode    => '0644',
    content => epp('scs/configure.php.epp'),
  }
}
