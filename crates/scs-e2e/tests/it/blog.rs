//! The seed's minimum viable product: WordPress, MariaDB and a MariaDB backup that find each other.

use scs_e2e::blog::{copy, visit, visit_ok};
use scs_e2e::docker::{docker, started_at};
use scs_e2e::{Scs, wait_for};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

fn backup_holds(scs: &Scs, title: &str) {
    let query = format!("SELECT post_title FROM wordpress.wp_posts WHERE post_title = '{title}'");
    wait_for("the post in the backup database", Duration::from_secs(60), || {
        let run = scs.run(&["exec", "mysql-backup", "--", "mysql", "-N", "-e", &query]);
        if run.stdout().contains(title) { Ok(()) } else { Err(run.shown()) }
    });
}

fn address_of_master(scs: &Scs) -> String {
    let slot = scs.wait_for_phase("mysql-master", "running");
    slot["container"]["provides"]["mysql"]["address"].as_str().expect("an address").to_owned()
}

#[test]
fn the_blog_is_written_to_replicated_and_survives_its_database() {
    let directory = copy();
    let scs = Scs::new(directory.path());
    let _ = scs.ok(&["up", "-d"]);
    let site = || format!("http://{}", scs.address("wordpress", "http"));
    let url = site();

    let _ = visit_ok(&url, &["install"]);
    let _ = visit_ok(&url, &["publish", "First light", "Seen through the site."]);
    assert!(visit_ok(&url, &["read", "First light"]).contains("Seen through the site."));
    backup_holds(&scs, "First light");

    // The database dies and comes back on another port; WordPress is told and never restarted.
    let wordpress = scs.container("wordpress");
    let started = started_at(&wordpress);
    let before = address_of_master(&scs);
    let _ = docker(&["kill", &scs.container("mysql-master")]);
    wait_for("the database on another address", Duration::from_secs(60), || {
        let now = address_of_master(&scs);
        if now == before { Err(now) } else { Ok(()) }
    });
    wait_for("the post to be served again", Duration::from_secs(60), || {
        let output = visit(&url, &["read", "First light", "--once"]);
        if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
    });
    assert_eq!(scs.container("wordpress"), wordpress);
    assert_eq!(started_at(&wordpress), started);
    let _ = visit_ok(&url, &["publish", "Second wind", "Written after the fall."]);
    backup_holds(&scs, "Second wind");

    // A new password reaches both sides while they run.
    let _ = scs.ok(&["secret", "rotate", "db"]);
    wait_for("the site with the new password", Duration::from_secs(60), || {
        let output = visit(&url, &["read", "Second wind", "--once"]);
        let settled = |role: &str| {
            let slot = scs.slot(role).expect("it runs");
            slot["live_updates"].as_object().is_some_and(|updates| {
                updates.values().all(|update| update["running"] == false && update["failures"] == 0)
            })
        };
        if output.status.success() && settled("wordpress") && settled("mysql-master") {
            Ok(())
        } else {
            Err(format!("{:#?}", scs.slot("wordpress")))
        }
    });
    assert_eq!(started_at(&wordpress), started);
    no_password_shows(&scs, directory.path());

    // Down and up keep the data.
    let _ = scs.ok(&["down"]);
    let _ = scs.ok(&["up", "-d"]);
    assert!(visit_ok(&site(), &["read", "Second wind"]).contains("Written after the fall."));
}

/// Passwords are in no image, manifest, log, process list or answer.
fn no_password_shows(scs: &Scs, directory: &Path) {
    let roles = ["mysql-master", "mysql-backup", "wordpress"];
    let mut passwords = Vec::new();
    for role in roles {
        let files = docker(&["exec", &scs.container(role), "sh", "-c", "cat /run/secrets/* 2>/dev/null; true"]);
        let names =
            docker(&["exec", &scs.container(role), "sh", "-c", "for f in /run/secrets/*; do cat \"$f\"; echo; done"]);
        assert!(!files.is_empty());
        passwords.extend(names.lines().filter(|line| !line.is_empty()).map(str::to_owned));
    }
    assert!(passwords.len() >= 3 && passwords.iter().all(|password| password.len() >= 16), "{}", passwords.len());
    let mut places = vec![
        ("ps", scs.ok(&["ps", "-o", "json"])),
        ("logs", scs.ok(&["logs"])),
        ("compile", scs.ok(&["compile"])),
        ("the daemon's log", scs.last_words()),
        ("the manifest", std::fs::read_to_string(directory.join("deployment.yaml")).expect("it is there")),
        (
            "process list",
            String::from_utf8_lossy(&Command::new("ps").args(["axww", "-o", "args"]).output().expect("ps").stdout)
                .into_owned(),
        ),
    ];
    for role in roles {
        let container = scs.container(role);
        places.push(("inspect", docker(&["inspect", &container])));
        let image = docker(&["inspect", "--format", "{{.Image}}", &container]);
        places.push(("history", docker(&["history", "--no-trunc", &image])));
    }
    for (place, text) in places {
        for password in &passwords {
            assert!(!text.contains(password.as_str()), "a password shows in {place}");
        }
    }
}
