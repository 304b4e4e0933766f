//! Commands with nothing to do, beside one `docker inspect` of as many containers.

use scs_e2e::project::Project;
use scs_e2e::table::{Row, median, say};
use scs_e2e::{Scs, docker::docker};
use std::time::Instant;

const RUNS: usize = 20;

/// `up` and `plan`.
pub fn measure() -> Vec<Row> {
    say("up and plan with nothing to do");
    let project = Project::store_and_web();
    project.replace(
        "deployment.yaml",
        "  web:\n",
        "  other:\n    image: { source: { path: images/store } }\n    secrets: { TOKEN: token }\n  web:\n",
    );
    project.replace("deployment.yaml", "require: { db: { wait: 30s } }", "require: { db: { match: { role: store } } }");
    let scs = Scs::new(project.path());
    let _ = scs.ok(&["up", "-d"]);
    let containers = [scs.container("store"), scs.container("other"), scs.container("web")];
    let inspect = median_of(|| {
        let _ = docker(&["inspect", &containers[0], &containers[1], &containers[2]]);
    });
    let up = median_of(|| {
        let _ = scs.ok(&["up", "-d"]);
    });
    let plan = median_of(|| {
        let _ = scs.ok(&["plan"]);
    });
    let beside = "`docker inspect` of three containers";
    vec![
        Row::compared("`scs up` with nothing to do", up, beside, inspect, 10.0),
        Row::compared("`scs plan` with nothing to do", plan, beside, inspect, 10.0),
    ]
}

fn median_of(mut work: impl FnMut()) -> f64 {
    let once = |_| {
        let started = Instant::now();
        work();
        started.elapsed().as_secs_f64() * 1000.0
    };
    median((0..RUNS).map(once).collect())
}
