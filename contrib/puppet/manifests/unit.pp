# A unit of systemd for one of scs's processes, and the service it starts.
#
# @param description
#   What it is, in words.
# @param command
#   What it runs.
# @param environment
#   File of its environment.
# @param after
#   Units that are started before it, where they are there.
# @param reload
#   Whether it reads its certificates again when it is told to.
define scs::unit (
  String[1]     $description,
  String[1]     $command,
  String[1]     $environment,
  Array[String] $after  = [],
  Boolean       $reload = false,
) {
  file { "/etc/systemd/system/${title}.service":
    ensure  => file,
    owner   => 'root',
    group   => 'root',
    mode    => '0644',
    content => epp('scs/unit.epp', {
      'description' => $description,
      'command'     => $command,
      'environment' => $environment,
      'after'       => $after,
      'reload'      => $reload,
    }),
    notify  => [Exec["${title}: reload systemd"], Service[$title]],
  }

  exec { "${title}: reload systemd":
    command     => 'systemctl daemon-reload',
    path        => ['/usr/bin', '/bin'],
    refreshonly => true,
    before      => Service[$title],
  }

  service { $title:
    ensure    => running,
    enable    => true,
    subscribe => File['/usr/bin/scs'],
  }
}
