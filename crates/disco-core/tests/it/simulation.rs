//! A seeded simulation: many clients, connections that are cut and half open, messages delayed and reordered across connections,
//! clocks and processes that stop, servers that restart with an old snapshot, a new one or none, hosts that fall silent together, limits
//! that are met. What must always hold is checked after every step, what must hold in the end once everything has calmed down.
//!
//! `cargo xtask simulate` runs 10,000 seeds, `cargo xtask simulate --seed N` replays one with its log (`DISCO_SIM_SEEDS`, `DISCO_SIM_SEED`).

mod client;
mod oracle;
mod world;

use world::World;

/// Seeds of an ordinary run: a few seconds.
const SEEDS: u64 = 120;

const STEPS: usize = 400;

/// The generator of the simulation (SplitMix64): small, and the same everywhere.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % bound as u64).unwrap()
    }

    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

#[test]
fn every_seed_keeps_every_promise() {
    let number = |variable: &str| std::env::var(variable).ok().and_then(|text| text.parse::<u64>().ok());
    let only = number("DISCO_SIM_SEED");
    let seeds = match only {
        Some(seed) => seed..seed + 1,
        None => 0..number("DISCO_SIM_SEEDS").unwrap_or(SEEDS),
    };
    for seed in seeds {
        let run = || {
            let mut world = World::new(Random(seed.wrapping_mul(0x2545_f491_4f6c_dd1d)), only.is_some());
            for _ in 0..STEPS {
                world.step();
            }
            world.calm_down();
        };
        if let Err(panic) = std::panic::catch_unwind(run) {
            let words = panic.downcast_ref::<String>().map_or("(see above)", String::as_str);
            panic!("seed {seed}: {words}\nreplay it with `cargo xtask simulate --seed {seed}`");
        }
    }
}
