//! Sets that are filled, bounded, interrupted and read.

use super::*;

fn origin(path: &str) -> Origin {
    Origin { path: path.to_owned(), r#type: format!("type of {path}"), read: None }
}

fn place(end: u64) -> Option<Place> {
    Some(Place { device: 1, inode: 2, end })
}

fn line(text: &str, origin: usize, end: u64) -> Line {
    let time = UNIX_EPOCH + Duration::from_nanos(1_700_000_000_123_456_789);
    Line { time, origin, place: place(end), text: text.as_bytes().to_vec() }
}

fn texts(directory: &Path) -> Vec<String> {
    Reader::new(directory.to_owned()).map(|(line, _)| String::from_utf8(line.text).unwrap()).collect()
}

#[test]
fn lines_come_back_as_they_were_written() {
    let directory = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(directory.path(), vec![origin("/a b"), origin("/c")]).unwrap();
    let lines = [line("with  spaces", 0, 7), Line { place: None, ..line("", 1, 0) }];
    writer.append(&lines).unwrap();
    let read: Vec<_> = Reader::new(directory.path().to_owned()).collect();
    assert_eq!(read, lines.into_iter().zip(["type of /a b", "type of /c"].map(str::to_owned)).collect::<Vec<_>>());
}

#[test]
fn a_writer_goes_on_where_the_last_whole_line_ended() {
    let directory = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(directory.path(), vec![origin("/a"), origin("/b")]).unwrap();
    writer.append(&[line("one", 0, 4), line("two", 1, 8)]).unwrap();
    let mut torn = Vec::new();
    line("three", 0, 10).write(&mut torn);
    writer.file.write_all(&torn[..torn.len() - 1]).unwrap();
    drop(writer);
    let mut writer = Writer::open(directory.path(), vec![origin("/a"), origin("/b")]).unwrap();
    assert_eq!(writer.origins().iter().map(|it| it.read).collect::<Vec<_>>(), [place(4), place(8)]);
    writer.append(&[line("three", 0, 10)]).unwrap();
    assert_eq!(texts(directory.path()), ["one", "two", "three"]);
    // Other files, or in another order: each is found by its path.
    let writer = Writer::open(directory.path(), vec![origin("/c"), origin("/a")]).unwrap();
    assert_eq!(writer.origins().iter().map(|it| it.read).collect::<Vec<_>>(), [None, place(10)]);
    assert_eq!(texts(directory.path()), ["one", "two", "three"]);
}

#[test]
fn a_set_is_bounded_and_forgets_no_place() {
    let directory = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(directory.path(), vec![origin("/busy"), origin("/quiet")]).unwrap();
    writer.append(&[line("once", 1, 5)]).unwrap();
    let long = "x".repeat(1 << 20);
    for number in 1..40 {
        writer.append(&[line(&format!("{number} {long}"), 0, number)]).unwrap();
    }
    let size: u64 =
        segments(directory.path()).iter().map(|it| segment(directory.path(), *it).metadata().unwrap().len()).sum();
    assert!(size < KEPT as u64 * (SEGMENT + (2 << 20)), "{size}");
    assert!(texts(directory.path()).last().unwrap().starts_with("39 "));
    let writer = Writer::open(directory.path(), vec![origin("/busy"), origin("/quiet")]).unwrap();
    assert_eq!(writer.origins().iter().map(|it| it.read).collect::<Vec<_>>(), [place(39), place(5)]);
}

#[test]
fn a_reader_sees_what_is_appended_also_in_later_segments() {
    let directory = tempfile::tempdir().unwrap();
    let mut reader = Reader::new(directory.path().join("set"));
    assert!(reader.next().is_none());
    let mut writer = Writer::open(&directory.path().join("set"), vec![origin("/a")]).unwrap();
    let long = "x".repeat(3 << 20);
    for number in 0..5 {
        writer.append(&[line(&format!("{number} {long}"), 0, number)]).unwrap();
        let (read, _) = reader.next().unwrap();
        assert!(read.text.starts_with(number.to_string().as_bytes()));
        assert!(reader.next().is_none());
    }
}
