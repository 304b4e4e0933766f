//! Attributes in as little memory as they need: a map of texts takes half a kilobyte for its first entry.

use std::collections::BTreeMap;

/// A few texts in a row, each after its length.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Packed(Box<[u8]>);

impl Packed {
    /// Attributes, in the order of their names.
    pub(crate) fn of(attributes: &BTreeMap<String, String>) -> Self {
        Self::of_texts(attributes.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]))
    }

    /// A text of another kind, then attributes.
    pub(crate) fn with(first: &str, attributes: &BTreeMap<String, String>) -> Self {
        let attributes = attributes.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]);
        Self::of_texts(std::iter::once(first).chain(attributes))
    }

    fn of_texts<'a>(texts: impl Iterator<Item = &'a str> + Clone) -> Self {
        let length = texts.clone().map(|text| text.len() + 2).sum();
        let mut bytes = Vec::with_capacity(length);
        for text in texts {
            // The protocol allows 1,024 bytes; what is longer would be cut, and not be believed to be something else.
            let text = &text.as_bytes()[..text.len().min(usize::from(u16::MAX))];
            bytes.extend(u16::try_from(text.len()).unwrap_or(u16::MAX).to_le_bytes());
            bytes.extend(text);
        }
        Self(bytes.into())
    }

    /// About how many bytes it takes as JSON.
    pub(crate) fn size(&self) -> usize {
        self.texts().map(|text| text.len() + 3).sum()
    }

    /// The texts, in order.
    fn texts(&self) -> Texts<'_> {
        Texts(&self.0)
    }

    /// The text before the attributes.
    pub(crate) fn first(&self) -> &str {
        self.texts().next().unwrap_or_default()
    }

    /// An attribute's value.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        find(self.texts(), name)
    }

    /// The same, where another text comes before the attributes.
    pub(crate) fn get_after_first(&self, name: &str) -> Option<&str> {
        let mut texts = self.texts();
        texts.next();
        find(texts, name)
    }

    /// All attributes.
    pub(crate) fn map(&self) -> BTreeMap<String, String> {
        map(self.texts())
    }

    /// The same, where another text comes before them.
    pub(crate) fn map_after_first(&self) -> BTreeMap<String, String> {
        let mut texts = self.texts();
        texts.next();
        map(texts)
    }
}

fn find<'a>(mut texts: Texts<'a>, name: &str) -> Option<&'a str> {
    loop {
        let (is, value) = (texts.next()?, texts.next()?);
        if is == name {
            return Some(value);
        }
    }
}

fn map(mut texts: Texts<'_>) -> BTreeMap<String, String> {
    let mut map = BTreeMap::new();
    while let (Some(name), Some(value)) = (texts.next(), texts.next()) {
        map.insert(name.to_owned(), value.to_owned());
    }
    map
}

#[derive(Debug, Clone)]
struct Texts<'a>(&'a [u8]);

impl<'a> Iterator for Texts<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let (length, rest) = self.0.split_first_chunk::<2>()?;
        let (text, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
        self.0 = rest;
        Some(std::str::from_utf8(text).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_packed_is_found_again() {
        let attributes: BTreeMap<String, String> =
            [("zone", "a"), ("", "empty"), ("host", ""), ("größe", &"x".repeat(1024))]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into();
        let (alone, after) = (Packed::of(&attributes), Packed::with("zone", &attributes));
        assert_eq!((alone.map(), after.map_after_first()), (attributes.clone(), attributes));
        assert_eq!((alone.get("zone"), alone.get("a"), alone.get("host")), (Some("a"), None, Some("")));
        assert_eq!((after.first(), after.get_after_first("zone")), ("zone", Some("a")));
        assert_eq!(Packed::of(&BTreeMap::new()), Packed::default());
    }
}
