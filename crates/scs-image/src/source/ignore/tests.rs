//! The corpus of Docker's own matcher, and what its documentation says.

use super::*;

fn ignore(text: &str) -> Ignore {
    Ignore::parse(text).expect("patterns are well-formed")
}

#[test]
fn single_patterns_match_as_in_docker() {
    let corpus = [
        ("**", "file", true),
        ("**/", "file", true),
        ("**", "dir/file", true),
        ("**/", "dir/file", true),
        ("**/**", "dir/file", true),
        ("dir/**", "dir/file", true),
        ("dir/**", "dir/dir2/file", true),
        ("**/dir", "dir", true),
        ("**/dir", "dir/file", true),
        ("**/dir2/*", "dir/dir2/file", true),
        ("**/dir2/**", "dir/dir2/dir3/file", true),
        ("**file", "file", true),
        ("**file", "dir/file", true),
        ("**file", "xfile", true),
        ("**file*", "xfile1", false),
        ("**/file", "dir/file", true),
        ("**/file", "xfile", false),
        ("**file", "dir/dir/file", true),
        ("**/file*", "dir/dir/file", true),
        ("**/file*", "dir/dir/file.txt", true),
        ("**/file*txt", "dir/dir/file.txt", true),
        ("**/file*.txt", "dir/dir/file.txt", true),
        ("**/file*.txt*", "dir/dir/file.txt", true),
        ("**/**/*.txt", "dir/dir/file.txt", true),
        ("**/**/*.txt2", "dir/dir/file.txt", false),
        ("**/*.txt", "file.txt", true),
        ("**/**/*.txt", "file.txt", true),
        ("a**/*.txt", "a/file.txt", true),
        ("a**/*.txt", "a/dir/file.txt", true),
        ("a**/*.txt", "a/dir/dir/file.txt", true),
        ("a/*.txt", "a/dir/file.txt", false),
        ("a/*.txt", "a/file.txt", true),
        ("a/*.txt**", "a/file.txt", true),
        ("a[b-d]e", "ae", false),
        ("a[b-d]e", "ace", true),
        ("a[b-d]e", "aae", false),
        ("a[^b-d]e", "aze", true),
        (".*", ".foo", true),
        (".*", "foo", false),
        ("abc.def", "abcdef", false),
        ("abc.def", "abc.def", true),
        ("abc.def", "abcZdef", false),
        ("abc?def", "abcZdef", true),
        ("abc?def", "abcdef", false),
        ("a\\\\", "a\\", true),
        ("a\\*b", "a*b", true),
        ("a\\*b", "axb", false),
        ("**/foo/bar", "foo/bar", true),
        ("**/foo/bar", "dir/foo/bar", true),
        ("**/foo/bar", "dir/dir2/foo/bar", true),
        ("abc/**", "abc", false),
        ("abc/**", "abc/def", true),
        ("abc/**", "abc/def/ghi", true),
        ("**/.foo", ".foo", true),
        ("**/.foo", "bar.foo", false),
        ("a(b)c/def", "a(b)c/def", true),
        ("a(b)c/def", "a(b)c/xyz", false),
        ("a.|)$(}+{bc", "a.|)$(}+{bc", true),
        ("dist/*.whl", "dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl", true),
        ("*.md", "docs/readme.md", false),
        ("docs", "docs/a/b", true),
        ("docs", "src/docs/a", false),
        ("/docs/", "docs/a", true),
        ("./docs/../docs", "docs/a", true),
        ("*/temp*", "somedir/temporary.txt", true),
        ("*/temp*", "a/b/temporary.txt", false),
        ("für/*", "für/ö", true),
    ];
    for (pattern, path, expected) in corpus {
        assert_eq!(ignore(pattern).excludes(path), expected, "pattern {pattern:?}, path {path:?}");
    }
}

#[test]
fn the_last_match_wins() {
    let corpus = [
        ("**\n!util/docker/web", "util/docker/web/foo", false),
        ("**\n!util/docker/web\nutil/docker/web/foo", "util/docker/web/foo", true),
        ("**\n!dist/*.whl", "dist/a.whl", false),
        ("*.md\n!README*.md\nREADME-secret.md", "README.md", false),
        ("*.md\n!README*.md\nREADME-secret.md", "README-secret.md", true),
        ("*.md\nREADME-secret.md\n!README*.md", "README-secret.md", false),
        ("node_modules\n!node_modules/keep", "node_modules/keep/x", false),
        ("node_modules\n!node_modules/keep", "node_modules/other", true),
    ];
    for (text, path, expected) in corpus {
        assert_eq!(ignore(text).excludes(path), expected, "patterns {text:?}, path {path:?}");
    }
}

#[test]
fn comments_blanks_and_a_byte_order_mark_are_passed_over() {
    let rules = ignore("\u{feff}# a comment\n\n  spaced  \r\n! /spaced/in\n #not-a-comment\n");
    assert!(rules.excludes("spaced/x"));
    assert!(!rules.excludes("spaced/in"));
    assert!(rules.excludes("#not-a-comment"));
    assert!(!rules.excludes("# a comment"));
    assert!(rules.includes_again());
    assert!(!ignore("a\nb").includes_again());
}

#[test]
fn malformed_patterns_name_their_line() {
    for (text, line) in [("a\n[", 2), ("!", 1), ("a\n\n! ", 3), ("[]a]", 1), ("a\\", 1), ("[Local-Only]", 1)] {
        assert_eq!(Ignore::parse(text).expect_err(text).line, line, "{text:?}");
    }
}

#[test]
fn many_stars_do_not_take_forever() {
    let pattern = format!("{}b", "**/a*".repeat(40));
    assert!(!ignore(&pattern).excludes(&"a/".repeat(500)));
}

#[test]
fn an_empty_file_excludes_nothing() {
    assert!(!ignore("").excludes("a"));
    assert!(!ignore("/").excludes("a"));
    assert!(!ignore(".").excludes("a"));
}
