//! Volumes that go from host to host.

use crate::scripted::Scripted;
use crate::world::{Served, World, reached, remote};
use futures_util::StreamExt as _;
use scs_api::error::{Code, Problem};
use scs_api::transfer::{Compare, Copied, Progress, Survey};
use scs_control::agents::{Agent as _, CopyEvent, HostAddress, Peers as _, VolumeAt, VolumeCopy, VolumeOffer};
use scs_pki::Kind;
use scs_ports::volume::VolumeId;
use scs_remote::Neighbours;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

fn volume() -> VolumeAt {
    let id = VolumeId {
        environment: "dev".to_owned(),
        service: "blog".to_owned(),
        role: "db".to_owned(),
        index: 0,
        name: "data".to_owned(),
    };
    VolumeAt {
        id,
        method: "local".to_owned(),
        options: Default::default(),
        origin: "/manifests".into(),
        known: true,
        epoch: 3,
        parent: None,
    }
}

#[tokio::test]
async fn a_move_is_asked_of_an_agent_as_if_it_were_here() {
    let (world, script) = (World::new(), Scripted::new("h2"));
    let served = Served::start(&script, world.host()).await;
    let remote = remote(served.address, world.server());
    reached(&remote).await;
    let offer = VolumeOffer { transfer: "m1".to_owned(), volume: volume(), to: "h3".to_owned() };
    let survey = remote.offer_volume(offer).await.unwrap();
    assert_eq!(survey, Survey { bytes: 7, mapped: Some(vec!["hot".to_owned()]), ..Survey::default() });
    let copy = VolumeCopy {
        transfer: "m1".to_owned(),
        volume: volume(),
        from: HostAddress { name: "h1".to_owned(), address: "h1:9642".to_owned() },
        source: survey,
        compare: Compare::These(vec!["hot".to_owned()]),
        warm: false,
        bandwidth: Some(1),
    };
    let events: Vec<_> = remote.copy_volume(copy).await.unwrap().collect().await;
    let progress = Progress { bytes: 1, percent: 50, rate: 2 };
    assert_eq!(events, [CopyEvent::Progress(progress), CopyEvent::Done(Copied { bytes: 7, took_ms: 1 })]);
    remote.hand_over_volume(volume(), "h3").await.unwrap();
    assert_eq!(script.model().handed_over, Some((volume(), "h3".to_owned())));
    script.model().refuse = Some(Problem::new(Code::Conflict, "it is in use"));
    assert_eq!(remote.hand_over_volume(volume(), "h3").await.unwrap_err().message, "it is in use");
    served.end().await;
}

#[tokio::test]
async fn a_host_fetches_what_is_offered_to_it_and_nothing_else() {
    let (world, script) = (World::new(), Scripted::new("h2"));
    let served = Served::start(&script, world.host()).await;
    let peer = HostAddress { name: "h2".to_owned(), address: served.address.to_string() };
    let neighbours = Neighbours::new(world.live(Kind::Host, "h3"));
    let mut channel = neighbours.open(&peer, "m1", &volume().id).await.unwrap();
    channel.write_all(b"what is asked").await.unwrap();
    channel.shutdown().await.unwrap();
    let mut answer = String::new();
    channel.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "h3 m1 dev/blog/db/data: what is asked");
    for (kind, name) in [(Kind::Server, "s1"), (Kind::Person, "eva")] {
        let stranger = Neighbours::new(world.live(kind, name));
        let refused = stranger.open(&peer, "m1", &volume().id).await.err().unwrap();
        assert!(refused.to_string().contains("may not ask the agent"), "{refused}");
    }
    let another = HostAddress { name: "h9".to_owned(), ..peer };
    assert!(neighbours.open(&another, "m1", &volume().id).await.is_err(), "it is not h9");
    served.end().await;
}
