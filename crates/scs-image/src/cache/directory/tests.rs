//! A directory cache without an engine: any bytes are an image to it.

use super::*;
use futures_util::stream;

fn image(pieces: &[&'static [u8]]) -> Stream {
    stream::iter(pieces.iter().map(|piece| Ok(Bytes::from_static(piece))).collect::<Vec<_>>()).boxed()
}

async fn content(cache: &DirectoryCache, digest: &str) -> Option<Vec<u8>> {
    let mut stream = cache.get(digest).await.expect("it is whole")?;
    let mut content = Vec::new();
    while let Some(piece) = stream.next().await {
        content.extend_from_slice(&piece.expect("read"));
    }
    Some(content)
}

fn files(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .expect("read")
        .map(|entry| entry.expect("read").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn what_is_put_is_got() {
    let place = tempfile::tempdir().expect("made");
    let cache = DirectoryCache::new(place.path().join("cache"));
    assert_eq!(content(&cache, "d1").await, None);
    cache.put("d1", image(&[b"one ", b"two"])).await.expect("written");
    assert_eq!(content(&cache, "d1").await.as_deref(), Some(&b"one two"[..]));
    assert_eq!(files(&place.path().join("cache")), ["d1.tar.zst"]);
}

#[tokio::test]
async fn an_image_that_breaks_off_leaves_nothing() {
    let place = tempfile::tempdir().expect("made");
    let cache = DirectoryCache::new(place.path());
    let broken = stream::iter([Ok(Bytes::from_static(b"one")), Err(std::io::Error::other("gone"))]).boxed();
    let error = cache.put("d1", broken).await.expect_err("it breaks off");
    assert!(matches!(error, Error::Image(_)), "{error}");
    assert_eq!(files(place.path()), [""; 0]);
}

#[tokio::test]
async fn a_damaged_image_is_moved_aside_and_then_absent() {
    let place = tempfile::tempdir().expect("made");
    let cache = DirectoryCache::new(place.path());
    cache.put("d1", image(&[b"content"])).await.expect("written");
    let whole = fs::read(cache.path("d1")).expect("read");
    fs::write(cache.path("d1"), &whole[..whole.len() - 9]).expect("written");
    let error = cache.get("d1").await.err().expect("it is damaged").to_string();
    assert!(error.contains("was damaged") && error.contains("d1.tar.zst.corrupt"), "{error}");
    assert_eq!(content(&cache, "d1").await, None);
    assert_eq!(files(place.path()), ["d1.tar.zst.corrupt"]);
}

#[tokio::test]
async fn many_writers_and_readers_of_one_digest_see_only_whole_images() {
    let place = tempfile::tempdir().expect("made");
    let cache = DirectoryCache::new(place.path());
    let work = (0..16).map(|i| {
        let cache = cache.clone();
        tokio::spawn(async move {
            let content: &'static [u8] = if i % 2 == 0 { b"even" } else { b"odd" };
            cache.put("d1", image(&[content])).await.expect("written");
            self::content(&cache, "d1").await.expect("there")
        })
    });
    for result in futures_util::future::join_all(work).await {
        let content = result.expect("no panic");
        assert!(content == b"even" || content == b"odd", "{content:?}");
    }
    assert_eq!(files(place.path()), ["d1.tar.zst"]);
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_to_is_named() {
    let place = tempfile::tempdir().expect("made");
    let file = place.path().join("file");
    fs::write(&file, "").expect("written");
    let error = DirectoryCache::new(&file).put("d1", image(&[b"x"])).await.expect_err("it is a file").to_string();
    assert!(error.contains("file"), "{error}");
}

#[tokio::test]
async fn what_a_killed_writer_left_is_swept_after_a_day() {
    let place = tempfile::tempdir().expect("made");
    for (name, days) in [(".put-old", 2), (".put-new", 0)] {
        let file = File::create(place.path().join(name)).expect("made");
        file.set_modified(SystemTime::now() - Duration::from_secs(days * 86_400)).expect("set");
    }
    DirectoryCache::new(place.path()).put("d1", image(&[b"x"])).await.expect("written");
    assert_eq!(files(place.path()), [".put-new", "d1.tar.zst"]);
}
