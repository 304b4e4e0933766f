//! Whatever a manifest says: a compiled form that reads back as itself, or findings that can be shown; and the same again the second time.
//!
//! The text before a line `# image.yaml` is the deployment, the one after it the image of every role.

use std::collections::HashMap;

use scs_manifest::{
    Diagnostic, File, ImageInput, Request, compile, compiled::Deployment, deployment, image, load, render,
};

const IMAGE: &str = "\n# image.yaml\n";

/// Panics where one of that does not hold.
pub fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (deployment, image) = text.split_once(IMAGE).unwrap_or((text, ""));
    let files = [File::new("deployment.yaml", deployment), File::new("image.yaml", image)];
    let once = outcome(&files);
    match &once {
        Ok(compiled) => {
            let written = serde_json::to_string(compiled).expect("the compiled form has text keys");
            let again: Deployment = serde_json::from_str(&written).expect("the compiled form reads its own JSON");
            assert_eq!(&again, compiled);
        }
        Err(found) => {
            assert!(found.iter().any(Diagnostic::is_error), "refused without saying why");
            for colored in [false, true] {
                assert!(!render(found, &files, colored).is_empty());
            }
        }
    }
    assert_eq!(outcome(&files), once, "the second time");
    let _ = image::parse(&files[1]);
}

fn outcome(files: &[File; 2]) -> Result<Deployment, Vec<Diagnostic>> {
    let tree = load(&files[..1])?;
    let input = ImageInput {
        manifest: (!files[1].text.is_empty()).then(|| files[1].clone()),
        source_digest: Some("0".repeat(64)),
        problem: None,
    };
    let roles = deployment::sources(&tree.root).into_iter().map(|source| source.role);
    let images: HashMap<String, ImageInput> = roles.map(|role| (role, input.clone())).collect();
    let request = Request {
        environment: "dev",
        tree: &tree,
        images: &images,
        platform: "linux/amd64",
        caller_env: &|name| (name == "HOME").then(|| "/home/{{user}}".to_owned()),
    };
    compile(&request).map(|(compiled, _)| compiled)
}
