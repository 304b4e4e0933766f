//! Images configured by Puppet, with the real one; its packages come from Debian's mirror.

use super::world::World;
use scs_image::Origin;
use scs_manifest::compiled::{Base, Configurator};
use serde_json::{Map, Value, json};

fn puppet(resources: Value) -> Configurator {
    let Value::Object(resources) = resources else { panic!("an object") };
    Configurator::Puppet { resources }
}

#[tokio::test]
async fn parameters_arrive_typed_and_unescaped_and_puppet_leaves_with_all_it_brought() {
    let world = World::new().await;
    let init = r#"
class scs(String $text, Integer $number, Boolean $flag, Array $list, Hash $map, Optional[String] $none = 'default') {
  file { '/etc/text': content => $text }
  file { '/etc/types': content => "${type($number, 'generalized')} ${type($flag, 'generalized')} ${list[1]} ${map['a b']['c']} ${none}\n" }
  package { 'ruby': ensure => installed }
  package { 'cron': ensure => installed }
  service { 'cron': ensure => running, enable => true, require => Package['cron'], subscribe => File['/etc/text'] }
  service { 'there-is-no-such': ensure => stopped, enable => false }
}
"#;
    let vhost = "define scs::vhost(String $root) {\n  file { \"/etc/vhost-${title}\": content => $root }\n}\n";
    let text = "it's \"x\" ${HOME} %{facts.os.name} \\n\nünï 100%";
    let parameters = json!({
        "text": text, "number": 5, "flag": true, "list": [1, "two", null], "map": {"a b": {"c": 1.5}}, "none": null,
    });
    let files = [("puppet/scs/manifests/init.pp", init), ("puppet/scs/manifests/vhost.pp", vhost)];
    let image = world.image(puppet(json!({"vhost": {"it's": {"root": "/srv"}}})), parameters, &files);
    let built = world.ensure(&image).await.unwrap_or_else(|error| panic!("{error}: {:#?}", error.output()));
    assert_eq!(built.origin, Origin::Built);
    let id = &built.image_id;
    assert_eq!(
        world.output(id, Some("cat /etc/text; echo; cat /etc/types \"/etc/vhost-it's\"; echo")).await,
        format!("{text}\nInteger Boolean two 1.5 default\n/srv\n")
    );
    let left = world
        .output(id, Some("command -v puppet facter apt-key; ls -d /etc/puppet /var/lib/puppet /tmp/* /usr/sbin/policy-rc.d /var/lib/apt/lists/*; grep puppet /etc/passwd /etc/group; dpkg -l | grep -i puppet"))
        .await;
    assert!(!left.contains("puppet") || left.lines().all(|line| line.contains("cannot access")), "{left}");
    assert!(!left.lines().any(|line| line.starts_with("/tmp/") || line.starts_with("/usr/sbin/policy")), "{left}");
    let kept = world.output(id, Some("command -v ruby; command -v cron")).await;
    assert_eq!(kept, "/usr/bin/ruby\n/usr/sbin/cron\n");
}

#[tokio::test]
async fn a_manifest_that_fails_says_which_resource_and_why() {
    let world = World::new().await;
    // A base with Puppet in it saves installing it for each of the following, and keeps it.
    let configurator = Configurator::Shell { scripts: vec!["configure.sh".to_owned()] };
    let script = "set -e\napt-get -q update\napt-get -qy install --no-install-recommends puppet-agent\n";
    let base = world.image(configurator, json!({}), &[("configure.sh", script)]);
    let base_digest = world.digest(&base);
    world.ensure(&base).await.unwrap_or_else(|error| panic!("{error}: {:#?}", error.output()));

    let ensure = async |init: &str, parameters: Value| {
        let files = [("puppet/scs/manifests/init.pp", init)];
        let mut image = world.image(puppet(json!({})), parameters, &files);
        image.base = Base::Reference(scs_image::tag(&base_digest));
        let digest = world.digest(&image);
        (world.ensure(&image).await, digest)
    };
    let (result, digest) = ensure(
        "class scs { exec { '/bin/false': } file { '/x': content => 'x', require => Exec['/bin/false'] } }",
        json!({}),
    )
    .await;
    let error = result.expect_err("it fails");
    assert!(
        error.to_string().starts_with("the image of blog/web was not built: step `2/3: puppet apply` failed: /Stage[main]/Scs/Exec[/bin/false]/returns: change from 'notrun' to ['0'] failed"),
        "{error}"
    );
    assert!(!error.output().is_empty());
    assert_eq!(world.left(&digest).await, [""; 0]);

    let (result, _) = ensure("class scs(Integer $n) { }", json!({"n": "five"})).await;
    let error = result.expect_err("a wrong type").to_string();
    assert!(error.contains("parameter 'n' expects an Integer value, got String"), "{error}");

    let (result, _) = ensure("class scs($n = 1, $m = 2) { }", json!({"nn": 5})).await;
    let error = result.expect_err("unknown").to_string();
    assert!(error.contains("class scs has no parameter nn; it has: n, m"), "{error}");

    let (result, _) = ensure("class scs {", json!({})).await;
    let error = result.expect_err("not Puppet").to_string();
    assert!(error.contains("Syntax error"), "{error}");

    let (result, _) = ensure("class scs { file { '/x': content => 'x' } }", json!({})).await;
    let built = result.expect("built");
    assert_eq!(world.output(&built.image_id, Some("cat /x; echo; command -v puppet")).await, "x\n/usr/bin/puppet\n");
}

#[tokio::test]
async fn a_source_without_the_class_is_named_before_anything_runs() {
    let world = World::new().await;
    let image = world.image(Configurator::Puppet { resources: Map::new() }, json!({}), &[]);
    let error = world.ensure(&image).await.expect_err("there is no class").to_string();
    assert!(error.contains("no `puppet/scs/manifests/init.pp`"), "{error}");
}
