# The web server: files itself, everything else to php-fpm.
class scs::nginx {
  package { 'nginx-light':
    ensure          => present,
    install_options => ['--no-install-recommends'],
  }
  -> file { '/etc/nginx/nginx.conf':
    ensure  => file,
    mode    => '0644',
    content => epp('scs/nginx.conf.epp'),
  }
}
