# PHP: the workers behind nginx, and the command line that the live update is written in.
class scs::php {
  # Debian 12's; the paths carry it.
  $version = '8.2'

  # php-fpm before php, which would rather have Apache's module.
  package { ["php${version}-fpm", "php${version}-cli", "php${version}-mysql", 'php']:
    ensure          => present,
    install_options => ['--no-install-recommends'],
  }
  Package["php${version}-fpm"] -> Package['php']

  file { "/etc/php/${version}/fpm/php-fpm.conf":
    ensure  => file,
    mode    => '0644',
    content => epp('scs/php-fpm.conf.epp'),
    require => Package["php${version}-fpm"],
  }
}
