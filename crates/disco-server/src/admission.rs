//! Who is let in: so many connections altogether, and so many from one address.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use disco_proto::{Failure, Limit};

/// Who is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admission {
    /// Connections altogether. Default: 100,000; file descriptors may set less.
    pub connections: usize,
    /// Connections from one address (IPv6: one /64 network) that is not this machine. Default: 1,024.
    pub per_address: usize,
    /// How long a TLS handshake may take. Default: 10 s.
    pub handshake: Duration,
}

impl Default for Admission {
    fn default() -> Self {
        Self { connections: 100_000, per_address: 1024, handshake: Duration::from_secs(10) }
    }
}

/// Who is connected.
#[derive(Debug)]
pub(crate) struct Guests {
    admission: Admission,
    seats: Mutex<Seats>,
}

#[derive(Debug, Default)]
struct Seats {
    taken: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// The place of one connection; it is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    guests: Arc<Guests>,
    address: Option<IpAddr>,
}

impl Guests {
    pub(crate) fn new(admission: Admission) -> Arc<Self> {
        Arc::new(Self { admission, seats: Mutex::default() })
    }

    /// Lets one more in, or says why not.
    pub(crate) fn enter(self: &Arc<Self>, peer: IpAddr) -> Result<Seat, Failure> {
        let address = counted(peer);
        let mut seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        if seats.taken >= self.admission.connections {
            let words = format!("this server takes {} connections, and they are there", self.admission.connections);
            return Err(Failure::limit(Limit::Connections, words));
        }
        if let Some(address) = address {
            let taken = seats.by_address.entry(address).or_default();
            if *taken >= self.admission.per_address {
                let most = self.admission.per_address;
                let words = format!("this server takes {most} connections from {address}, and they are there");
                return Err(Failure::limit(Limit::Connections, words));
            }
            *taken += 1;
        }
        seats.taken += 1;
        Ok(Seat { guests: Arc::clone(self), address })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = self.guests.seats.lock().unwrap_or_else(PoisonError::into_inner);
        seats.taken -= 1;
        let Some(address) = self.address else { return };
        if let Some(taken) = seats.by_address.get_mut(&address) {
            *taken -= 1;
            if *taken == 0 {
                seats.by_address.remove(&address);
            }
        }
    }
}

/// What connections are counted by; this machine's own are not.
fn counted(peer: IpAddr) -> Option<IpAddr> {
    let peer = peer.to_canonical();
    if peer.is_loopback() {
        return None;
    }
    Some(match peer {
        IpAddr::V4(_) => peer,
        // Whoever has one address of it has them all.
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guests(connections: usize, per_address: usize) -> Arc<Guests> {
        Guests::new(Admission { connections, per_address, ..Admission::default() })
    }

    #[test]
    fn a_place_is_free_again_when_its_connection_has_ended() {
        let guests = guests(2, 10);
        let first = guests.enter([10, 0, 0, 1].into()).unwrap();
        let _second = guests.enter([10, 0, 0, 2].into()).unwrap();
        assert_eq!(guests.enter([10, 0, 0, 3].into()).unwrap_err().limit, Some(Limit::Connections));
        drop(first);
        guests.enter([10, 0, 0, 3].into()).unwrap();
    }

    #[test]
    fn one_address_does_not_take_all_places_and_this_machine_may() {
        let guests = guests(10, 1);
        let _first = guests.enter([10, 0, 0, 1].into()).unwrap();
        assert!(guests.enter("::ffff:10.0.0.1".parse().unwrap()).is_err(), "the same address in other words");
        let _other = guests.enter([10, 0, 0, 2].into()).unwrap();
        let _own: Vec<_> = (0..5).map(|_| guests.enter([127, 0, 0, 1].into()).unwrap()).collect();
        let _network = guests.enter("2001:db8::1".parse().unwrap()).unwrap();
        assert!(guests.enter("2001:db8::2".parse().unwrap()).is_err(), "the same network");
        guests.enter("2001:db8:0:1::1".parse().unwrap()).unwrap();
    }
}
