//! Images made for real, by the Docker Engine of this machine. They start from `scs-base:bookworm` (Debian's minimal system).

mod it {
    mod base;
    mod cache;
    mod dockerfile;
    mod docs;
    mod plain;
    mod puppet;
    mod shell;
    mod world;
}
