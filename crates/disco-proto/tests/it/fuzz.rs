//! The fuzz targets `codec` and `snapshot`, over their corpora.

#[path = "../../../../fuzz/checks/codec.rs"]
mod codec;
#[path = "../../../../fuzz/checks/corpus.rs"]
mod corpus;
#[path = "../../../../fuzz/checks/snapshot.rs"]
mod snapshot;

#[test]
fn mutated_conversations_are_cut_understood_or_refused() {
    corpus::run("codec", 10_000, codec::check);
}

#[test]
fn mutated_snapshots_are_read_whole_or_refused_whole() {
    corpus::run("snapshot", 10_000, snapshot::check);
}
