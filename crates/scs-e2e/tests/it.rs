//! End-to-end suites: the real program, a real engine.

mod it {
    mod bad_input;
    mod blog;
    mod change;
    mod crash;
    mod database;
    mod disk;
    mod ending;
    mod engine;
    mod forward;
    mod images;
    mod ipv6;
    mod killed;
    mod registry;
    mod user;
    mod volumes;
    mod wiring;
}
