# Declares what the image manifest says; the values are in the Hiera data.
$parameters = lookup('scs_build::parameters', Array, 'first', [])
$known = scs_build::parameters_of('scs')
if $known =~ NotUndef {
  $unknown = $parameters - $known
  unless empty($unknown) {
    fail("class scs has no parameter ${join($unknown, ', ')}; it has: ${join($known, ', ')}")
  }
}
scs_build_packages { '/tmp/scs-puppet/packages': }
include scs
lookup('scs_build::resources', Hash, 'first', {}).each |String $kind, Hash $instances| {
  create_resources("scs::${kind}", $instances)
}
