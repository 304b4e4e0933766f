//! Waiting for a condition, instead of for a time.

use std::fmt::Display;
use std::time::{Duration, Instant};

/// Asks again and again until the answer is `Ok`, and returns it.
///
/// # Panics
/// When it is not within the deadline, with `what` was waited for and the last state seen.
pub async fn wait_for<T, S: Display>(
    what: &str,
    deadline: Duration,
    mut probe: impl AsyncFnMut() -> Result<T, S>,
) -> T {
    let started = Instant::now();
    // From quick, for what is nearly there, to seldom, so that the waiting does not slow down what is waited for.
    let mut pause = Duration::from_millis(5);
    loop {
        let last = match tokio::time::timeout(deadline, probe()).await {
            Ok(Ok(found)) => return found,
            Ok(Err(state)) => state.to_string(),
            Err(_) => "the question itself was not answered".to_owned(),
        };
        assert!(started.elapsed() < deadline, "waited {deadline:?} for {what}; the last state was: {last}");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}

/// The same for tests without a runtime.
///
/// # Panics
/// When it is not within the deadline.
pub fn wait_for_blocking<T, S: Display>(what: &str, deadline: Duration, mut probe: impl FnMut() -> Result<T, S>) -> T {
    let started = Instant::now();
    loop {
        match probe() {
            Ok(found) => return found,
            Err(last) => {
                assert!(started.elapsed() < deadline, "waited {deadline:?} for {what}; the last state was: {last}");
            }
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_answer_is_returned_once_there_is_one() {
        let mut count = 0;
        let found = wait_for("three", Duration::from_secs(5), async || {
            count += 1;
            if count == 3 { Ok(count) } else { Err(format!("{count}")) }
        });
        assert_eq!(found.await, 3);
    }

    #[tokio::test]
    #[should_panic(expected = "waited 20ms for rain; the last state was: sunny")]
    async fn the_last_state_is_told_when_it_takes_too_long() {
        wait_for("rain", Duration::from_millis(20), async || Err::<(), _>("sunny")).await;
    }
}
