//! What `scs init` writes: a deployment manifest and one image to start from, which work as they are.

use crate::show;
use crate::source::File;

/// The files by path, relative to the directory that `scs init` is run for. The service is named after the caller's wish,
/// a DNS label.
#[must_use]
pub fn files(service: &str) -> Vec<File> {
    // A name like `123` or `true` is text only in quotes.
    let value = format!("service: {}", show::text(service));
    let file =
        |path: &str, text: &str| File::new(path, text.replace("service: SERVICE", &value).replace("SERVICE", service));
    vec![
        file("deployment.yaml", include_str!("init/deployment.yaml")),
        file("images/hello/image.yaml", include_str!("init/image.yaml")),
        file("images/hello/configure.sh", include_str!("init/configure.sh")),
    ]
}
