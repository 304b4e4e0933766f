# No init runs in a build, so every service is said to be as it should be and nothing is started, stopped or enabled.
Puppet::Type.type(:service).provide(:scs_build, parent: :base) do
  desc 'Leaves services alone.'
  has_features :enableable, :maskable, :refreshable, :flaggable

  # Above whatever the distribution has.
  def self.specificity
    1_000_000
  end

  def self.instances
    []
  end

  def status
    resource[:ensure] || :stopped
  end

  def enabled?
    resource[:enable] || :true
  end

  def start; end

  def stop; end

  def restart; end

  def enable; end

  def disable; end

  def mask; end

  def flags
    resource[:flags]
  end

  def flags=(_); end
end
