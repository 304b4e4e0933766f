//! `scs plan` over a thousand roles beside a hundred, none of which runs.

use scs_e2e::Scs;
use scs_e2e::project::Project;
use scs_e2e::table::{Row, median, say};
use std::fmt::Write as _;

const RUNS: usize = 10;

/// The one row. Each role has a volume and a secret, and requires what the first provides.
pub fn measure() -> Vec<Row> {
    let project = Project::empty();
    project.write("images/part/image.yaml", IMAGE);
    let scs = Scs::new(project.path());
    let plan = |roles: usize| {
        say(&format!("plan over {roles} roles"));
        project.write("deployment.yaml", &deployment(roles));
        let once = |_| {
            let run = scs.run(&["plan"]);
            assert_eq!(run.code(), 0, "{}", run.shown());
            assert!(run.stdout().contains(&format!("{roles} create")), "{}", run.shown());
            run.took.as_secs_f64() * 1000.0
        };
        median((0..RUNS).map(once).collect())
    };
    let (few, many) = (plan(100), plan(1000));
    vec![Row::compared("`scs plan` over 1,000 roles that are to be created", many, "the same over 100", few, 12.0)]
}

fn deployment(roles: usize) -> String {
    let mut text = String::from("version: 1\nservice: parts\nsecrets:\n  token: { generate: 24 }\ncontainers:\n");
    for number in 0..roles {
        writeln!(
            text,
            "  part{number}:\n    image: {{ source: {{ path: images/part }} }}\n    \
             require: {{ db: {{ match: {{ role: part0 }} }} }}\n    volume: {{ data: {{ method: local }} }}\n    \
             secrets: {{ TOKEN: token }}"
        )
        .expect("writing to a string does not fail");
    }
    text
}

const IMAGE: &str = "\
version: 1
engine:
  docker:
    from: scs-test-base:1
    command: [httpd, -f, -p, '80']
config: { method: none }
provide:
  db: { port: 80 }
require:
  db: { min: 0 }
secret:
  TOKEN: { liveupdate: none }
volume:
  data: { path: /data }
";
