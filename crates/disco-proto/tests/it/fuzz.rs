//! The fuzz target `codec`, over its corpus.

#[path = "../../../../fuzz/checks/codec.rs"]
mod codec;
#[path = "../../../../fuzz/checks/corpus.rs"]
mod corpus;

#[test]
fn mutated_conversations_are_cut_understood_or_refused() {
    corpus::run("codec", 10_000, codec::check);
}
