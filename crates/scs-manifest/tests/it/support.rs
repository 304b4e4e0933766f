//! Compiling texts: what a caller with files would do.

use scs_manifest::compiled::Deployment;
use scs_manifest::{Diagnostic, File, ImageInput, Request, compile, deployment, load, render};
use std::collections::HashMap;

pub const WORDPRESS: &str = include_str!("../samples/wordpress.image.yaml");
pub const MYSQL: &str = include_str!("../samples/mysql.image.yaml");
pub const DEPLOYMENT: &str = include_str!("../samples/deployment.yaml");
pub const PROD: &str = include_str!("../samples/deployment.prod.yaml");

/// Manifests and the images around them.
pub struct World {
    pub deployment: Vec<File>,
    /// Directory → its `image.yaml`.
    pub images: Vec<(&'static str, String)>,
    pub environment: &'static str,
}

impl World {
    pub fn new(deployment: &str) -> Self {
        Self {
            deployment: vec![File::new("deployment.yaml", deployment)],
            images: vec![("images/wordpress", WORDPRESS.to_owned()), ("images/mysql", MYSQL.to_owned())],
            environment: "dev",
        }
    }

    pub fn overlay(mut self, name: &str, text: &str) -> Self {
        self.deployment.push(File::new(name, text));
        self
    }

    pub fn image(mut self, path: &'static str, text: &str) -> Self {
        self.images.retain(|(known, _)| *known != path);
        self.images.push((path, text.to_owned()));
        self
    }

    pub fn compile(&self) -> Result<(Deployment, Vec<Diagnostic>), Vec<Diagnostic>> {
        let tree = load(&self.deployment)?;
        let mut inputs = HashMap::new();
        for role in deployment::sources(&tree.root) {
            let mut input = ImageInput::default();
            if let scs_manifest::compiled::Source::Path(path) = &role.source {
                let image = self.images.iter().find(|(known, _)| known == path);
                input.manifest = image.map(|(path, text)| File::new(format!("{path}/image.yaml"), text.clone()));
                input.source_digest = Some(scs_manifest::digest::source(&[]));
                if input.manifest.is_none() && role.wants_manifest {
                    input.problem = Some(format!("there is no directory {path}"));
                }
            }
            inputs.insert(role.role, input);
        }
        compile(&Request {
            environment: self.environment,
            tree: &tree,
            images: &inputs,
            platform: "linux/amd64",
            caller_env: &|name| (name == "HOME").then(|| "/home/{{user}}".to_owned()),
        })
    }

    pub fn files(&self) -> Vec<File> {
        let images = self.images.iter().map(|(path, text)| File::new(format!("{path}/image.yaml"), text.clone()));
        self.deployment.iter().cloned().chain(images).collect()
    }

    /// The compiled form, or a panic that shows why there is none.
    pub fn compiled(&self) -> Deployment {
        match self.compile() {
            Ok((deployment, _)) => deployment,
            Err(found) => panic!("{}", render(&found, &self.files(), false)),
        }
    }

    /// What is found, as people see it; empty for nothing.
    pub fn found(&self) -> String {
        let found = match self.compile() {
            Ok((_, warnings)) => warnings,
            Err(found) => found,
        };
        // Lines end in spaces where a source line is empty; snapshots cannot hold them.
        render(&found, &self.files(), false).lines().map(|line| line.trim_end().to_owned() + "\n").collect()
    }
}
