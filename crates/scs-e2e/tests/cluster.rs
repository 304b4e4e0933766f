//! Suites over three hosts in two data centres, each with a real engine: the real program as server, agents, and at the desk of people.

mod cluster {
    mod broken_moves;
    mod deploy;
    mod disks;
    mod faults;
    mod join;
    mod lease;
    mod ledger;
    mod moves;
    mod shop;
}
