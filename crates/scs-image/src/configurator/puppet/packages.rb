# Writes down which packages the catalogue names. Those that came as dependencies of Puppet must not leave with it.
Puppet::Type.newtype(:scs_build_packages) do
  @doc = 'A file with the names of all packages of the catalogue.'

  newparam(:path, namevar: true)

  def generate
    names = catalog.resources.select { |it| it.type == :package }.map { |it| it[:name] }
    File.write(self[:path], names.map { |it| "#{it}\n" }.join)
    []
  end
end
