# `scs server`: discovery, desired state and the authority of a cluster.
#
# @param advertise
#   Names and addresses under which hosts and people reach it.
# @param options
#   More options, as they are typed.
class scs::server (
  Array[String[1], 1] $advertise,
  Array[String]       $options = [],
) {
  require scs

  file { '/etc/scs/server.env':
    ensure  => file,
    owner   => 'root',
    group   => 'root',
    mode    => '0644',
    content => epp('scs/server.env.epp', { 'advertise' => $advertise }),
    notify  => Service['scs-server'],
  }

  scs::unit { 'scs-server':
    description => 'scs server: discovery, desired state and the authority of a cluster',
    command     => (['/usr/bin/scs', 'server', '--log', 'json'] + $options).join(' '),
    environment => '/etc/scs/server.env',
    reload      => true,
  }
}
