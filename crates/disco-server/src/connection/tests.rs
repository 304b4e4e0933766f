//! What a connection does with a client that misbehaves, over a pipe in memory and on a clock of its own.

use disco_core::Grants;

use super::*;
use tokio::io::AsyncReadExt;

/// Far more than a connection may hold, far less than what a client can send.
const MUCH: usize = 16 * 1024 * 1024;

#[tokio::test(start_paused = true)]
async fn a_client_that_sends_nonsense_and_reads_nothing_is_not_read_from_any_more() {
    let (ours, mut theirs) = io::duplex(4096);
    let (reader, writer) = io::split(ours);
    let (events, mut received) = mpsc::channel(16);
    let connection = tokio::spawn(talk(reader, writer, events));
    let Some(Event::Connected(_, _, outbox)) = received.recv().await else { panic!("it says that it is there") };

    let flood = async {
        for _ in 0..MUCH / 4096 {
            theirs.write_all(&b"x\n".repeat(2048)).await.unwrap();
        }
    };
    // The clock moves once nothing else can: when the connection neither reads nor can write.
    let taken = tokio::time::timeout(Duration::from_secs(60), flood).await;
    assert!(taken.is_err(), "it took {MUCH} bytes of nonsense and kept an answer to every line");

    drop(outbox);
    let mut answers = String::new();
    theirs.read_to_string(&mut answers).await.unwrap();
    assert!(answers.lines().count() > UNREAD, "{} answers", answers.lines().count());
    assert!(answers.lines().all(|line| line.contains("\"error\"")));
    connection.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_line_without_an_end_is_refused_and_the_connection_closed() {
    let (ours, mut theirs) = io::duplex(4096);
    let (reader, writer) = io::split(ours);
    let (events, mut received) = mpsc::channel(16);
    let connection = tokio::spawn(talk(reader, writer, events));
    let Some(Event::Connected(_, _, _outbox)) = received.recv().await else { panic!("it says that it is there") };

    theirs.write_all(&vec![b'x'; disco_proto::limits::LINE]).await.unwrap();
    let mut answers = String::new();
    theirs.read_to_string(&mut answers).await.unwrap();
    assert!(answers.contains("a line is longer than"), "{answers}");
    assert_eq!(answers.lines().count(), 1);
    connection.await.unwrap();
}

async fn talk(reader: impl AsyncRead + Unpin, writer: impl AsyncWrite + Unpin, events: mpsc::Sender<Event>) {
    let talk = Talk { conn: Conn(1), pass: Pass::Fixed(Grants::Everything), buffered: false, direct: None };
    run(talk, reader, writer, &Traffic::default(), &events).await;
}
