//! Names of images, as Docker writes them.

/// Splits `repository[:tag]`; the tag is `latest` where it is left out. A digest stays with the repository, without a tag.
pub(crate) fn split(reference: &str) -> (&str, &str) {
    if reference.contains('@') {
        return (reference, "");
    }
    match reference.rsplit_once(':') {
        // A colon before a slash parts a registry's host from its port.
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (reference, "latest"),
    }
}

/// Whether Docker might take it for the beginning of an image's id.
pub(crate) fn looks_like_an_id(reference: &str) -> bool {
    reference.len() < 64 && reference.bytes().all(|it| it.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_what_follows_the_last_colon_after_the_last_slash() {
        assert_eq!(split("redis"), ("redis", "latest"));
        assert_eq!(split("redis:7"), ("redis", "7"));
        assert_eq!(split("localhost:5000/redis"), ("localhost:5000/redis", "latest"));
        assert_eq!(split("localhost:5000/redis:7"), ("localhost:5000/redis", "7"));
        assert_eq!(split("redis@sha256:12"), ("redis@sha256:12", ""));
    }

    #[test]
    fn a_name_of_hex_digits_may_be_taken_for_an_id() {
        assert!(looks_like_an_id("cafe"));
        assert!(!looks_like_an_id("cafe:1"));
        assert!(!looks_like_an_id("redis"));
    }
}
