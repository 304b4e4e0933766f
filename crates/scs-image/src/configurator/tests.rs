//! Recipes as text, and the shell they are written in.

use super::*;
use scs_manifest::compiled::{Base, Source};
use serde_json::{Map, Value, json};

fn image(configurator: Configurator, parameters: Value) -> Image {
    let Value::Object(parameters) = parameters else { panic!("parameters are an object") };
    Image {
        title: None,
        source: Source::Path(".".to_owned()),
        source_digest: None,
        base: Base::Reference("base".to_owned()),
        configurator,
        parameters,
        command: None,
        entrypoint: None,
        user: None,
        platform: "linux/amd64".to_owned(),
    }
}

fn script(configurator: Configurator, parameters: Value) -> Script {
    match recipe(&image(configurator, parameters), &BTreeMap::new()) {
        Ok(Recipe::Script(script)) => script,
        other => panic!("not a script: {other:?}"),
    }
}

fn shell(scripts: &[&str]) -> Configurator {
    Configurator::Shell { scripts: scripts.iter().map(|&script| script.to_owned()).collect() }
}

#[test]
fn parameters_become_variables_word_for_word() {
    let nasty = "it's \"x\" $HOME `id`\n\\ ünï";
    let made = script(shell(&[]), json!({"a-b": nasty, "n": 5, "list": [1, "x"], "none": null, "yes": true}));
    let exports: String = made.files["run"].split("finish()").nth(1).expect("it is there").lines().skip(1).fold(
        String::new(),
        |mut text, line| {
            if line != "finish" {
                text.push_str(line);
                text.push('\n');
            }
            text
        },
    );
    let program = format!("{exports}env -0");
    let output = std::process::Command::new("/bin/sh").args(["-c", &program]).env_clear().output().expect("it runs");
    let output = String::from_utf8(output.stdout).expect("UTF-8");
    let variables: BTreeMap<&str, &str> = output.split('\0').filter_map(|line| line.split_once('=')).collect();
    assert_eq!(variables["SCS_PARAM_A_B"], nasty);
    assert_eq!(variables["SCS_PARAM_N"], "5");
    assert_eq!(variables["SCS_PARAM_LIST"], "[1,\"x\"]");
    assert_eq!(variables["SCS_PARAM_NONE"], "");
    assert_eq!(variables["SCS_PARAM_YES"], "true");
    assert_eq!(variables["SCS_PARAMETERS"], "/dev/scs-build/parameters.json");
    let read: Value = serde_json::from_str(&made.files["parameters.json"]).expect("JSON");
    assert_eq!(read["a-b"], nasty);
}

#[test]
fn two_parameters_of_one_variable_are_refused() {
    let error = recipe(&image(shell(&[]), json!({"a-b": 1, "a_b": 2})), &BTreeMap::new()).expect_err("they collide");
    assert!(error.to_string().contains("SCS_PARAM_A_B"), "{error}");
    let error = recipe(&image(shell(&[]), json!({"a": "x\0"})), &BTreeMap::new()).expect_err("NUL");
    assert!(error.to_string().contains("NUL"), "{error}");
}

#[test]
fn scripts_outside_of_the_source_are_refused() {
    for path in ["/etc/x", "../x", "a/../../x", "", "."] {
        let error = recipe(&image(shell(&[path]), json!({})), &BTreeMap::new()).expect_err(path);
        assert_eq!(error, Error::Path { path: path.to_owned() });
    }
    assert_eq!(script(shell(&["./a//b.sh"]), json!({})).needs[0].0, "a/b.sh");
}

#[test]
fn hiera_replaces_nothing_in_parameters() {
    let made = script(
        Configurator::Puppet { resources: Map::new() },
        json!({"text": "50%{x} %{facts.a} 100%", "map": {"%{k}": ["%{v}"]}, "n": 1.5}),
    );
    let data: Value = serde_json::from_str(&made.files["puppet/data/scs.json"]).expect("JSON");
    assert_eq!(data["scs::text"], "50%{literal('%')}{x} %{literal('%')}{facts.a} 100%");
    assert_eq!(data["scs::map"]["%{literal('%')}{k}"][0], "%{literal('%')}{v}");
    assert_eq!(data["scs::n"], 1.5);
    assert_eq!(data["scs_build::parameters"], json!(["text", "map", "n"]));
}

#[test]
fn resources_are_mappings_of_mappings() {
    let puppet = |resources: Value| {
        let Value::Object(resources) = resources else { panic!("an object") };
        recipe(&image(Configurator::Puppet { resources }, json!({})), &BTreeMap::new())
    };
    let Ok(Recipe::Script(made)) = puppet(json!({"vhost": {"a": null, "b": {"root": "/b"}}})) else { panic!("made") };
    let data: Value = serde_json::from_str(&made.files["puppet/data/scs.json"]).expect("JSON");
    assert_eq!(data["scs_build::resources"], json!({"vhost": {"a": {}, "b": {"root": "/b"}}}));
    assert_eq!(puppet(json!({"vhost": 1})), Err(Error::Resources { place: "vhost".to_owned() }));
    assert_eq!(puppet(json!({"vhost": {"a": 1}})), Err(Error::Resources { place: "vhost.a".to_owned() }));
}

#[test]
fn a_dockerfile_gets_parameters_as_arguments() {
    let configurator = Configurator::Dockerfile { file: "./docker/Dockerfile".to_owned(), target: None };
    let made = recipe(&image(configurator, json!({"VERSION": 5, "name": "x"})), &BTreeMap::new()).expect("made");
    let arguments = BTreeMap::from([("VERSION".to_owned(), "5".to_owned()), ("name".to_owned(), "x".to_owned())]);
    assert_eq!(made, Recipe::Dockerfile { file: "docker/Dockerfile".to_owned(), target: None, arguments });
}

#[test]
fn settings_are_written_so_that_no_builder_expands_them() {
    let mut image = image(Configurator::None, json!({}));
    image.command = Some(vec!["sh".to_owned(), "-c".to_owned(), "echo \"$HOME\"\n".to_owned()]);
    image.user = Some("$x".to_owned());
    let text = settings("sha256:1", &image);
    assert_eq!(text, "FROM sha256:1\nUSER \\$x\nCMD [\"sh\",\"-c\",\"echo \\\"$HOME\\\"\\n\"]\n");
}

#[test]
fn proxies_on_loopback_are_left_out() {
    let environment = |name: &str| match name {
        "HTTP_PROXY" => Some("http://proxy.example:3128".to_owned()),
        "https_proxy" => Some("http://user:pw@localhost:3128".to_owned()),
        "no_proxy" => Some("localhost,.example".to_owned()),
        _ => None,
    };
    let proxies = proxies(environment);
    let names: Vec<&str> = proxies.keys().map(String::as_str).collect();
    assert_eq!(names, ["HTTP_PROXY", "NO_PROXY", "http_proxy", "no_proxy"]);
}

#[test]
fn scripts_are_valid_shell() {
    for configurator in [shell(&["it's.sh", "b.sh"]), Configurator::Puppet { resources: Map::new() }] {
        let made = script(configurator, json!({"a": "b"}));
        let mut child = std::process::Command::new("/bin/sh")
            .arg("-n")
            .stdin(std::process::Stdio::piped())
            .spawn()
            .expect("there is a shell");
        std::io::Write::write_all(child.stdin.as_mut().expect("piped"), made.files["run"].as_bytes()).expect("read");
        assert!(child.wait().expect("it ends").success(), "{}", made.files["run"]);
    }
}

#[test]
fn the_image_digest_covers_these_recipe_versions() {
    let dockerfile = Configurator::Dockerfile { file: "Dockerfile".to_owned(), target: None };
    for configurator in [shell(&[]), Configurator::Puppet { resources: Map::new() }, dockerfile, Configurator::None] {
        assert_eq!(recipe_version(&configurator), scs_manifest::digest::recipe(&configurator), "{configurator:?}");
    }
}
