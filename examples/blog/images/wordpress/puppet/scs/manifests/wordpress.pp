# WordPress, its configuration and a theme. Plug-ins and updates come with a new image, not at run time.
class scs::wordpress {
  package { ['wordpress', 'wordpress-theme-twentytwentyone']:
    ensure          => present,
    install_options => ['--no-install-recommends'],
  }

  # What the package's own wp-config.php reads, whatever the name of the site.
  file { '/etc/wordpress/config-default.php':
    ensure  => file,
    mode    => '0644',
    content => epp('scs/config-default.php.epp'),
    require => Package['wordpress'],
  }

  file { '/var/lib/wordpress/wp-content/mu-plugins':
    ensure  => directory,
    mode    => '0755',
    require => Package['wordpress'],
  }

  file { '/var/lib/wordpress/wp-content/mu-plugins/scs.php':
    ensure => file,
    mode   => '0644',
    source => 'puppet:///modules/scs/mu-plugin.php',
  }
}
