//! End-to-end suites: the real program, a real engine.

mod it {
    mod bad_input;
    mod blog;
    mod change;
    mod crash;
    mod ending;
    mod engine;
    mod forward;
    mod ipv6;
    mod killed;
    mod user;
    mod volumes;
    mod wiring;
}
