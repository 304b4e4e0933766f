# The names of a class's parameters; undef if there is no such class, which `include` then says better.
Puppet::Functions.create_function(:'scs_build::parameters_of', Puppet::Functions::InternalFunction) do
  dispatch :parameters_of do
    scope_param
    param 'String', :name
  end

  def parameters_of(scope, name)
    found = scope.environment.known_resource_types.find_hostclass(name)
    found && found.arguments.keys.map(&:to_s)
  end
end
