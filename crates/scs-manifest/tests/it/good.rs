//! Good input: what comes out, every default filled in.

use crate::support::{DEPLOYMENT, PROD, World};

#[test]
fn the_design_document_s_example_compiles_with_every_default() {
    let deployment = World::new(DEPLOYMENT).compiled();
    insta::assert_snapshot!(serde_json::to_string_pretty(&deployment).expect("JSON"));
}

#[test]
fn an_overlay_changes_what_it_names_and_nothing_else() {
    let plain = World::new(DEPLOYMENT).compiled();
    let overlaid = World::new(DEPLOYMENT).overlay("deployment.prod.yaml", PROD).compiled();
    assert_eq!(overlaid.roles["cache"], plain.roles["cache"]);
    assert_eq!(overlaid.roles["wordpress"].image_digest, plain.roles["wordpress"].image_digest);
}
