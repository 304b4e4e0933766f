//! Suites over three hosts in two data centres, each with a real engine: the real program as server, agents, and at the desk of people.

mod cluster {
    mod deploy;
    mod faults;
    mod join;
    mod lease;
    mod moves;
    mod shop;
}
