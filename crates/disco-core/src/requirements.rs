//! All requirements of a server, side by side.

use std::ops::Index;

use crate::require::Requirement;

/// The place of a requirement, and how often the place has been taken: never the same for two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct RequirementId {
    place: u32,
    turn: u32,
}

#[derive(Debug, Default)]
pub(crate) struct Requirements {
    places: Vec<Place>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Place {
    turn: u32,
    taken: Option<Requirement>,
}

impl Requirements {
    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    pub(crate) fn insert(&mut self, requirement: Requirement) -> RequirementId {
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place { turn: 0, taken: None });
            u32::try_from(self.places.len() - 1).expect("sessions and their requirements are limited")
        });
        let taken = &mut self.places[place as usize];
        taken.taken = Some(requirement);
        RequirementId { place, turn: taken.turn }
    }

    pub(crate) fn get(&self, id: RequirementId) -> Option<&Requirement> {
        self.places.get(id.place as usize).filter(|place| place.turn == id.turn)?.taken.as_ref()
    }

    pub(crate) fn get_mut(&mut self, id: RequirementId) -> Option<&mut Requirement> {
        self.places.get_mut(id.place as usize).filter(|place| place.turn == id.turn)?.taken.as_mut()
    }

    pub(crate) fn remove(&mut self, id: RequirementId) -> Option<Requirement> {
        let place = self.places.get_mut(id.place as usize).filter(|place| place.turn == id.turn)?;
        let taken = place.taken.take()?;
        place.turn = place.turn.wrapping_add(1);
        self.free.push(id.place);
        Some(taken)
    }
}

impl Index<RequirementId> for Requirements {
    type Output = Requirement;

    fn index(&self, id: RequirementId) -> &Requirement {
        self.get(id).expect("whoever has its id keeps it for as long as it is there")
    }
}
