//! A state store that was restored from an older copy: hosts know better, and nobody writes who should not.

use crate::world::{Cluster, Plane, all, blog, until};
use scs_api::deploy::{Event, MoveRequest};
use scs_ports::fake;
use scs_ports::state::{StateStore, Transaction};
use std::sync::Arc;

/// Everything in a store.
async fn copy(store: &fake::State) -> Vec<(String, Vec<u8>)> {
    let (entries, _) = store.list("").await.expect("readable");
    entries.into_iter().map(|it| (it.key, it.value.to_vec())).collect()
}

/// Makes a store what it was when it was copied.
async fn restore(store: &fake::State, from: Vec<(String, Vec<u8>)>) {
    let now = copy(store).await;
    let delete = now.into_iter().map(|(key, _)| key).filter(|key| !from.iter().any(|(old, _)| old == key)).collect();
    let put = from.into_iter().map(|(key, value)| (key, value.into())).collect();
    store.commit(&Transaction { put, delete, ..Transaction::default() }).await.expect("written");
}

fn told(cluster: &Cluster, host: &str) -> usize {
    cluster.world(host).model().assigned.len()
}

async fn volume(plane: &Plane) -> (String, u64) {
    let volume = plane.handle.volumes().await.expect("listed").value.pop().expect("one");
    (volume.host, volume.epoch)
}

#[tokio::test]
async fn it_adopts_the_highest_epochs_that_hosts_report_and_tells_them_nothing_until_somebody_deploys() {
    let directory = tempfile::tempdir().expect("a directory");
    let cluster = Arc::new(Cluster::default());
    cluster.put("h1", &[]).await;
    cluster.put("h2", &[]).await;
    let plane = cluster.start(directory.path()).await;
    plane.handle.mark_drained("h2", true).await.expect("marked");
    plane.up(&blog("dev", 1)).await.expect("accepted");
    plane.handle.mark_drained("h2", false).await.expect("marked");
    let older = copy(&cluster.store).await;
    let request = MoveRequest { host: "h2".to_owned(), ..MoveRequest::default() };
    let events = all(plane.handle.move_role("dev", "blog", "mysql", request).await.expect("accepted")).await;
    assert!(matches!(events.last(), Some(Event::Done { .. })), "{events:?}");
    until("it has left h1", || match cluster.world("h1").running() {
        left if left == ["dev/blog/wordpress"] => Ok(()),
        other => Err(other),
    })
    .await;
    let (host, epoch) = volume(&plane).await;
    assert!(host == "h2" && epoch > 1, "{host} {epoch}");
    plane.stop().await;

    restore(&cluster.store, older).await;
    let before = [told(&cluster, "h1"), told(&cluster, "h2")];
    let plane = cluster.start(directory.path()).await;
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
    loop {
        let now = volume(&plane).await;
        if now == ("h2".to_owned(), epoch) {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "its permit is not adopted: last seen {now:?}");
        tokio::task::yield_now().await;
    }
    for host in ["h1", "h2"] {
        let problems = plane.handle.host(host).await.expect("there").problems;
        let said = problems.iter().any(|it| it.contains("it was restored from an older copy"));
        assert!(said, "{host}: {problems:?}");
    }
    assert_eq!([told(&cluster, "h1"), told(&cluster, "h2")], before, "what runs there runs on");
    assert_eq!(cluster.world("h2").running(), ["dev/blog/mysql"]);

    // Somebody says that it counts: the database stays where its permit is.
    plane.up(&blog("dev", 1)).await.expect("accepted");
    assert!(told(&cluster, "h1") > before[0] && told(&cluster, "h2") > before[1]);
    assert_eq!(cluster.world("h2").running(), ["dev/blog/mysql"]);
    assert_eq!(cluster.world("h1").running(), ["dev/blog/wordpress"]);
    let grant = cluster.world("h2").assigned().assignments[0].volumes["data"];
    assert_eq!(grant.epoch, epoch);
    plane.stop().await;
}
