//! A real database whose volume is exported, deleted and imported, and one that a rollback leaves as it is.

use scs_e2e::Scs;
use scs_e2e::blog::copy;
use scs_e2e::project::Project;

const ALONE: &str = "\
version: 1
service: ledger
secrets: { root: { generate: 32 }, db: { generate: 32 }, replication: { generate: 32 } }
containers:
  mysql:
    image: { source: { path: images/mysql } }
    volume: { data: { method: local } }
    environment: { MYSQL_ROLE: master }
    secrets: { ROOT_PASSWORD: root, DB_PASSWORD: db, REPLICATION_PASSWORD: replication }
    resources: { memory: 384MiB }
    stop_grace_period: 30s
";

const VOLUME: &str = "dev/ledger/mysql/data";

#[test]
fn a_database_is_exported_deleted_and_imported_with_its_rows() {
    let directory = copy();
    std::fs::write(directory.path().join("deployment.yaml"), ALONE).expect("files can be written");
    std::fs::write(directory.path().join("deployment.dev.yaml"), "version: 1\n").expect("files can be written");
    let scs = Scs::new(directory.path());
    let query = |sql: &str| scs.ok(&["exec", "mysql", "--", "mysql", "-N", "-e", sql]);
    let _ = scs.ok(&["up", "-d"]);
    let _ = query(
        "CREATE DATABASE books; CREATE TABLE books.entries (id INT PRIMARY KEY, what TEXT) ENGINE=InnoDB; \
         INSERT INTO books.entries VALUES (1, 'opening'), (2, 'closing')",
    );
    let _ = scs.ok(&["stop", "mysql"]);
    let archive = directory.path().join("data.tar").display().to_string();
    let _ = scs.ok(&["volume", "export", VOLUME, "--to", &archive]);
    let _ = scs.ok(&["down"]);
    let _ = scs.ok(&["volume", "rm", "--yes", VOLUME]);
    assert!(!scs.state().join("volumes").join(VOLUME).exists(), "it is deleted");
    let _ = scs.ok(&["volume", "import", "--yes", VOLUME, "--from", &archive]);
    let _ = scs.ok(&["up", "-d"]);
    assert_eq!(query("SELECT id, what FROM books.entries ORDER BY id"), "1\topening\n2\tclosing\n");
    let _ = scs.ok(&["down"]);
    let _ = scs.ok(&["volume", "rm", "--yes", VOLUME]);
}

#[test]
fn a_rollback_brings_the_program_back_and_not_the_data_and_says_so() {
    let project = Project::store_and_web();
    let scs = Scs::new(project.path());
    let _ = scs.ok(&["up", "-d"]);
    let _ = scs.ok(&["exec", "store", "--", "sh", "-c", "echo before > /data/file"]);
    project.replace("deployment.yaml", "greeting: hello", "greeting: other");
    let _ = scs.ok(&["up", "-d"]);
    assert_eq!(scs.ok(&["exec", "store", "--", "cat", "/greeting"]).trim(), "other");
    let _ = scs.ok(&["exec", "store", "--", "sh", "-c", "echo after > /data/file"]);
    let run = scs.run(&["rollback", "--yes"]);
    assert_eq!(run.code(), 0, "{}", run.shown());
    assert!(run.stderr().contains("data did not roll back"), "{}", run.shown());
    assert_eq!(scs.ok(&["exec", "store", "--", "cat", "/greeting"]).trim(), "hello");
    assert_eq!(scs.ok(&["exec", "store", "--", "cat", "/data/file"]).trim(), "after");
}
