//! The fuzz target `manifest`, over its corpus.

#[path = "../../../../fuzz/checks/corpus.rs"]
mod corpus;
#[path = "../../../../fuzz/checks/manifest.rs"]
mod manifest;

#[test]
fn mutated_manifests_are_compiled_or_refused_with_words() {
    corpus::run("manifest", 500, manifest::check);
}
