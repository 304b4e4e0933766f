# `scs agent`: runs what is assigned to this host.
#
# @param server
#   The server to join, `https://HOST[:PORT]`.
# @param token
#   One-time token of `scs host token`. Needed until the host has joined; it is kept in a file that only root may read.
# @param advertise
#   Address under which other hosts reach this one.
# @param labels
#   Labels that it joins with, e.g. `{ 'dc' => 'east' }`.
# @param options
#   More options, as they are typed.
class scs::agent (
  Pattern[/\Ahttps:\/\//]         $server,
  Optional[Sensitive[String[1]]]  $token     = undef,
  String[1]                       $advertise = $facts['networking']['ip'],
  Hash[String[1], String[1]]      $labels    = {},
  Array[String]                   $options   = [],
) {
  require scs

  if $token {
    file { '/etc/scs/token':
      ensure    => file,
      owner     => 'root',
      group     => 'root',
      mode      => '0600',
      show_diff => false,
      content   => $token,
      before    => Service['scs-agent'],
    }
  }

  file { '/etc/scs/agent.env':
    ensure  => file,
    owner   => 'root',
    group   => 'root',
    mode    => '0644',
    content => epp('scs/agent.env.epp', { 'server' => $server, 'advertise' => $advertise }),
    notify  => Service['scs-agent'],
  }

  $label_options = $labels.map |$name, $value| { "--label ${name}=${value}" }
  scs::unit { 'scs-agent':
    description => 'scs agent: runs what is assigned to this host',
    command     => (['/usr/bin/scs', 'agent', '--log', 'json'] + $label_options + $options).join(' '),
    environment => '/etc/scs/agent.env',
    after       => ['docker.service'],
  }
}
